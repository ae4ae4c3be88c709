"""What can go wrong in a way that the user can mend."""


class MirrorError(Exception):
    """A problem told in the user's words: what failed, and what to do about it. Printed without a traceback."""

    def __init__(self, message: str, hint: str = "") -> None:
        self.message = message
        self.hint = hint
        super().__init__(f"{message}\n  {hint}" if hint else message)


class UnavailableError(MirrorError):
    """A source does not have the file now, or does not answer: the next source may."""


class MismatchError(MirrorError):
    """A file is not what the lock says it must be. Never a reason to try another source."""


def join(problems: list[MirrorError]) -> MirrorError:
    """Make one error of several, so that the user sees them all at once."""
    return problems[0] if len(problems) == 1 else MirrorError("\n".join(str(problem) for problem in problems))
