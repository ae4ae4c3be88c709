"""Phases: the steps of the recipe in a few parts, each of which one resource runs."""

from enum import StrEnum


class Phase(StrEnum):
    """In their order; a phase without steps is left out."""

    PREPARE = "prepare"
    RUNTIME = "runtime"
    KUBERNETES = "kubernetes"
    FINISH = "finish"


FIRST_NUMBER = {Phase.FINISH: "70", Phase.KUBERNETES: "60", Phase.RUNTIME: "50", Phase.PREPARE: "00"}
"""What the file names of a phase's steps begin with, and the following numbers, from the last phase to the first."""


def phase_of(file_name: str) -> Phase:
    """The phase of a step, by the number that its file name begins with: `51-containerd.sh` -> `runtime`."""
    return next(phase for phase, number in FIRST_NUMBER.items() if file_name[:2] >= number)
