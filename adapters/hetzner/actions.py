"""What Hetzner Cloud does after it has answered: waiting for the end of its actions."""

from collections.abc import Callable, Sequence

from hcloud.actions import ActionFailedException, BoundAction

from adapters.hetzner.errors import CloudError
from adapters.hetzner.waiting import Rarely, often, polls

Sign = Callable[[], bool]
"""A sign that they have ended, which is not asked of the API."""


def wait_for(actions: Sequence[BoundAction], what: str, seconds: float, sign: Sign | None = None) -> None:
    """Until all have ended, or there is a sign of that: then they are asked for rarely.

    `what` names in errors what they are about. Raises CloudError, and ActionFailedException of the SDK.
    """
    rarely = Rarely()
    left: Sequence[BoundAction] = [action for action in actions if action.status == action.STATUS_RUNNING]
    if not left:
        return
    for waited in polls(seconds, often) if sign else polls(seconds):
        if sign and sign():
            return
        if (not sign or rarely.is_due(waited)) and not (left := _still_running(left)):
            return
    if left := _still_running(left):
        raise CloudError(
            f"{what}: waited {seconds} s for Hetzner Cloud to finish {left[0].command}, and it is at\n"
            f"    {left[0].progress} % (node-images:timeouts.action). Look at status.hetzner.com, then run `up` again"
        )


def _still_running(actions: Sequence[BoundAction]) -> Sequence[BoundAction]:
    """The rest, from the first that runs: they run one after the other."""
    for number, action in enumerate(actions):
        action.reload()
        if action.status == action.STATUS_ERROR:
            raise ActionFailedException(action=action)
        if action.status == action.STATUS_RUNNING:
            return actions[number:]
    return []
