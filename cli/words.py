"""Errors of the API, put into words."""

from hcloud import APIException
from requests import RequestException


def reason(error: Exception) -> str:
    """What went wrong, in one line where the API is to blame."""
    if isinstance(error, APIException):
        return f"the API refuses ({error.code}): {error.message}"
    if isinstance(error, RequestException):
        return f"the API does not answer ({type(error).__name__})"
    return str(error)


def with_remedy(error: Exception) -> str:
    """What went wrong, and what to do about it."""
    if isinstance(error, RequestException):
        return (
            f"{reason(error)}.\n    Start the sandbox (make sandbox-start), or correct hcloud:endpoint or the network."
        )
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}.\n    Name another path."
    return reason(error)
