"""Which upstream files are open-source Go programs, and how each is built from its module. Only data and decisions."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

_KUBERNETES = ("kubeadm", "kubelet", "kubectl")
NO_INLINING = "-l"
_KUBERNETES_VERSION = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")


@dataclass(frozen=True, eq=False)
class Program:
    """A release of Go programs: one module, one or more files.

    files: URL with {version} and {arch} -> packages (relative to the module; globs allowed) whose binaries it holds.
    variables: Go variable -> value set when linking; {version}, {major}, {minor} are filled in.
    prefix: where the binaries lie within the archive; None where the file is the binary itself.
    texts: files of the module that the archive also holds.
    skip: packages that a glob matches but upstream does not ship for Linux.
    inlining: whether functions are inlined. It takes half as long again to compile, and makes a busy program 1.7 times
        faster: worth it for what runs on a node without pause, where that may be an emulated one.
    """

    name: str
    module: str
    files: Mapping[str, tuple[str, ...]]
    variables: Mapping[str, str]
    tags: tuple[str, ...] = ()
    prefix: str | None = None
    texts: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()
    cgo: bool = False
    inlining: bool = False

    @property
    def compiler_flags(self) -> str:
        """The value of -gcflags: no debug information, as linking (-s -w) drops it."""
        return "all=-dwarf=false" if self.inlining else f"all=-dwarf=false {NO_INLINING}"


@dataclass(frozen=True)
class Build:
    """One run of the Go compiler: some files of one version of a program, for one architecture (amd64 or arm64)."""

    program: Program
    version: str
    arch: str
    urls: tuple[str, ...]

    def __str__(self) -> str:
        names = ", ".join(url.rsplit("/", 1)[1] for url in self.urls) if len(self.program.files) > 1 else ""
        return f"{self.program.name} {self.version} {self.arch}" + (f" ({names})" if names else "")

    def packages(self, url: str) -> tuple[str, ...]:
        """Return the packages whose binaries the file at `url` holds."""
        template = next(t for t in self.program.files if _pattern(t).fullmatch(url))
        return self.program.files[template]

    def link_flags(self) -> str:
        """Return the value of -ldflags: no symbol tables, and the version each program prints."""
        major, minor, _ = self.version.split(".", 2)
        values = {
            name: text.format(version=self.version, major=major, minor=minor)
            for name, text in self.program.variables.items()
        }
        return " ".join(["-s", "-w", *(f"-X {name}={value}" for name, value in values.items())])


def _release(repository: str, file: str) -> str:
    return f"https://github.com/{repository}/releases/download/v{{version}}/{file}"


# All of Kubernetes is compiled in one way, so that its programs share their packages.
KUBERNETES = Program(
    name="Kubernetes",
    module="k8s.io/kubernetes",
    files={
        f"https://dl.k8s.io/release/v{{version}}/bin/linux/{{arch}}/{name}": (f"cmd/{name}",) for name in _KUBERNETES
    },
    variables={
        f"{package}.{name}": value
        for package in _KUBERNETES_VERSION
        for name, value in {"gitVersion": "v{version}", "gitMajor": "{major}", "gitMinor": "{minor}"}.items()
    },
    tags=("selinux", "notest", "grpcnotrace"),
    inlining=True,
)

PROGRAMS = (
    KUBERNETES,
    Program(
        name="containerd",
        module="github.com/containerd/containerd/v2",
        files={
            _release("containerd/containerd", "containerd-{version}-linux-{arch}.tar.gz"): (
                "cmd/containerd",
                "cmd/containerd-shim-runc-v2",
                "cmd/ctr",
            )
        },
        variables={"github.com/containerd/containerd/v2/version.Version": "v{version}"},
        tags=("urfave_cli_no_docs", "osusergo", "netgo", "static_build"),
        prefix="bin/",
    ),
    Program(
        name="runc",
        module="github.com/opencontainers/runc",
        files={_release("opencontainers/runc", "runc.{arch}"): (".",)},
        variables={},
        tags=("urfave_cli_no_docs", "osusergo", "netgo"),
        cgo=True,
    ),
    Program(
        name="crictl",
        module="sigs.k8s.io/cri-tools",
        files={_release("kubernetes-sigs/cri-tools", "crictl-v{version}-linux-{arch}.tar.gz"): ("cmd/crictl",)},
        variables={"sigs.k8s.io/cri-tools/pkg/version.Version": "v{version}"},
        prefix="",
    ),
    Program(
        name="CNI plugins",
        module="github.com/containernetworking/plugins",
        files={
            _release("containernetworking/plugins", "cni-plugins-linux-{arch}-v{version}.tgz"): (
                "plugins/main/*",
                "plugins/meta/*",
                "plugins/ipam/*",
            )
        },
        variables={"github.com/containernetworking/plugins/pkg/utils/buildversion.BuildVersion": "v{version}"},
        prefix="./",
        texts=("LICENSE", "README.md"),
        skip=("plugins/main/windows",),
    ),
    Program(
        name="goss",
        module="github.com/goss-org/goss",
        files={_release("goss-org/goss", "goss-linux-{arch}"): ("cmd/goss",)},
        variables={"github.com/goss-org/goss/util.Version": "v{version}"},
    ),
)


def plan(urls: Iterable[str]) -> tuple[list[Build], list[str]]:
    """Group URLs into builds: the files of one program, version and architecture share one, as they share packages.

    Returns the builds, longest first (Kubernetes), and the URLs of what is no Go program that we know.
    """
    groups: dict[tuple[Program, str, str], list[str]] = {}
    unknown = []
    for url in urls:
        if source := _recognise(url):
            groups.setdefault(source, []).append(url)
        else:
            unknown.append(url)
    builds = [Build(program, version, arch, tuple(members)) for (program, version, arch), members in groups.items()]
    return sorted(builds, key=lambda build: PROGRAMS.index(build.program)), unknown


def is_program(url: str) -> bool:
    """Whether a file can be built here."""
    return _recognise(url) is not None


def is_outdated(url: str, flags: str) -> bool:
    """Whether a kept file was compiled in another way than it would be today; `flags` are those on its record."""
    source = _recognise(url)
    if not source or not flags:
        return False
    return source[0].inlining == (NO_INLINING in flags.split())


def work_module(module: str, version: str, upstream: Mapping[str, Any]) -> str:
    """Return a go.mod that does nothing but build `module` at `version` with the dependencies it pins itself.

    upstream: that module's own go.mod as `go mod edit -json` prints it. The go command ignores `replace` lines of
    dependencies, so they are repeated here; those to a folder of the repository (Kubernetes' staging folder) become
    the version that was published from it: k8s.io/api v0.0.0 of Kubernetes v1.36.4 is k8s.io/api v0.36.4.
    """
    lines = ["module build", f"go {upstream['Go']}", f"require {module} {version}"]
    published = f"v0.{version.split('.', 1)[1]}"
    staged = {needed["Path"] for needed in upstream.get("Require") or [] if needed["Version"] == "v0.0.0"}
    lines += [f"replace {path} => {path} {published}" for path in sorted(staged)]
    for replace in upstream.get("Replace") or []:
        old, new = replace["Old"], replace["New"]
        if "Version" in new:
            lines.append(
                f"replace {' '.join(filter(None, (old['Path'], old.get('Version'))))} => {new['Path']} {new['Version']}"
            )
    return "\n".join(lines) + "\n"


def _recognise(url: str) -> tuple[Program, str, str] | None:
    for program in PROGRAMS:
        for template in program.files:
            if found := _pattern(template).fullmatch(url):
                return program, found["version"], found["arch"]
    return None


def _pattern(template: str) -> re.Pattern[str]:
    version, again, arch = r"(?P<version>\d+\.\d+\.\d+)", "(?P=version)", "(?P<arch>amd64|arm64)"
    text = re.escape(template).replace(r"\{version\}", version, 1).replace(r"\{version\}", again)
    return re.compile(text.replace(r"\{arch\}", arch))
