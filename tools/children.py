"""Programs that run on our terminal."""

import subprocess


def to_its_end(process: subprocess.Popen[bytes]) -> bytes:
    """Wait for a program, and return what it wrote where that is ours. A Ctrl-C reaches it as well: its end is waited for."""
    try:
        text, _ = process.communicate()
    except KeyboardInterrupt:
        process.wait()
        raise
    return text or b""
