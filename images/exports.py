"""The exports of a stack as an interface: what cluster code, reports and pages may rely on. Here they are written and read.

Within a version of the interface no field is removed, renamed or given another meaning, and none that was always there becomes
optional. New fields may come, so readers ignore what they do not know. docs/exports.md describes it.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from images.names import version_key
from images.plan import Tarballs
from images.snapshot import Snapshot
from recipe.problems import Problem, ProblemsError

INTERFACE = 1

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Moment = Annotated[datetime, PlainSerializer(datetime.isoformat, return_type=str, when_used="json")]


class Exported(BaseModel):
    """Base of what the exports hold: read-only, and open for fields to come."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class AcceptanceReport(Exported):
    """The acceptance tests on a server booted from the snapshot. `level` is how far they went, `why` what was not shown.

    `seconds` is how long the node took for what a cluster waits for, by name.
    """

    passed: int = 0
    total: int = 0
    level: str | None = None
    why: str | None = None
    seconds: dict[str, float] = Field(default={})


class Component(Exported):
    """One component of a node; sha256 and url where it came as a file."""

    version: str
    sha256: Sha256 | None = None
    url: str | None = None


class Packages(Exported):
    """The packages of the operating system: how many, and the sha256 of their list."""

    count: int
    sha256: Sha256


class Manifest(Exported):
    """`/etc/node-image.json` of a node. `packages` is there for images of the whole recipe."""

    os: str
    kubernetes: str
    architecture: str
    recipe: str
    as_of: str | None = Field(default=None, alias="asOf")
    components: dict[str, Component]
    packages: Packages | None = None


class KeptTarball(Exported):
    """The archive of an earlier image, where it was packed; `path` relative to the checkout that ran `up`."""

    path: str


class Tarball(KeptTarball):
    """The archive for bare metal, made from the snapshot; `size` in bytes, `path` relative to the checkout that ran `up`."""

    sha256: Sha256
    size: int


class Named(Exported):
    """What an image is called, and the ids of its snapshots by architecture."""

    name: str
    snapshots: dict[str, int]


class Image(Named):
    """What is known of every image: `snapshots` are ids, `sizes` billed gigabytes and `disks` gigabytes, all by architecture.

    No server with a smaller disk can be made of it.
    """

    os: str
    kubernetes: str
    digest: str
    created: Moment
    sizes: dict[str, float]
    disks: dict[str, int] = Field(default={})


class Content(Named):
    """What tells a declared image from the next one, also where a program of before the interface exported it.

    `inputs` is what the digest is made of, by name; `generations` are the names of earlier builds that are kept.
    """

    components: dict[str, str]
    inputs: dict[str, str] = Field(default={})
    generations: list[str] = Field(default=[])


class EarlierImage(Image):
    """An image of an earlier build that is kept. `servers` ran from it when `up` last looked."""

    servers: list[str]
    tarballs: dict[str, KeptTarball] = Field(default={})


class ImageRecord(Image, Content):
    """A declared image, verified and published. What differs by architecture is a mapping from it.

    `name` goes into CAPH's `imageName`; `generations` are the names of earlier builds of this version that are kept;
    `sboms` are files, relative to the checkout that ran `up`; `inputs` is what the digest is made of, by name.
    """

    tests: dict[str, AcceptanceReport]
    manifests: dict[str, Manifest]
    sboms: dict[str, str]
    generations: list[str]
    tarballs: dict[str, Tarball] = Field(default={})


class Exports(Exported):
    """All exports of a stack. `snapshots` names the declared image of each `<os>/<kubernetes>`."""

    interface: Literal[1]
    snapshots: dict[str, str]
    images: list[ImageRecord]
    earlier: list[EarlierImage]


def read_exports(document: Mapping[str, Any], label: str) -> Exports:
    """The typed exports in what `stack output --json` prints; `label` is what errors call it. Raises ProblemsError."""
    _refuse_other_interface(document, label)
    try:
        return Exports.model_validate(document)
    except ValidationError as error:
        remedy = f"run `up`, which writes them anew; docs/exports.md has the fields of interface {INTERFACE}"
        raise ProblemsError(
            [
                Problem(label, _key(item["loc"]), "", f"not as interface {INTERFACE} has it: {item['msg']}", remedy)
                for item in error.errors(include_url=False)
            ]
        ) from error


def read_records(records: object, label: str) -> tuple[Content, ...]:
    """Read the export `images`, also of an older program. Raises ProblemsError where a foreign program wrote it."""
    try:
        return tuple(TypeAdapter(list[Content]).validate_python(records))
    except ValidationError as error:
        raise ProblemsError([_of_a_record(label, item) for item in error.errors(include_url=False)]) from error


def _of_a_record(label: str, item: ErrorDetails) -> Problem:
    remedy = "run ./pulumiw up with this program, then try again"
    match item["type"]:
        case "list_type" | "model_type":
            return Problem(label, "images", "", "the stack output images is not a list of records", remedy)
        case "missing":
            rule = "the record lacks it: an older program exported it"
        case _:
            rule = f"not as interface {INTERFACE} has it: {item['msg']}"
    return Problem(label, _key(("images", *item["loc"])), "", rule, remedy)


def written(record: Mapping[str, Any]) -> dict[str, Any]:
    """An entry of the export `images`, from the fields of an ImageRecord. Raises ValidationError where it would be none."""
    return ImageRecord.model_validate(record).model_dump(mode="json", by_alias=True, exclude_unset=True)


def names_by_version(records: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The export `snapshots` of the written `records`, or of what a preview knows of them."""
    return {version_key(record["os"], record["kubernetes"]): record["name"] for record in records}


def earlier_records(kept: Iterable[Snapshot], tarballs: Tarballs | None = None) -> list[dict[str, Any]]:
    """The export `earlier`: kept snapshots by image, in the order given; `tarballs` where the stack file asks for them."""
    images: dict[str, list[Snapshot]] = {}
    for snapshot in kept:
        images.setdefault(snapshot.image, []).append(snapshot)
    return [_earlier(name, snapshots, tarballs).model_dump(mode="json") for name, snapshots in images.items()]


def json_schema() -> dict[str, Any]:
    """The JSON Schema of the exports."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Exports.model_json_schema(),
        "title": f"Exports of a stack of node images, interface {INTERFACE}",
    }


def _earlier(name: str, snapshots: list[Snapshot], tarballs: Tarballs | None) -> EarlierImage:
    first = snapshots[0]
    return EarlierImage(
        name=name,
        os=first.os,
        kubernetes=first.kubernetes,
        digest=first.digest,
        created=min(item.created for item in snapshots),
        snapshots={item.architecture: item.id for item in snapshots},
        sizes={item.architecture: float(item.size_gb) for item in snapshots},
        disks={item.architecture: item.disk_gb for item in snapshots if item.disk_gb},
        servers=sorted({server for item in snapshots for server in item.servers}),
        tarballs=_kept_tarballs(name, first.os, [item.architecture for item in snapshots], tarballs),
    )


def _kept_tarballs(
    name: str, os: str, architectures: Iterable[str], tarballs: Tarballs | None
) -> dict[str, KeptTarball]:
    if tarballs is None or not tarballs.serves(os):
        return {}
    return {architecture: KeptTarball(path=tarballs.path(os, architecture, name)) for architecture in architectures}


def _refuse_other_interface(document: Mapping[str, Any], label: str) -> None:
    if not document:
        raise ProblemsError([Problem(label, "", "", "the stack has no outputs yet", "run `up` first")])
    found = document.get("interface")
    if found == INTERFACE:
        return
    if found is None:
        rule = "these exports have no interface version: they are older than interface 1, or of another program"
        remedy = "name a stack of node images, and run `up` in it with the version of this program that reads them"
    elif isinstance(found, int) and found > INTERFACE:
        rule, remedy = f"this program reads interface {INTERFACE}", "use a newer version of it"
    else:
        rule, remedy = f"not interface {INTERFACE}", "run `up`, which writes the exports anew"
    raise ProblemsError([Problem(label, "interface", "" if found is None else str(found), rule, remedy)])


def _key(place: tuple[str | int, ...]) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).lstrip(".")
