"""What the state has of this stack before an update changes it: the one thing that declarations cannot tell."""

import pulumi

READ_OWN_STATE = "pulumi:pulumi:readStackResourceOutputs"
"""A function of the engine itself, behind the stack references of every SDK; it works with every backend, and needs no lock."""


def recorded_names() -> frozenset[str]:
    """Names of all resources in the state of this stack."""
    stack = f"{pulumi.get_organization()}/{pulumi.get_project()}/{pulumi.get_stack()}"
    answer = pulumi.runtime.invoke(READ_OWN_STATE, {"stackName": stack}).value
    return frozenset(urn.rpartition("::")[2] for urn in answer["outputs"])
