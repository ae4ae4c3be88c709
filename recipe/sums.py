"""Checksum files as publishers write them: a bare sum, or lines of `sum  filename` (also `sum *filename`)."""

import re

_LINE = re.compile(r"([0-9A-Fa-f]{64})(?:[ \t]+\*?(\S+))?")


class SumsError(ValueError):
    """A checksum file that does not tell the sum of the file asked for; the text says why."""


def sum_of(filename: str, text: str) -> str:
    """The sha256 (64 lower-case hexadecimal digits) of `filename` in the text of a checksum file. Raises SumsError.

    A bare sum counts only where it stands alone: among several lines nothing says whose it is.
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        raise SumsError("the checksum file is empty")
    matches = [_LINE.fullmatch(line) for line in lines]
    found = [(match[1].lower(), match[2]) for match in matches if match]
    if len(found) < len(lines):
        raise SumsError("not a checksum file: a line is not a sha256 with or without a file name")
    if len(found) == 1 and found[0][1] is None:
        return found[0][0]
    sums = {digest for digest, name in found if name and name.removeprefix("./") == filename}
    if not sums:
        raise SumsError(f"the checksum file does not list {filename}")
    if len(sums) > 1:
        raise SumsError(f"the checksum file lists {filename} with different sums")
    return sums.pop()
