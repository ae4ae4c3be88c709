"""The one error that set-up shows to people."""


class SetupError(Exception):
    """Something that the user must mend: what is wrong, and what to do about it."""

    def __init__(self, problem: str, remedy: str) -> None:
        self.problem = problem
        self.remedy = remedy
        super().__init__(f"{problem}\n  {remedy}")
