"""Bundles: all that a server needs to run its phases, as one file. The same content gives the same file, byte for byte.

runner.sh, which is in each of them, says how it is used.
"""

import gzip
import hashlib
import io
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from recipe.render import Step, library
from recipe.texts import text_of

HERE = Path(__file__).parent
RUNNER = "runner.sh"

REMOTE_FILE = "/var/tmp/node-image.tar.gz"  # noqa: S108 - on a server of one user
"""Where a bundle lies on a server. The step `clean` removes it, and what its phases keep beside it (recipe/hygiene.yaml)."""

OUTPUT = "/var/tmp/node-image/output"  # noqa: S108 - as above
"""Where runner.sh puts all that the steps say, one file each."""

RESULT, PACKED = ".result", ".packed"
"""The end of a file's name whose output is the result of its phase, and what stands before it where that is compressed."""

MACHINE_ID = "cat /etc/machine-id\n"


@dataclass(frozen=True)
class Bundle:
    """Files by path: `PHASE/NN-STEP`, and what all of them need.

    Compressed, as it lies where the tests of a node look for words that are in the tests themselves.
    """

    files: Mapping[str, str]

    @cached_property
    def packed(self) -> bytes:
        """The bundle as a compressed tar archive."""
        return gzip.compress(self._archive, mtime=0)

    @cached_property
    def _archive(self) -> bytes:
        file = io.BytesIO()
        with tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as archive:
            for path, text in sorted(self.files.items()):
                content = text.encode()
                member = tarfile.TarInfo(path)
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
        return file.getvalue()

    @property
    def digest(self) -> str:
        """The sha256 of what is in it, however it is compressed."""
        return hashlib.sha256(self._archive).hexdigest()


def bundle(steps: Iterable[Step], tests: Mapping[str, Mapping[str, str]]) -> Bundle:
    """The bundle of an image: `tests` are complete scripts by phase and name, whose output is the result of the phase.

    A name may end with PACKED.
    """
    files = {"lib.sh": library(), RUNNER: text_of(HERE / RUNNER)}
    # Before all steps: after `clean` nobody could ask for it any more.
    files["prepare/00-machine-id" + RESULT] = MACHINE_ID
    files |= {f"{step.phase}/{number:02}-{step.name}": step.text for number, step in enumerate(steps, 1)}
    for phase, scripts in tests.items():
        for number, (name, script) in enumerate(scripts.items(), 1):
            files[f"{phase}/{number:02}-{name}{RESULT}"] = script.removeprefix(library()).removeprefix("\n")
    return Bundle(files)


def command(phase: str, occasion: str = "") -> str:
    """Shell that runs a phase of the bundle on a server; what has finished runs again on another `occasion` alone."""
    return f'bash -c "$(tar -xzOf {REMOTE_FILE} {RUNNER})" {REMOTE_FILE} {phase} {occasion}'.rstrip()
