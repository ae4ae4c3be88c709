"""What the state has of this stack before an update changes it: the one thing that declarations cannot tell."""

import pulumi

from images.recorded import Recorded, recorded

READ_OWN_STATE = "pulumi:pulumi:readStackResourceOutputs"
"""A function of the engine itself, behind the stack references of every SDK; it works with every backend, and needs no lock."""


def read_state() -> Recorded:
    """The state of this stack; of a new one it is empty."""
    stack = f"{pulumi.get_organization()}/{pulumi.get_project()}/{pulumi.get_stack()}"
    answer = pulumi.runtime.invoke(READ_OWN_STATE, {"stackName": stack}).value
    return recorded((urn, resource["outputs"]) for urn, resource in answer["outputs"].items())
