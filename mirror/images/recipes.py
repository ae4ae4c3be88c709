"""Which images can be made here, and of what. Only data and decisions."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mirror.errors import MirrorError
from mirror.programs import KUBERNETES, Build, Program

UPSTREAM = "registry.k8s.io"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
DEBIAN_SUITE = "trixie"
# Where registries have no such path: pods of tests name it registry.k8s.io/node-images/test-pod:1.
TEST_POD = "node-images/test-pod:1"
PAUSE_SOURCE = Path(__file__).with_name("pause.c")
NOBODY, WITHOUT_RIGHTS = "65535:65535", "65532:65532"


@dataclass(frozen=True)
class GoProgram:
    """A program of a Go module, at the version that the image's tag names. `path` is its place in the image."""

    program: Program
    package: str
    path: str


@dataclass(frozen=True)
class CProgram:
    """A program of one C file, linked statically."""

    source: str
    path: str


@dataclass(frozen=True)
class Debian:
    """Files of Debian packages and of what they depend on. Nothing of them is run, so they may be of any architecture."""

    packages: tuple[str, ...]
    suite: str = DEBIAN_SUITE


@dataclass(frozen=True)
class Text:
    """A file with this text."""

    path: str
    text: str
    mode: int = 0o644


@dataclass(frozen=True)
class Links:
    """Symbolic links: place -> where it points."""

    targets: Mapping[str, str]


@dataclass(frozen=True)
class Recipe:
    """An image: what is in it, and what a container of it runs."""

    contents: tuple[GoProgram | CProgram | Debian | Text | Links, ...]
    entrypoint: tuple[str, ...]
    user: str = "0:0"
    command: tuple[str, ...] = ()

    @property
    def go(self) -> GoProgram | None:
        """The Go program in it."""
        return next((part for part in self.contents if isinstance(part, GoProgram)), None)

    @property
    def digest(self) -> str:
        """Of all that shapes the image beside the versions of what it is made of."""
        return hashlib.sha256(repr(self).encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Wanted:
    """One image for one architecture: its path in the registry, such as coredns/coredns, and its tag."""

    repository: str
    tag: str
    arch: str
    recipe: Recipe | None = field(compare=False)

    def __str__(self) -> str:
        return f"{self.repository}:{self.tag} {self.arch}"

    @property
    def name(self) -> str:
        """What the nodes call it."""
        return f"{UPSTREAM}/{self.repository}:{self.tag}"

    @property
    def build(self) -> Build | None:
        """The run of the Go compiler that it needs; images of one version of a module have the same."""
        if not (self.recipe and self.recipe.go):
            return None
        # Tags are v1.36.4, 3.6.8-0: the version, and what its packagers counted.
        found = re.fullmatch(r"v?(\d+\.\d+\.\d+)(-\d+)?", self.tag)
        if not found:
            raise MirrorError(f"{self.name}: the tag names no version to build", "name the tag as upstream does")
        return Build(self.recipe.go.program, found[1], self.arch, ())


def _server(name: str) -> Recipe:
    path = f"usr/local/bin/{name}"
    return Recipe((*_BASICS, GoProgram(KUBERNETES, f"cmd/{name}", path)), (f"/{path}",))


_BASICS = (
    Text(
        "etc/passwd",
        "root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n",
    ),
    Text("etc/group", "root:x:0:\nnonroot:x:65532:\n"),
)
# Debian's packages have all below /usr; programs know the loader and the shell by their older places.
_MERGED_USR = Links({name: f"usr/{name}" for name in ("bin", "sbin", "lib", "lib64")})
# What Debian's maintainer scripts would have chosen.
_IPTABLES = Links(
    {
        f"usr/sbin/{family}{action}": "xtables-nft-multi"
        for family in ("iptables", "ip6tables")
        for action in ("", "-save", "-restore")
    }
)
# Applets that somebody looks for in a pod that does not work.
_APPLETS = (
    *("ash", "cat", "cp", "cut", "date", "df", "env", "false", "find", "free", "grep", "head", "hostname", "httpd"),
    *("id", "ip", "kill", "ln", "ls", "mkdir", "nc", "netstat", "nslookup", "ping", "printf", "ps", "pwd", "rm"),
    *("sed", "seq", "sh", "sleep", "sort", "stat", "tail", "tee", "test", "time", "top", "touch", "tr", "true"),
    *("uname", "uptime", "vi", "wc", "wget", "xargs"),
)
# The first process of a container gets no signal that it does not handle, so the shell handles them: a pod ends at once.
_SERVE = """#!/bin/sh
trap 'exit 0' TERM INT
httpd -f -p "${PORT:-8080}" -h /www &
wait
"""
_HOSTNAME = """#!/bin/sh
printf 'Content-Type: text/plain\\r\\n\\r\\n'
hostname
"""

ETCD = Program(name="etcd", module="go.etcd.io/etcd/server/v3", files={}, variables={}, inlining=True)
COREDNS = Program(name="CoreDNS", module="github.com/coredns/coredns", files={}, variables={}, inlining=True)

RECIPES: Mapping[str, Recipe] = {
    **{name: _server(name) for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler")},
    "kube-proxy": Recipe(
        (
            *_BASICS,
            Debian(("conntrack", "iptables", "kmod", "nftables")),
            _MERGED_USR,
            _IPTABLES,
            GoProgram(KUBERNETES, "cmd/kube-proxy", "usr/local/bin/kube-proxy"),
        ),
        ("/usr/local/bin/kube-proxy",),
    ),
    "etcd": Recipe((*_BASICS, GoProgram(ETCD, ".", "usr/local/bin/etcd")), ("/usr/local/bin/etcd",)),
    "coredns/coredns": Recipe((*_BASICS, GoProgram(COREDNS, ".", "coredns")), ("/coredns",), WITHOUT_RIGHTS),
    "pause": Recipe((CProgram(PAUSE_SOURCE.read_text(), "pause"),), ("/pause",), NOBODY),
    TEST_POD.partition(":")[0]: Recipe(
        (
            *_BASICS,
            Debian(("busybox-static",)),
            _MERGED_USR,
            Links({f"usr/bin/{name}": "busybox" for name in _APPLETS}),
            Text("serve", _SERVE, 0o755),
            Text("www/index.html", "A pod of a test.\n"),
            Text("www/cgi-bin/hostname", _HOSTNAME, 0o755),
        ),
        (),
        command=("/serve",),
    ),
}


def wanted_image(name: str, arch: str, recipes: Mapping[str, Recipe] = RECIPES) -> Wanted:
    """Read a name such as registry.k8s.io/coredns/coredns:v1.14.2. Raises MirrorError where it is no such name."""
    # A dot in the first part of a path would be the name of another registry.
    path = r"[a-z0-9]+(?:[_-]+[a-z0-9]+)*(?:/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*"
    found = re.fullmatch(rf"(?:{re.escape(UPSTREAM)}/)?({path}):([A-Za-z0-9_][A-Za-z0-9._-]*)", name)
    if not found:
        raise MirrorError(f"{name}: not the name of an image of {UPSTREAM}", f"a name is {UPSTREAM}/PATH:TAG")
    return Wanted(found[1], found[2], arch, recipes.get(found[1]))
