"""Files that programs write while others read them."""

import tempfile
from pathlib import Path


def write_atomically(file: Path, text: str) -> None:
    """Replace a file by one with this text; readers see the old or the new one, never a part."""
    with tempfile.NamedTemporaryFile("w", dir=file.parent, prefix=f".{file.name}.", delete=False) as temporary:
        try:
            temporary.write(text)
            temporary.flush()
            Path(temporary.name).chmod(0o644)
            Path(temporary.name).replace(file)
        except BaseException:
            Path(temporary.name).unlink(missing_ok=True)
            raise
