"""What Hetzner Cloud refuses, or that it does not answer, in words that tell people what to do."""

from urllib.parse import urlsplit

import requests
from hcloud import APIException
from hcloud.actions import ActionFailedException

from images.codes import Answer, answer_to

MOVED = "If hcloud:endpoint has changed: `refresh` and `destroy` ask where the last `up` was, so run `up` first."
"""The engine gives them the settings that the state has, and the program, which has those of today, does not run."""

MISSING = (
    "no API token: hcloud:token is not in the stack file and HCLOUD_TOKEN is not set.\n"
    "    Make one in the Hetzner Cloud Console (read and write), then:\n"
    "    ./pulumiw config set --secret hcloud:token --stack STACK"
)
ENCRYPTED = {
    "hcloud:token": "no API token: the stack's token is encrypted, so give it in HCLOUD_TOKEN",
    "hcloud:endpoint": "hcloud:endpoint of the stack is encrypted, so give it in HCLOUD_ENDPOINT",
}
UNOPENED = (
    "no API token: it is not in the stack file, whose environment of Pulumi ESC ({}) is opened for\n"
    "    pulumi preview and up alone, so give it in HCLOUD_TOKEN"
)
FOREIGN_LETTERS = (
    "the API token has a space, a line break or a letter in it that no token has, so it has something that is not part of it.\n"
    "    Set it again, hcloud:token or HCLOUD_TOKEN, without that."
)

WRONG_TIMEOUTS = (
    "node-images:timeouts in the stack file is not as docs/stack-file.md says.\n"
    "    ./pulumiw preview --stack STACK tells why."
)


QUOTA = "resource_limit_exceeded"
QUOTA_USED_UP = "a quota of the Hetzner project is used up"
QUOTA_REMEDY = (
    "It may be that of servers, cores, primary IPs (each server has one) or snapshots. Delete what is not needed\n"
    "    (./node-images sweep shows leftovers), lower node-images:maxParallel, or have it raised in the Console."
)


class CloudError(Exception):
    """Hetzner Cloud refuses or cannot do what is asked for; the text tells people what to do."""


class SilentError(requests.ConnectionError):
    """No connection, or no answer, in time. `doing`: which of the two; `seconds`: how long was waited for it.

    No `requests.Timeout`: the SDK would make the request again, five times, whatever it was.
    """

    def __init__(self, doing: str, seconds: float) -> None:
        self.doing, self.seconds = doing, seconds
        super().__init__(f"{doing} within {seconds:g} s")


class LimitError(requests.RequestException):
    """The limit of requests was used up for `seconds`, which is as long as we may wait."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        super().__init__(f"the limit of API requests was used up for {seconds:.0f} s (rate_limit_exceeded)")


def explain(endpoint: str, error: Exception, advice: str = "", waited: float = 0) -> str:
    """An error of the SDK or of `requests`, in words. `advice` is added where the endpoint does not answer.

    `waited`: for so many seconds what passes was asked again.
    """
    if isinstance(error, LimitError):
        return (
            f"{endpoint}: {error}, which is as long as node-images:timeouts.action allows.\n"
            "    All programs of a Hetzner project share it: see what else asks, then run again."
        )
    if isinstance(error, requests.RequestException):
        return "\n    ".join(filter(None, [_silence(endpoint, error), _way_to(endpoint), advice]))
    if isinstance(error, APIException) and (words := _REFUSALS.get(str(error.code))):
        return words.format(endpoint=endpoint, message=error.message, code=error.code)
    if isinstance(error, APIException) and answer_to(error.code) == "wait":
        return (
            f"{endpoint} answers {error.code}: {error.message}.\n"
            f"    It did not pass; waited {waited:.0f} s (node-images:timeouts.action). See status.hetzner.com, then run again."
        )
    return f"{endpoint}: {error}"


def not_the_api(endpoint: str) -> str:
    """For a list that does not exist: every project has all of them."""
    return (
        f"{endpoint} is not the Hetzner Cloud API: it does not know a list that every project has (404).\n"
        "    Correct hcloud:endpoint in the stack file; it ends with /v1. Or another program has the sandbox's port."
    )


def is_missing(error: Exception) -> bool:
    """Whether the API says that there is no such thing."""
    return isinstance(error, APIException) and error.code in (404, "not_found")


def refusal(error: Exception) -> tuple[Answer, str]:
    """What an error calls for, and its words with its code; what is no refusal ends."""
    if isinstance(error, APIException):
        return answer_to(error.code, error.details), f"{error.message} ({error.code})"
    if isinstance(error, ActionFailedException) and error.action.error:
        code, message = error.action.error["code"], error.action.error["message"]
        return answer_to(code), f"{message} ({code})"
    return "give up", str(error)


def is_local(url: str) -> bool:
    """Whether a URL leads to this machine."""
    return (urlsplit(url).hostname or "").startswith(("127.", "localhost"))


_REFUSALS = {
    "unauthorized": (
        "{endpoint} refuses the API token (unauthorized): hcloud:token, or HCLOUD_TOKEN, is not a token of\n"
        "    that project, or has been deleted. Set another: ./pulumiw config set --secret hcloud:token --stack STACK"
    ),
    "token_readonly": (
        "{endpoint}: the API token may only read (token_readonly), and builds need one that may write. Make it in the Hetzner\n"
        "    Cloud Console, then: ./pulumiw config set --secret hcloud:token --stack STACK"
    ),
    QUOTA: f"{QUOTA_USED_UP}: {{message}} ({{code}}).\n    {QUOTA_REMEDY}",
}
"""By the API's code of an error."""


def _silence(endpoint: str, error: requests.RequestException) -> str:
    waited = f"{error}; then we gave up" if isinstance(error, SilentError) else type(error).__name__
    return f"{endpoint} does not answer ({waited})."


def _way_to(endpoint: str) -> str:
    if is_local(endpoint):
        return "Start the sandbox (make sandbox-start), or correct hcloud:endpoint in the stack file."
    return "Check hcloud:endpoint and the network; status.hetzner.com tells of outages."
