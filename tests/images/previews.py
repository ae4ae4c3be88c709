"""Documents as `pulumi preview --json` writes them, with the parts that a report reads, and others that it must leave alone."""

from typing import Any

from images.preview import Preview, read_preview

OLD, NEW = "debian-13-kube-1.36.4-0000aaaa", "debian-13-kube-1.36.4-1111bbbb"
URN = "urn:pulumi:prod::node-images::"
TYPES = {
    "image": "node-images:index:NodeImage",
    "bundle": "node-images:index:NodeImage$command:remote:CopyToRemote",
    "tests": "node-images:index:NodeImage$command:remote:Command",
    "snapshot": "node-images:index:NodeImage$hcloud:index/snapshot:Snapshot",
    "server": "node-images:index:NodeImage$pulumi-python:dynamic/node-images:EphemeralServer",
    "published": "node-images:index:NodeImage$pulumi-python:dynamic/node-images:Published",
    "sbom": "node-images:index:NodeImage$pulumi-python:dynamic/node-images:SbomFile",
}
INPUTS = {"asOf": "", "packages": "p", "lib.sh": "l", "step kernel": "k", "source kernel": "k", "file containerd": "c"}


def step(kind: str, op: str, name: str, **states: Any) -> dict[str, Any]:
    return {"op": op, "urn": f"{URN}{TYPES[kind]}::{name}", **states}


def record(name: str = OLD, **more: Any) -> dict[str, Any]:
    components = {"kubernetes": "1.36.4", "containerd": "2.3.3"}
    return {"name": name, "snapshots": {"amd64": 1}, "components": components, "inputs": INPUTS, **more}


def document(*steps: dict[str, Any], records: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    outputs = {"images": [record()] if records is None else records}
    stack = {"op": "same", "urn": f"{URN}pulumi:pulumi:Stack::node-images-prod", "oldState": {"outputs": outputs}}
    return {"steps": [stack, *steps], "changeSummary": {}}


def preview(*steps: dict[str, Any], records: list[dict[str, Any]] | None = None) -> Preview:
    return read_preview(document(*steps, records=records), "preview.json")


def build(name: str, op: str = "create", inputs: dict[str, str] = INPUTS, **components: str) -> list[dict[str, Any]]:
    """A build of an image for amd64, as the engine shows it: with the parts that matter, and more."""
    versions = {"kubernetes": name.split("-kube-")[1].split("-")[0], "containerd": "2.3.3", **components}
    state = {"inputs": {"image": name, "components": versions, "inputs": inputs}}
    parts = [step("image", op, f"{name}-amd64", newState=state)] if op == "create" else []
    return [
        *parts,
        step("server", op, f"{name}-amd64-builder-server"),
        step("bundle", op, f"{name}-amd64-builder-bundle"),
        step("snapshot", op, f"{name}-amd64"),
        step("server", op, f"{name}-amd64-verifier-server"),
        step("published", op, f"{name}-amd64-published"),
    ]


def retire(name: str) -> list[dict[str, Any]]:
    """The records of a build leave the state, its snapshot stays."""
    return [
        step("image", "update", f"{name}-amd64", newState={"inputs": {"image": name, "earlier": True}}),
        step("bundle", "delete", f"{name}-amd64-builder-bundle"),
        step("server", "delete", f"{name}-amd64-verifier-server"),
    ]
