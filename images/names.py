"""Every name that the program gives: to images, to servers, to the resources of a stack, and the types of those resources.

The states of stacks have them. A resource of another name or type is another resource to the engine, which would delete the one
that stands for a published image. So no value here may change; tests/images/test_names.py holds them.
"""

from dataclasses import dataclass
from enum import StrEnum

PACKAGE = "node-images"
"""What the type tokens of our own resources begin with."""

STACK, SNAPSHOT = "pulumi:pulumi:Stack", "hcloud:index/snapshot:Snapshot"
COMMAND = "command:remote:Command"

NODE_IMAGE = f"{PACKAGE}:index:NodeImage"

BILL_SUFFIX = ".cdx.json"
"""What the file of a bill of materials ends with: the usual ending for CycloneDX."""

SHORT_DIGEST_LENGTH = 8


class Record(StrEnum):
    """The classes of our dynamic resources, by the name in their type token."""

    SERVER = "EphemeralServer"
    POWERED_OFF = "PoweredOff"
    RESTARTED = "Restarted"
    CONNECTED = "Connected"
    PUBLISHED = "Published"
    BILL = "SbomFile"
    TARBALL = "Tarball"
    TARBALL_FILE = "TarballFile"

    @property
    def type(self) -> str:
        """Such as `pulumi-python:dynamic/node-images:EphemeralServer`."""
        return f"pulumi-python:dynamic/{PACKAGE}:{self}"


class Role(StrEnum):
    """What a server is for: the value of its label `role`, and a part of its name and of those of its resources."""

    BUILDER = "builder"
    VERIFIER = "verifier"
    JOINER = "joiner"
    ARCHIVER = "archiver"


class Part(StrEnum):
    """The end of a resource's name, after that of its build or server."""

    SERVER = "-server"
    RESTARTED = "-restarted"
    CONNECTED = "-connected"
    POWERED_OFF = "-powered-off"
    PUBLISHED = "-published"
    BILL = "-sbom"
    TARBALL = "/tarball"
    TARBALL_FILE = "-tarball-file"
    BUNDLE = "-bundle"
    PREPARE = "/prepare"
    RUNTIME = "/runtime"
    KUBERNETES = "/kubernetes"
    FINISH = "/finish"
    TESTS = "/acceptance-tests"
    INVENTORY = "/inventory"
    TESTS_AFTER_RESTART = "/tests-after-restart"
    INVITE = "/invite"
    INTRODUCE = "/introduce"
    JOIN = "/join"
    MEET = "/meet"

    @classmethod
    def phase(cls, phase: str) -> "Part":
        """The part of a build that runs a phase of the recipe."""
        return cls(f"/{phase}")

    @property
    def step(self) -> str:
        """What a part that runs on a server is called there."""
        return self.removeprefix("/")

    def of(self, owner: str) -> str:
        """The name of this part of a build or of a server."""
        return f"{owner}{self}"

    def owner(self, name: str) -> str | None:
        """The build or the server that a name of this part begins with; nothing where it names another part."""
        return name.removesuffix(self) if name.endswith(self) else None


def worker_name(owner: str, role: Role) -> str:
    """The server of a build: `owner` is the build's key, or the prefix of its host names."""
    return f"{owner}-{role}"


def build_of_worker(name: str | None, role: Role) -> str | None:
    """The key of the build that a server of this role belongs to; nothing where its name is not one."""
    suffix = worker_name("", role)
    return name.removesuffix(suffix) if name and name.endswith(suffix) else None


def key_and_step(name: str) -> tuple[str, str]:
    """`debian-13-kube-1.36.4-0a1b2c3d-amd64/finish` -> its build and `finish`; without a build where the name has no step."""
    key, _, step = name.rpartition("/")
    return key, step


def image_name(os: str, kubernetes: str, digest: str) -> str:
    """`debian-13-kube-1.36.4-0a1b2c3d`: the value for CAPH's `imageName`, at most 63 characters."""
    return f"{os}-kube-{kubernetes}-{digest[:SHORT_DIGEST_LENGTH]}"


def image_key(name: str) -> str:
    """What cluster code looks a name up by: `debian-13-kube-1.36.4-0a1b2c3d` -> `debian-13/1.36.4`."""
    os, _, rest = name.partition("-kube-")
    return version_key(os, rest.rpartition("-")[0])


def version_key(os: str, kubernetes: str) -> str:
    """Such as `debian-13/1.36.4`."""
    return f"{os}/{kubernetes}"


def os_and_kubernetes(key: str) -> tuple[str, str]:
    """`debian-13/1.36.4` -> `debian-13`, `1.36.4`."""
    os, _, kubernetes = key.partition("/")
    return os, kubernetes


def build_key(image: str, architecture: str) -> str:
    """An image for one architecture; its snapshot and its component have this name."""
    return f"{image}-{architecture}"


def image_and_architecture(key: str) -> tuple[str, str]:
    """`debian-13-kube-1.36.4-0a1b2c3d-amd64` -> its image and its architecture."""
    image, _, architecture = key.rpartition("-")
    return image, architecture


def server_name(stack: str, digest: str, architecture: str) -> str:
    """A host name that no other stack of the same Hetzner project uses: at most 52 characters, room for a suffix."""
    slug = "".join(character if character.isalnum() else "-" for character in stack.lower())[:24].strip("-")
    return f"node-image-{slug}-{digest[:SHORT_DIGEST_LENGTH]}-{architecture}"


@dataclass(frozen=True)
class Urn:
    """What the engine calls a resource. `types` are those of its parents, but for the stack, and its own at last."""

    stack: str
    types: tuple[str, ...]
    name: str

    @property
    def type(self) -> str:
        return self.types[-1]


def read_urn(text: str) -> Urn:
    """`urn:pulumi:STACK::PROJECT::PARENT$TYPE::NAME`. Raises ValueError."""
    stack, _, types, name = text.split("::", 3)
    return Urn(stack.rpartition(":")[2], tuple(types.split("$")), name)
