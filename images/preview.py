"""The engine's preview, and the records of the last `up` that it carries, read into what matters of images."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from images.exports import Content, read_records
from images.names import (
    NODE_IMAGE,
    SNAPSHOT,
    STACK,
    Part,
    Role,
    Urn,
    build_of_worker,
    image_and_architecture,
    image_key,
    os_and_kubernetes,
    read_urn,
)
from images.report import report_and_inventory
from recipe.problems import Problem, ProblemsError
from recipe.sbom import read_inventory, sbom


class _Part(BaseModel):
    """Of the engine's document only what is asked for is read."""

    model_config = ConfigDict(extra="ignore", frozen=True, populate_by_name=True)


class _State(_Part):
    inputs: dict[str, Any] = {}
    outputs: dict[str, Any] = {}


class _Step(_Part):
    op: str
    urn: Annotated[str, Field(pattern=r"^urn:pulumi:[^:]*::[^:]*::.+::.+$")]
    old: _State | None = Field(default=None, alias="oldState")
    new: _State | None = Field(default=None, alias="newState")

    @property
    def resource(self) -> Urn:
        return read_urn(self.urn)

    @property
    def type(self) -> str:
        return self.resource.type

    @property
    def name(self) -> str:
        return self.resource.name


class _Diagnostic(_Part):
    severity: str = ""
    message: str = ""


class _Document(_Part):
    steps: list[_Step] = []
    diagnostics: list[_Diagnostic] = []
    summary: dict[str, int] | None = Field(default=None, alias="changeSummary")


@dataclass(frozen=True)
class Image:
    """An image as its exported record or a preview tells of it. An older program recorded no `inputs`, and they are empty."""

    name: str
    architectures: tuple[str, ...]
    components: Mapping[str, str]
    inputs: Mapping[str, str]
    generations: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        return image_key(self.name)

    @property
    def os(self) -> str:
        return os_and_kubernetes(self.key)[0]

    @property
    def kubernetes(self) -> str:
        return os_and_kubernetes(self.key)[1]


@dataclass(frozen=True)
class Preview:
    """What the engine would do. `operations` by image, architecture and part: snapshot, test, publication.

    `new` images become declared ones; those that are `begun` were so in an earlier run, which did not finish them. `retired` ones
    (image and architecture) are declared no longer, and `dropped` ones of them leave the state with all that there is of them.
    `bills` are the bills of materials that the state holds of images that change, by image and architecture.
    """

    stack: str
    records: tuple[Image, ...]
    new: Mapping[str, Image]
    retired: frozenset[tuple[str, str]]
    dropped: frozenset[tuple[str, str]]
    operations: Mapping[tuple[str, str, str], frozenset[str]]
    bills: Mapping[tuple[str, str], str]
    errors: tuple[str, ...]
    begun: frozenset[str] = frozenset()

    def architectures(self, image: str, part: str, operations: set[str]) -> tuple[str, ...]:
        """The architectures of an image of which a part undergoes one of the operations."""
        return tuple(
            architecture
            for (name, architecture, what), done in self.operations.items()
            if name == image and what == part and done & operations
        )

    def names(self) -> list[str]:
        """All images that anything happens to."""
        changing = (name for name, *_ in (*self.operations, *sorted(self.retired)))
        return list(dict.fromkeys([*changing, *self.new]))


def read_preview(document: object, label: str) -> Preview:
    """Read `pulumi preview --json`. Raises ProblemsError for what is no such document."""
    read = _read(document, label)
    stack = next((step for step in read.steps if step.type == STACK), None)
    outputs = stack.old.outputs if stack and stack.old else {}
    records = tuple(map(_image, read_records(outputs.get("images") or [], label)))
    begun = _begun(read.steps, {image.name for image in records})
    return Preview(
        stack=stack.resource.stack if stack else "",
        records=records,
        new={**dict(_new_images(_changing(read.steps))), **begun},
        retired=frozenset(image_and_architecture(key) for step in _changing(read.steps) if (key := _retired(step))),
        dropped=frozenset(image_and_architecture(step.name) for step in read.steps if _drops(step)),
        operations=_operations(read.steps),
        bills=dict(_bills(read.steps)),
        errors=_errors(read.diagnostics),
        begun=frozenset(begun),
    )


def _changing(steps: Sequence[_Step]) -> list[_Step]:
    return [step for step in steps if step.op != "same"]


def _begun(steps: Sequence[_Step], exported: Collection[str]) -> dict[str, Image]:
    """Of images that the state has and no `up` has exported: an earlier run did not finish them."""
    same = [step for step in steps if step.op == "same"]
    return {name: image for name, image in _new_images(same) if name not in exported}


def _read(document: object, label: str) -> _Document:
    rule = "not the output of `pulumi preview --json`"
    problem = Problem(label, "", "", rule, "write it with: ./pulumiw preview --json --stack STACK > preview.json")
    try:
        read = _Document.model_validate(document)
    except ValidationError as error:
        raise ProblemsError([problem]) from error
    if read.summary is None and not read.diagnostics:
        raise ProblemsError([problem])
    return read


def _image(record: Content) -> Image:
    architectures, generations = tuple(record.snapshots), tuple(record.generations)
    return Image(record.name, architectures, record.components, record.inputs, generations)


def _errors(diagnostics: Sequence[_Diagnostic]) -> tuple[str, ...]:
    """The errors in words; that the program ended because of them says nothing more.

    The engine calls it an error, too, when the preview is complete and a plugin needs over five seconds to
    acknowledge its end, as on a busy machine. A plugin that ends any earlier fails a resource, which has an error of its own.
    """
    said = [item.message.strip() for item in diagnostics if item.severity == "error"]
    errors = [text for text in said if "exited prematurely" not in text]
    telling = [text for text in errors if "program exited with non-zero exit code" not in text]
    return tuple(text.removeprefix("error: ") for text in telling or errors)


def _operations(steps: Sequence[_Step]) -> dict[tuple[str, str, str], frozenset[str]]:
    found: dict[tuple[str, str, str], set[str]] = {}
    for step in steps:
        part = _part(step)
        if part:
            found.setdefault(part, set()).add(step.op)
    return {part: frozenset(operations) for part, operations in found.items()}


def _part(step: _Step) -> tuple[str, str, str] | None:
    """The image, the architecture and the part of it that a resource stands for."""
    if step.type == SNAPSHOT:
        return *image_and_architecture(step.name), "snapshot"
    if key := build_of_worker(Part.SERVER.owner(step.name), Role.VERIFIER):
        return *image_and_architecture(key), "test"
    if (key := Part.PUBLISHED.owner(step.name)) and not _has_its_name(step):
        return *image_and_architecture(key), "publication"
    return None


def _has_its_name(step: _Step) -> bool:
    """Whether a publication changes only in what it keeps of the tests: the snapshot has its name already."""
    if step.op != "update" or not step.old or not step.new:
        return False
    new, found = step.new.inputs, step.new.inputs.get("found") or {}
    return bool(found.get("name") == new.get("name") and step.old.inputs.get("protect") == new.get("protect"))


def _drops(step: _Step) -> bool:
    """Whether all that there is of an image leaves the state."""
    return step.type == NODE_IMAGE and step.op == "delete"


def _retired(step: _Step) -> str | None:
    """The build that is declared no longer: its records leave the state, or its image becomes an earlier one."""
    if step.op == "delete" and (key := build_of_worker(Part.BUNDLE.owner(step.name), Role.BUILDER)):
        return key
    earlier = step.type == NODE_IMAGE and bool(step.new and step.new.inputs.get("earlier"))
    return step.name if earlier or _drops(step) else None


def _new_images(steps: Sequence[_Step]) -> Iterator[tuple[str, Image]]:
    for step in steps:
        inputs = step.new.inputs if step.new else {}
        if step.type == NODE_IMAGE and "components" in inputs:
            image, architecture = image_and_architecture(step.name)
            yield image, Image(image, (architecture,), inputs["components"], inputs.get("inputs", {}))


def _bills(steps: Sequence[_Step]) -> Iterator[tuple[tuple[str, str], str]]:
    """What the tests told of packages; a state that was made when bills were in it has them as they are."""
    for step in steps:
        outputs = step.old.outputs if step.old else {}
        if (key := Part.BILL.owner(step.name)) and isinstance(outputs.get("text"), str):
            yield image_and_architecture(key), outputs["text"]
        if (key := Part.TESTS.owner(step.name)) and isinstance(outputs.get("stdout"), str):
            yield image_and_architecture(key), _bill(key, outputs["stdout"])


def _bill(key: str, told: str) -> str:
    try:
        return sbom(image_and_architecture(key)[0], read_inventory(report_and_inventory(told)[1]))
    except (ValueError, KeyError, TypeError):
        return ""
