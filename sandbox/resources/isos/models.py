"""ISOs: some of those that Hetzner has. Gap: a machine does not see what is attached to it."""

from __future__ import annotations

from dataclasses import dataclass

from sandbox.errors import invalid_input, not_found


@dataclass(frozen=True)
class Iso:
    """A public image of a disc; without an architecture it is for any."""

    id: int
    name: str
    description: str
    architecture: str | None = "x86"


ISOS = (
    Iso(8637, "windows-server-2022-english.iso", "Windows Server 2022 English"),
    Iso(8638, "windows-server-2022-german.iso", "Windows Server 2022 German"),
    Iso(120001, "debian-13.1.0-amd64-netinst.iso", "Debian 13.1 (amd64/netinstall)"),
    Iso(120002, "debian-13.1.0-arm64-netinst.iso", "Debian 13.1 (arm64/netinstall)", "arm"),
    Iso(120003, "netboot.xyz.iso", "netboot.xyz", None),
)


def iso(ref: str) -> Iso:
    """By id or name; raises not_found."""
    for item in ISOS:
        if ref in (item.name, str(item.id)):
            return item
    raise not_found("iso", int(ref) if ref.isdigit() else ref)


def require_fit(item: Iso, architecture: str) -> None:
    """Raises invalid_input."""
    if item.architecture not in (None, architecture):
        raise invalid_input(("iso", f"is for architecture {item.architecture}, the server's is {architecture}"))
