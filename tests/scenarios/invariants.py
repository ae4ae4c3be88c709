"""What must hold after a run in peace, whatever happened before. Each function yields a line for what does not."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from images.labels import CAPH_IMAGE_NAME
from tests.scenarios.world import HAND, Run, World

Requests = Sequence[dict[str, Any]]
ARCHITECTURES = {"x86": "amd64", "arm": "arm64"}


def broken(world: World, run: Run, declared: dict[str, set[str]]) -> list[str]:
    """All of it. `declared`: architectures by key, such as `debian-13/1.36.4`."""
    if run.code != 0:
        return [f"the run in peace failed: {last_lines(run.text)}"]
    requests = world.requests()
    outputs = world.outputs()
    return list(
        chain(
            exports(outputs, declared),
            names(world, outputs, requests),
            leftovers(world),
            deletions(requests, set(outputs.get("snapshots", {}).values())),
            clean_preview(world, run),
        )
    )


def exports(outputs: dict[str, Any], declared: dict[str, set[str]]) -> Iterator[str]:
    """A name for each declared image, and a record with a snapshot for each architecture."""
    if set(outputs.get("snapshots", {})) != set(declared):
        yield f"exports are {sorted(outputs.get('snapshots', {}))}, declared is {sorted(declared)}"
    for record in outputs.get("images", []):
        key = f"{record['os']}/{record['kubernetes']}"
        if set(record["snapshots"]) != declared.get(key, set()):
            yield f"exported snapshots of {key}: {record['snapshots']}"


def names(world: World, outputs: dict[str, Any], requests: Requests) -> Iterator[str]:
    """Each exported name is on exactly one snapshot per architecture: available, of that id, and tested before it got it."""
    images = world.hand.images.get_all(type=["snapshot"])
    for record in outputs.get("images", []):
        for architecture, number in record["snapshots"].items():
            found = [
                image
                for image in images
                if (image.labels or {}).get(CAPH_IMAGE_NAME) == record["name"]
                and ARCHITECTURES[str(image.architecture)] == architecture
            ]
            if [image.id for image in found] != [number]:
                yield f"{record['name']} ({architecture}) is exported as {number}, found on {[i.id for i in found]}"
            elif found[0].status != "available":
                yield f"{record['name']} is {found[0].status}"
            elif not is_tested(int(number), requests):
                yield f"snapshot {number} got its name before a server was booted from it"


def is_tested(number: int, requests: Requests) -> bool:
    """Whether a server was made from it before the first request that gave it a name."""
    named = [item["id"] for item in requests if names_snapshot(item, number)]
    booted = [item["id"] for item in requests if boots(item) == number]
    return bool(named and booted) and booted[0] < named[0]


def names_snapshot(request: dict[str, Any], number: int) -> bool:
    """What somebody writes there by hand is no publication."""
    if request["client"].startswith(HAND):
        return False
    labels = request["body"].get("labels") or {}
    return request["method"] == "PUT" and request["path"] == f"/images/{number}" and CAPH_IMAGE_NAME in labels


def boots(request: dict[str, Any]) -> int:
    """The snapshot that a server was made from, else 0."""
    made = request["method"] == "POST" and request["path"] == "/servers" and request["effect"]
    image = str(request["body"].get("image")) if made else ""
    return int(image) if image.isdecimal() else 0


def leftovers(world: World) -> Iterator[str]:
    """No server, key, firewall or snapshot without a name, but those of somebody else."""
    client, foreign = world.hand, world.foreign
    kinds = (client.servers, client.ssh_keys, client.firewalls)
    for item in chain.from_iterable(kind.get_all() for kind in kinds):
        if item.name not in foreign:
            yield f"left over: {type(item).__name__} {item.name}"
    for image in client.images.get_all(type=["snapshot"]):
        if CAPH_IMAGE_NAME not in (image.labels or {}) and image.description not in foreign:
            yield f"left over: snapshot {image.id} without a name ({image.status})"


def deletions(requests: Requests, declared: set[str]) -> Iterator[str]:
    """The program deletes no snapshot that is declared, unless somebody took its name away, and none in use."""
    name_of: dict[str, str] = {}
    server_from = {item["made"]["server"]: boots(item) for item in requests if boots(item)}
    for item in requests:
        by_hand, path = item["client"].startswith(HAND), item["path"]
        labels = item["body"].get("labels")
        if item["method"] == "PUT" and path.startswith("/images/") and item["effect"] and labels is not None:
            name = labels.get(CAPH_IMAGE_NAME, "")
            if name or by_hand:
                name_of[path] = name
        if item["method"] != "DELETE" or not item["effect"]:
            continue
        if path.startswith("/servers/"):
            server_from.pop(int(path.rpartition("/")[2]), None)
        if path.startswith("/images/") and not by_hand:
            if name_of.get(path) in declared:
                yield f"deleted a declared snapshot: {path} ({name_of[path]})"
            if int(path.rpartition("/")[2]) in server_from.values():
                yield f"deleted a snapshot in use: {path}"


QUOTAS = {"servers": "server", "snapshots": "image"}
"""What requests make where a quota counts it."""


def over_quota(requests: Requests, quotas: Mapping[str, int]) -> Iterator[str]:
    """At no time more servers or snapshots than the project may have."""
    for quota, kind in QUOTAS.items():
        alive: set[int] = set()
        for item in requests:
            if item["method"] == "POST" and kind in item["made"]:
                alive.add(item["made"][kind])
            if item["method"] == "DELETE" and item["effect"] and item["path"].startswith(f"/{kind}s/"):
                alive.discard(int(item["path"].rpartition("/")[2]))
            if len(alive) > quotas.get(quota, len(alive)):
                yield f"{len(alive)} {quota} where {quotas[quota]} are allowed, by request {item['id']}"


def clean_preview(world: World, run: Run) -> Iterator[str]:
    """A run that changed nothing is its own proof."""
    if run.changed:
        result = world.workspace.pulumi("preview", "--expect-no-changes", "--suppress-outputs")
        if result.returncode != 0:
            yield f"the preview afterwards is not empty: {last_lines(result.stdout + result.stderr)}"


def last_lines(text: str, count: int = 12) -> str:
    return "\n".join([line for line in text.splitlines() if line.strip()][-count:])
