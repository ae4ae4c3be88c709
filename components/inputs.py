"""What records are told, key by key: the type checker finds a key that is missing, misspelt, or of another type.

Providers get the same keys from the engine, where every number has a fraction and everything is known.
"""

from collections.abc import Mapping, Sequence
from typing import NotRequired, TypedDict

from pulumi import Input


class Whereabouts(TypedDict):
    """What it takes to delete a server."""

    server_id: Input[int]
    name: str
    labels: Mapping[str, str]


class NewServer(TypedDict):
    """What any server is made from. `image`: the name of a system image, or the id of a snapshot.

    `ssh_from`: networks in CIDR notation that may reach it by SSH; everybody where there are none.
    """

    name: str
    digest: Input[str]
    image: Input[str]
    hcloud_architecture: str
    server_types: Sequence[str]
    locations: Sequence[str]
    labels: Mapping[str, str]
    ssh_port: int
    ssh_from: Sequence[str]


class ServerInputs(NewServer):
    """Of an EphemeralServer, which says what `variables` and `done` are.

    `max_disk`: the largest disk in GB that the type of a builder may have, 0 for any; `sources`: URLs that must not refuse it.
    """

    variables: str
    done: bool
    let_go: Sequence[Whereabouts]
    max_disk: NotRequired[int]
    sources: NotRequired[Sequence[str]]


class PoweredOffInputs(TypedDict):
    """Of a PoweredOff."""

    server_id: Input[int]


class RestartedInputs(TypedDict):
    """Of a Restarted. `wanted`: whether the tests have made something that must survive it."""

    server_id: Input[int]
    host: Input[str]
    ssh_port: Input[int]
    wanted: Input[bool]


class NodeInputs(TypedDict):
    """A server that others must reach. `address`: the one that it has towards them."""

    name: str
    labels: Mapping[str, str]
    address: Input[str]


class ConnectedInputs(TypedDict):
    """Of a Connected."""

    server_ids: Sequence[Input[int]]
    nodes: Sequence[NodeInputs]


class Seen(TypedDict):
    """A snapshot as the start of the program saw it."""

    name: str
    protected: bool


class Proof(TypedDict, total=False):
    """What a publication keeps of the tests: their digest, report and manifest (JSON), and the servers that it lets go."""

    tests: str
    report: Input[str]
    manifest: Input[str]
    let_go: Sequence[Whereabouts]


class Named(Proof):
    """What a snapshot is to be published as."""

    name: str
    architecture: str
    hcloud_architecture: str
    protect: bool


class PublishedInputs(Named):
    """Of a Published."""

    snapshot_id: Input[int]
    found: Seen | None


class FileInputs(TypedDict):
    """A file, relative to the checkout."""

    path: str


class BillInputs(FileInputs):
    """Of an SbomFile: the bill's sha256."""

    sha256: Input[str]


class TarballInputs(NewServer):
    """Of a Tarball: the `script` that packs, and where the archive goes."""

    script: str
    path: str
