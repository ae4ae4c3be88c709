"""What Hetzner Cloud takes: every value that a plan sends to its API, against the API's own rule, before anything is made.

Of the values that are not here, this program makes each one itself, and a test holds them to the rules.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from images.capacity import Offer, disks_of
from images.labels import CAPH_IMAGE_NAME
from images.names import Role, worker_name
from images.plan import Build, Plan
from images.stackfile import LOCATIONS, PROJECT, SERVER_TYPES
from images.suggest import did_you_mean
from recipe.problems import Problem

LABEL_VALUE = re.compile(r"^(()|[a-z0-9A-Z]|([a-z0-9A-Z][a-z0-9A-Z\._-]{0,61}[a-z0-9A-Z]))$")
HOST_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
MOST_NETWORKS = 100
LABEL_RULE = (
    "a label takes at most 63 letters, digits, dots, dashes and underscores, and a letter or digit first and last"
)
HOST_RULE = "a server's name takes at most 63 lower-case letters, digits and dashes"
CATALOG = "recipe/catalog.yaml"
STACK_NAME = "the name of the stack"
RENAME = "give the stack another name: ./pulumiw stack rename NAME, and rename its file as well"

SystemImage = tuple[str, str]
"""The name of a system image, and `x86` or `arm`."""


def refused_values(plan: Plan, label: str) -> list[Problem]:
    """A problem for each value of the plan that the API would refuse, told without asking it."""
    builds = [build for image in plan.images for build in image.builds]
    found = {problem for build in builds for problem in _of_build(build, plan.stack, label)}
    return sorted(found | set(_of_networks(plan.ssh_from, label)))


def refused_places(builds: Sequence[Build], offers: Sequence[Offer], label: str) -> list[Problem]:
    """A problem for each declared server type or location that there is not. Of this program's defaults some may have gone."""
    if not offers:
        return []
    types = {build.architecture: build for build in builds}
    locations = dict.fromkeys(name for build in builds for name in build.locations)
    return [
        *_unknown_locations(locations, offers, label),
        *_too_large(types.values(), offers, label),
        *(problem for build in types.values() for problem in _of_types(build, offers, label)),
    ]


def refused_images(builds: Iterable[Build], there: frozenset[SystemImage]) -> list[Problem]:
    """A problem for each system image that a build begins with and Hetzner Cloud does not have."""
    wanted = {(build.labels["os"], build.base_image, build.hcloud_architecture) for build in builds}
    return [
        Problem(
            CATALOG,
            f"operatingSystems.{os}.image",
            image,
            f"Hetzner Cloud has no system image of that name for {architecture}",
            did_you_mean(image, sorted(name for name, kind in there if kind == architecture)),
        )
        for os, image, architecture in sorted(wanted)
        if there and (image, architecture) not in there
    ]


def _of_build(build: Build, stack: str, label: str) -> Iterator[Problem]:
    labels = {**build.labels, **build.server_labels, CAPH_IMAGE_NAME: build.image}
    for key, value in labels.items():
        if not LABEL_VALUE.fullmatch(value):
            yield _of_label(key, value, labels, label)
    names = [worker_name(build.server_name, role) for role in Role]
    if not all(map(HOST_NAME.fullmatch, names)):
        yield Problem(label, STACK_NAME, stack, f"{HOST_RULE}, and has it in it", RENAME)


def _of_label(key: str, value: str, labels: Mapping[str, str], label: str) -> Problem:
    os = labels["os"]
    match key:
        case "stack":
            return Problem(label, STACK_NAME, value, LABEL_RULE, RENAME)
        case "os" | "distribution" | "distribution_version":
            return Problem(CATALOG, f"operatingSystems.{os}", value, f"{LABEL_RULE} ({key})", "give it another name")
        case "caph-image-name":
            most = 63 - len(value) + len(os)
            remedy = f"give the operating system a name of at most {most} of these characters"
            return Problem(CATALOG, f"operatingSystems.{os}", value, f"{LABEL_RULE}: the image's name is one", remedy)
        case _:
            return Problem(label, f"{PROJECT}:images", value, f"{LABEL_RULE} ({key})", "write it in those characters")


def _of_networks(networks: Sequence[str], label: str) -> Iterator[Problem]:
    if len(networks) > MOST_NETWORKS:
        rule = f"a rule of a firewall takes at most {MOST_NETWORKS} networks"
        yield Problem(label, f"{PROJECT}:sshFrom", f"{len(networks)} networks", rule, "name larger ones instead")


def _too_large(builds: Iterable[Build], offers: Sequence[Offer], label: str) -> Iterator[Problem]:
    """An architecture none of whose types has a disk that is small enough."""
    disks = disks_of(offers)
    for build in builds:
        sizes = [disks[name] for name in build.server_types if name in disks]
        if build.max_disk and sizes and min(sizes) > build.max_disk:
            rule = f"no server type of serverTypes.{build.architecture} has so small a disk: the smallest is {min(sizes)} GB"
            remedy = f"write {min(sizes)} or more, or add a type with a smaller disk"
            yield Problem(label, f"{PROJECT}:maxDisk", str(build.max_disk), rule, remedy)


def _unknown_locations(locations: Iterable[str], offers: Sequence[Offer], label: str) -> Iterator[Problem]:
    there = sorted({offer.location for offer in offers})
    for name in locations:
        if name not in there and name not in LOCATIONS:
            rule = "Hetzner Cloud has no location of that name"
            yield Problem(label, f"{PROJECT}:locations", name, rule, did_you_mean(name, there))


def _of_types(build: Build, offers: Sequence[Offer], label: str) -> Iterator[Problem]:
    key = f"{PROJECT}:serverTypes.{build.architecture}"
    kinds = {offer.server_type: offer.architecture for offer in offers}
    ours = sorted(name for name, kind in kinds.items() if kind in ("", build.hcloud_architecture))
    for name in build.server_types:
        if name not in kinds and name not in SERVER_TYPES[build.architecture]:
            yield Problem(label, key, name, "Hetzner Cloud has no server type of that name", did_you_mean(name, ours))
        elif name in kinds and name not in ours:
            rule = f"it is of the other architecture ({kinds[name]})"
            yield Problem(label, key, name, rule, did_you_mean(name, ours))
    if not any(offer.server_type in build.server_types and offer.location in build.locations for offer in offers):
        rule = f"none of them is offered in {', '.join(build.locations)}"
        remedy = f"add another type, or another location to {PROJECT}:locations"
        yield Problem(label, key, ", ".join(build.server_types), rule, remedy)
