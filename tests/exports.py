"""Exports of a stack as the tests need them, in the shape that `stack output --json` prints."""

from typing import Any

SHA256 = "0123456789abcdef" * 4


def image(
    kubernetes: str = "1.36.4", os: str = "debian-13", digest: str = "0a1b2c3d", **changes: Any
) -> dict[str, Any]:
    name = f"{os}-kube-{kubernetes}-{digest}"
    components = {"kubernetes": kubernetes, "containerd": "2.3.4", "runc": "1.4.4", "pause": "3.10.2"}
    manifest = {
        "os": os,
        "architecture": "amd64",
        "kubernetes": kubernetes,
        "recipe": SHA256,
        "asOf": "20261101T000000Z",
        "components": {
            "kubelet": {"version": kubernetes, "sha256": SHA256, "url": "https://dl.k8s.io/kubelet"},
            "pause": {"version": "3.10.2"},
        },
        "packages": {"count": 243, "sha256": SHA256},
    }
    return {
        "name": name,
        "os": os,
        "kubernetes": kubernetes,
        "digest": digest * 4,
        "created": "2026-11-20T10:00:00+00:00",
        "snapshots": {"amd64": 42},
        "sizes": {"amd64": 0.33},
        "tests": {"amd64": {"passed": 201, "total": 201}},
        "components": components,
        "manifests": {"amd64": manifest},
        "sboms": {"amd64": f"sboms/test/{name}-amd64.cdx.json"},
        "generations": [],
        **changes,
    }


def tarball(image: dict[str, Any], *architectures: str) -> dict[str, Any]:
    """The fields of an image that was packed too, for amd64 where no architecture is said."""
    name = image["name"].removeprefix("debian-13-")
    paths = {item: f"tarballs/test/Debian-1300-trixie-{item}-{name}.tar.gz" for item in architectures or ("amd64",)}
    return {"tarballs": {item: {"path": path, "sha256": SHA256, "size": 412_000_000} for item, path in paths.items()}}


def earlier(
    kubernetes: str = "1.36.4", os: str = "debian-13", digest: str = "f0e1d2c3", **changes: Any
) -> dict[str, Any]:
    return {
        "name": f"{os}-kube-{kubernetes}-{digest}",
        "os": os,
        "kubernetes": kubernetes,
        "digest": digest * 4,
        "created": "2026-10-20T10:00:00+00:00",
        "snapshots": {"amd64": 41},
        "sizes": {"amd64": 0.32},
        "servers": [],
        "tarballs": {},
        **changes,
    }


def exports(*images: dict[str, Any], kept: tuple[dict[str, Any], ...] = ()) -> dict[str, Any]:
    declared = images or (image(),)
    return {
        "interface": 1,
        "snapshots": {f"{item['os']}/{item['kubernetes']}": item["name"] for item in declared},
        "images": list(declared),
        "earlier": list(kept),
    }
