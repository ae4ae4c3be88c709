"""Which server types an image boots on: a snapshot's disk is as large as that of its build server, and fits no smaller one."""

from collections.abc import Mapping, Sequence

from images.exports import Image
from images.names import image_and_architecture
from images.plan import Plan
from images.snapshot import Snapshot
from images.stackfile import PROJECT

DISKS: Mapping[str, Mapping[str, int]] = {
    "amd64": {
        "cx23": 40, "cpx12": 40, "cx22": 40, "cpx11": 40,
        "cx33": 80, "cpx22": 80, "ccx13": 80, "cx32": 80, "cpx21": 80,
        "cx43": 160, "cpx32": 160, "ccx23": 160, "cx42": 160, "cpx31": 160,
        "ccx33": 240, "cpx41": 240, "cx53": 320, "cpx42": 320, "cx52": 320,
        "ccx43": 360, "cpx51": 360, "cpx52": 480, "ccx53": 600, "cpx62": 640, "ccx63": 960,
    },
    "arm64": {"cax11": 40, "cax21": 80, "cax31": 160, "cax41": 320},
}  # fmt: skip
"""Gigabytes by server type, as of November 2026, for commands that ask no API: by disk, and what is sold first.

The others are sold no longer in Europe, and still run.
"""

NAMED = 4


def disk_of(server_type: str) -> int:
    """The disk of a server type; 0 where it is not known here."""
    return next((disks[server_type] for disks in DISKS.values() if server_type in disks), 0)


def misfit(server_type: str, image: Image) -> tuple[str, str] | None:
    """Rule and remedy where no server of a type can be made of an image; nothing where it can, or the type is not known here."""
    architecture = next((name for name, disks in DISKS.items() if server_type in disks), "")
    if not architecture:
        return None
    if architecture not in image.snapshots:
        rule = f"{image.name} is for {', '.join(image.snapshots)}, and this type is {architecture}"
        return (
            rule,
            f"use a type of these architectures, or add {architecture} to the image's architectures in the stack file",
        )
    need, disk = image.disks.get(architecture, 0), disk_of(server_type)
    if disk >= need:
        return None
    remedy = (
        f"use a type with {need} GB or more, or {PROJECT}:maxDisk: {disk} in the stack file, which has it built again"
    )
    return f"{image.name} has a disk of {need} GB, and this type has {disk} GB: no server is made", remedy


def boots_on(disk: int, architecture: str) -> str:
    """In words: `80 GB disk: not for cpx11, cx23`."""
    fit, unfit = fitting(disk, architecture)
    if not unfit:
        return f"{disk} GB disk: boots on every server type"
    more = f" and {len(fit) - NAMED} more" if len(fit) > NAMED else ""
    return f"{disk} GB disk: boots on {', '.join(fit[:NAMED])}{more}; not on {', '.join(unfit)}"


def fitting(disk: int, architecture: str) -> tuple[list[str], list[str]]:
    """The server types that boot an image, by disk, and those whose disk is too small. An unknown disk is 0."""
    types = DISKS.get(architecture, {})
    fit = [name for name, size in types.items() if size >= disk] if disk else []
    return fit, [name for name, size in types.items() if size < disk]


def exceeds(plan: Plan, item: Snapshot) -> bool:
    """Whether a snapshot of the stack has a larger disk than the stack file allows: then it is built again."""
    most = max((build.max_disk for image in plan.images for build in image.builds), default=0)
    return bool(most) and item.disk_gb > most


def large_images(plan: Plan, found: Mapping[str, Snapshot], disks: Mapping[str, int]) -> list[str]:
    """What a preview tells of images that the smallest declared server type does not boot. `disks`: as the API has them."""
    pairs = [(build, found[build.key]) for image in plan.images for build in image.builds if build.key in found]
    return [line for build, item in pairs if (line := too_large(build.key, item.disk_gb, build.server_types, disks))]


def too_large(key: str, disk: int, server_types: Sequence[str], disks: Mapping[str, int]) -> str:
    """What is to be said of an image whose disk no server of the smallest declared type has; else nothing."""
    known = {name: size for name in server_types if (size := disks.get(name) or disk_of(name))}
    smallest = min(known, key=lambda name: known[name], default="")
    if not smallest or disk <= known[smallest]:
        return ""
    image, architecture = image_and_architecture(key)
    small = [name for name, size in known.items() if size < disk]
    return (
        f"{image} ({architecture}) has a disk of {disk} GB, as its build server had, so no {', '.join(small)} can be made of it. "
        f"{PROJECT}:maxDisk: {known[smallest]} in the stack file has it built again on a smaller one"
    )
