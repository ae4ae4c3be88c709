"""What passes, by the API's own code, is asked again: less and less often, and for as long as an action may take."""

from collections.abc import Callable

from hcloud import APIException, Client

from adapters.hetzner.waiting import pause, times_to_ask
from images.codes import answer_to

TOLD_AFTER = 3
"""So many answers in a row are usual, as of a server that is still locked."""


class Patience:
    """For `seconds`, in place of the SDK's own rule, which knows four of the codes and gives up after the fifth answer."""

    def __init__(self, seconds: float, say: Callable[[str], object]) -> None:
        self.seconds, self.say = seconds, say
        self.last = ""

    def take_over(self, client: Client) -> None:
        """Have the SDK ask this one."""
        base = client._client
        base._retry_policy = self.passes  # type: ignore[method-assign,assignment]
        base._retry_interval_func = self.pause
        base._retry_max_retries = times_to_ask(self.seconds) - 1

    def passes(self, error: APIException) -> bool:
        """Whether to ask again."""
        self.last = str(error)
        return answer_to(error.code) == "wait"

    def pause(self, retries: int) -> float:
        """Seconds until the next question, after so many that were asked again."""
        if retries == TOLD_AFTER:
            self.say(f"warning: Hetzner Cloud answers {self.last}: asks again, for {self.seconds:.0f} s at most")
        return pause(retries + 1)
