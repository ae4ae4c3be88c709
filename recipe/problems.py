"""How the project tells people what is wrong with a file: all of it at once, each with its place, rule and remedy."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Problem:
    """One thing that is wrong in a file that a person wrote."""

    file: str
    key: str
    value: str
    rule: str
    remedy: str

    def __str__(self) -> str:
        value = f" = {self.value}" if self.value else ""
        return f"{self.file}: {self.key}{value}\n    {self.rule}.\n    {self.remedy}."


class ProblemsError(ValueError):
    """Everything that is wrong, raised once, before anything is created."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        super().__init__("\n".join([f"{count}, nothing was changed:", *(f"  {problem}" for problem in problems)]))


def malformed(file: str, error: Exception) -> ProblemsError:
    """What a YAML parser says of a file, in one line."""
    mark = getattr(error, "problem_mark", None)
    said = f"line {mark.line + 1}: {getattr(error, 'problem', '')}" if mark else " ".join(str(error).split())
    return ProblemsError([Problem(file, "", "", f"not valid YAML: {said}", "mend that line")])
