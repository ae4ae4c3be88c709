"""Bills of materials on this machine, and what scanners said of them, which lies beside them."""

from collections.abc import Iterable
from pathlib import Path

from images.comparison import Known
from images.findings import SCANNERS, Scan, read_scan, scan_suffix
from images.names import BILL_SUFFIX, image_and_architecture


def read_bills(folder: Path) -> dict[tuple[str, str], str]:
    """The bills of materials of all stacks below a folder, by image and architecture: the same name is the same content."""
    return {image_and_architecture(_key(file)): file.read_text() for file in _bills(folder, "")}


def known_of(image: str, *folders: Path) -> Known:
    """What lies below folders of one image, whichever stack has written it; the first that has it counts."""
    found = [file for folder in reversed(folders) for file in _bills(folder, f"{image}-")]
    files = {image_and_architecture(_key(file))[1]: file for file in found}
    scans = {
        (architecture, scanner): scan
        for architecture, file in files.items()
        for scanner in SCANNERS
        if (scan := scan_of(file, scanner))
    }
    return Known({architecture: file.read_text() for architecture, file in files.items()}, scans)


def scan_of(bill: Path, scanner: str) -> Scan | None:
    """What a scanner found in a bill, where somebody has asked it."""
    report = scan_file(bill, scanner)
    return read_scan(scanner, report.read_text()) if report.is_file() else None


def scan_file(bill: Path, scanner: str) -> Path:
    """Where the scanner's report of a bill is."""
    return bill.with_name(f"{_key(bill)}{scan_suffix(scanner)}")


def bill_and_scans(bill: Path) -> list[Path]:
    """The bill, and the reports of scanners that are beside it."""
    return [bill, *(report for scanner in SCANNERS if (report := scan_file(bill, scanner)).is_file())]


def _bills(folder: Path, start: str) -> Iterable[Path]:
    return sorted(folder.glob(f"*/{start}*{BILL_SUFFIX}"))


def _key(bill: Path) -> str:
    return bill.name.removesuffix(BILL_SUFFIX)
