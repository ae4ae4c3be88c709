"""`./node-images scan`: what trivy or grype, where one is installed, knows of a stack's bills of materials."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

from cli.bills import scan_file
from images.findings import SCANNERS, Scan, read_scan, scan_suffix
from images.names import BILL_SUFFIX
from recipe.problems import Problem, ProblemsError

Scanner = Literal["trivy", "grype"]
COMMANDS: Mapping[str, Sequence[str]] = {
    "trivy": ("sbom", "{bill}"),
    "grype": ("sbom:{bill}", "--output", "json"),
}
JSON_OF_TRIVY = {"TRIVY_FORMAT": "json", "TRIVY_QUIET": "true"}


def find_scanner(wanted: str | None) -> str:
    """The scanner that was asked for, or the first that is there. Raises ProblemsError."""
    found = [name for name in ([wanted] if wanted else SCANNERS) if shutil.which(name)]
    if found:
        return found[0]
    rule = f"no {wanted or ' or '.join(SCANNERS)} is on PATH"
    remedy = "install trivy (https://trivy.dev) or grype (https://github.com/anchore/grype), then try again"
    raise ProblemsError([Problem("./node-images", "--scanner", wanted or "", rule, remedy)])


def bills_of(folder: Path) -> list[Path]:
    """The bills of materials of a stack. Raises ProblemsError where there is none."""
    bills = sorted(folder.glob(f"*{BILL_SUFFIX}"))
    if not bills:
        remedy = "run it in the checkout that ran `up`, or copy its bills there"
        raise ProblemsError([Problem(str(folder), "", "", "no bill of materials is there", remedy)])
    return bills


def scan_bills(scanner: str, bills: Sequence[Path]) -> Iterator[tuple[Path, Scan]]:
    """Ask the scanner of each bill; its report lies beside it then. Raises ProblemsError."""
    for bill in bills:
        report = _ask(scanner, bill)
        scan = read_scan(scanner, report)
        if scan is None:
            remedy = f"look at what {scanner} prints, and update it"
            raise ProblemsError([Problem(str(bill), "", "", f"{scanner} wrote no report that is known here", remedy)])
        scan_file(bill, scanner).write_text(report)
        yield bill, scan


def forget_gone(folder: Path) -> None:
    """Delete reports whose bill went with its image."""
    for scanner in SCANNERS:
        for file in folder.glob(f"*{scan_suffix(scanner)}"):
            if not file.with_name(f"{file.name.removesuffix(scan_suffix(scanner))}{BILL_SUFFIX}").exists():
                file.unlink()


def _ask(scanner: str, bill: Path) -> str:
    command = [scanner, *(part.format(bill=bill) for part in COMMANDS[scanner])]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **JSON_OF_TRIVY})
    if done.returncode == 0:
        return done.stdout
    said = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
    remedy = f"try it by itself: {' '.join(command)}"
    raise ProblemsError([Problem(str(bill), "", "", f"{scanner} failed: {said}", remedy)])
