"""Errors, put into words for people at a terminal."""


def one_line(error: Exception) -> str:
    """What went wrong and what to do, where there is room for a line."""
    return " ".join(str(error).split())


def with_remedy(error: Exception) -> str:
    """What went wrong, and what to do about it."""
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}.\n    Name another path."
    return str(error)
