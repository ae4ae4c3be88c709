"""What a failed operation tells people, and whether to try it again."""

LAST_LINES = 12

# What the SSH client and the command provider say when the way to the server broke, not the script on it.
_TRANSIENT = (
    "connection refused",
    "connection reset",
    "connection lost",
    "broken pipe",
    "i/o timeout",
    "unable to connect",
    "failed to dial",
    "exited without exit status",
)


def is_transient(error: str) -> bool:
    """Whether the connection failed; a script that failed would only fail again, as its downloads retry by themselves."""
    text = error.lower()
    return "exited with status" not in text and any(sign in text for sign in _TRANSIENT)


def summary(resource: str, error: str, fate: str) -> str:
    """The step's name, the last lines of its output, and what becomes of its server."""
    image, _, step = resource.rpartition("/")
    what = f"step {step} of {image}" if image else resource
    lines = [line for line in error.strip().splitlines() if line.strip()]
    tail = "\n".join(f"    {line}" for line in lines[-LAST_LINES:])
    outcome = "The snapshot itself is published" if step == "tarball" else "Nothing of it is published"
    return f"{what} failed:\n{tail}\n{fate}. {outcome}."
