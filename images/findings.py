"""What scanners of vulnerabilities found in a bill of materials: trivy's and grype's reports, read into one kind."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

Severity = Literal["critical", "high", "medium", "low", "unknown"]
SEVERITIES: tuple[Severity, ...] = get_args(Severity)
SCANNERS = ("trivy", "grype")


@dataclass(frozen=True)
class Finding:
    """A vulnerability in a package of an image; `fixed` is the version that has it mended, empty where there is none."""

    id: str
    severity: Severity
    package: str
    version: str
    fixed: str

    @property
    def rank(self) -> tuple[int, str, str]:
        """What sorts findings, the worst first."""
        return SEVERITIES.index(self.severity), self.id, self.package


@dataclass(frozen=True)
class Scan:
    """All that a scanner found in one bill."""

    scanner: str
    findings: tuple[Finding, ...]

    @property
    def counts(self) -> dict[Severity, int]:
        """Vulnerabilities by severity, each counted once, in however many packages it is."""
        worst = {item.id: item.severity for item in reversed(self.findings)}
        found = Counter(worst.values())
        return {severity: found[severity] for severity in SEVERITIES if found[severity]}


def scan_suffix(scanner: str) -> str:
    """What the file of a scanner's report ends with, beside the bill."""
    return f".{scanner}.json"


def read_scan(scanner: str, text: str) -> Scan | None:
    """Read a scanner's report in JSON; nothing where it is none."""
    try:
        found = set(_READERS[scanner](json.loads(text)))
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return Scan(scanner, tuple(sorted(found, key=lambda item: item.rank)))


def counted(counts: Mapping[Severity, int]) -> str:
    """Such as `1 critical, 3 high`."""
    return ", ".join(f"{number} {severity}" for severity, number in counts.items()) or "none known"


def news(before: Scan, after: Scan) -> tuple[tuple[Finding, ...], tuple[Finding, ...]]:
    """Vulnerabilities that are new, and those that are gone, by their ids."""
    return _without(after, before), _without(before, after)


def _without(scan: Scan, other: Scan) -> tuple[Finding, ...]:
    known = {item.id for item in other.findings}
    return tuple({item.id: item for item in reversed(scan.findings) if item.id not in known}.values())[::-1]


def _of_trivy(report: Any) -> Iterator[Finding]:  # noqa: ANN401 - a document of others
    if "Results" not in report and "SchemaVersion" not in report:
        raise KeyError("Results")
    for result in report.get("Results") or []:
        for item in result.get("Vulnerabilities") or []:
            yield Finding(
                item["VulnerabilityID"],
                _severity(item.get("Severity", "")),
                item["PkgName"],
                item.get("InstalledVersion", ""),
                item.get("FixedVersion", ""),
            )


def _of_grype(report: Any) -> Iterator[Finding]:  # noqa: ANN401 - a document of others
    for match in report["matches"]:
        found, artifact = match["vulnerability"], match["artifact"]
        fixed = ", ".join((found.get("fix") or {}).get("versions") or [])
        yield Finding(_cve(match), _severity(found.get("severity", "")), artifact["name"], artifact["version"], fixed)


def _cve(match: Any) -> str:  # noqa: ANN401 - a document of others
    """The CVE of an advisory that has a name of its own, such as GHSA-...: the same as trivy calls it."""
    own: str = match["vulnerability"]["id"]
    related: Iterable[str] = (item["id"] for item in match.get("relatedVulnerabilities") or [])
    return own if own.startswith("CVE-") else next((name for name in related if name.startswith("CVE-")), own)


def _severity(text: str) -> Severity:
    found = {"negligible": "low"}.get(text.lower(), text.lower())
    return next((severity for severity in SEVERITIES if severity == found), "unknown")


_READERS = {"trivy": _of_trivy, "grype": _of_grype}
