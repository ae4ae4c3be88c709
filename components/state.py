"""What the state has of this stack before an update changes it: the one thing that declarations cannot tell."""

import time
from typing import Any

import pulumi

from images.recorded import Recorded, recorded

READ_OWN_STATE = "pulumi:pulumi:readStackResourceOutputs"
"""A function of the engine itself, behind the stack references of every SDK; it works with every backend, and needs no lock."""


BEING_WRITTEN = "failed to load checkpoint"
TRIES = 20
PAUSE_SECONDS = 0.2


def read_state() -> Recorded:
    """The state of this stack; of a new one it is empty."""
    stack = f"{pulumi.get_organization()}/{pulumi.get_project()}/{pulumi.get_stack()}"
    answer = _ask(stack)
    return recorded((urn, resource["outputs"]) for urn, resource in answer["outputs"].items())


def _ask(stack: str) -> Any:  # noqa: ANN401 - what the engine answers
    """The engine writes the state while the program begins; in some file backends it cannot be read for a moment then."""
    for tries in range(1, TRIES + 1):
        try:
            return pulumi.runtime.invoke(READ_OWN_STATE, {"stackName": stack}).value
        except Exception as error:
            if tries == TRIES or BEING_WRITTEN not in str(error):
                raise
            time.sleep(PAUSE_SECONDS)
    return None
