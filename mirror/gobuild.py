"""Build open-source Go programs from their modules, as the go command serves them."""

import json
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mirror.children import Children
from mirror.errors import MirrorError
from mirror.packing import pack
from mirror.programs import Build, Program, work_module
from toolchain.layout import Layout

INSTALL_GO = "install Go (https://go.dev/dl or your distribution's golang package) and put it on PATH"
# The fact that is too long for a list.
FLAGS = "flags"
NO_SECCOMP = "no: libseccomp-dev and pkg-config are not at hand, so pods with a seccomp profile do not start"
# The compiler is short-lived: collecting less garbage makes it a sixth faster, within a bound per process.
_FAST = {"GOGC": "400", "GOMEMLIMIT": "1GiB"}
_MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}
_CROSS_COMPILERS = {"amd64": "x86_64-linux-gnu-gcc", "arm64": "aarch64-linux-gnu-gcc"}


@dataclass(frozen=True)
class Job:
    """One build and how it is done.

    work: an empty directory. environment: of the go command. tags, link_flags: what `go build` is given.
    facts: what to record beside the result.
    """

    build: Build
    work: Path
    environment: dict[str, str]
    tags: list[str]
    link_flags: str
    facts: dict[str, str]

    @property
    def options(self) -> list[str]:
        """The options of `go build` that shape its result."""
        return [
            "-trimpath",
            f"-gcflags={self.build.program.compiler_flags}",
            f"-tags={','.join(self.tags)}",
            f"-ldflags={self.link_flags}",
        ]


@dataclass(frozen=True)
class Compiled:
    """What the go command made.

    binaries: for each name that was asked for, its programs. source: the module's folder. facts: how they were made.
    """

    binaries: dict[str, list[Path]]
    source: Path
    facts: dict[str, str]


class Go:
    """The go command of this machine."""

    def __init__(self, children: Children | None = None) -> None:
        self._children = children or Children()

    def build(self, build: Build, work: Path, update: Callable[[str], None]) -> tuple[dict[str, Path], dict[str, str]]:
        """Build the files of `build` in the empty directory `work`.

        `update` is told each package as it is compiled. Returns URL -> file, and facts about how they were made.
        """
        compiled = self.compile(build, {url: build.packages(url) for url in build.urls}, work, update)
        update("packing")
        files = {url: pack(build, url, paths, compiled.source, work) for url, paths in compiled.binaries.items()}
        return files, compiled.facts

    def compile(
        self, build: Build, patterns: Mapping[str, Sequence[str]], work: Path, update: Callable[[str], None]
    ) -> Compiled:
        """Compile packages in the empty directory `work`; `patterns` says which, under names of the caller's."""
        job = plan_job(build, work)
        update("module download")
        module = self._module(job)
        packages = {name: _packages(build.program, members, module) for name, members in patterns.items()}
        binaries = work / "bin"
        binaries.mkdir()
        wanted = sorted({package for members in packages.values() for package in members})
        self._compile(["-mod=mod", "-v", *job.options, "-o", f"{binaries}/", *wanted], job, update)
        made = {name: [binaries / _executable(package) for package in members] for name, members in packages.items()}
        return Compiled(made, module, job.facts)

    def stop(self) -> None:
        """End what runs, and start nothing more."""
        self._children.stop()

    def _module(self, job: Job) -> Path:
        """Download the module, write the go.mod and go.sum to build it by, and return the folder of its source."""
        module, version = job.build.program.module, f"v{job.build.version}"
        answer = self._json(["mod", "download", "-json", f"{module}@{version}"], job)
        source = Path(answer["Dir"])
        upstream = self._json(["mod", "edit", "-json", answer["GoMod"]], job)
        (job.work / "go.mod").write_text(work_module(module, version, upstream))
        # The module's own sums, so that its dependencies are what its authors built with.
        if (source / "go.sum").exists():
            (job.work / "go.sum").write_bytes((source / "go.sum").read_bytes())
        return source

    def _json(self, arguments: list[str], job: Job) -> dict[str, Any]:
        ended = self._children.run(["go", *arguments], job.work, job.environment)
        answer: dict[str, Any] = json.loads(ended.output) if ended.output.lstrip().startswith("{") else {}
        if ended.code:
            raise explain(answer.get("Error", f"{ended.output}\n{ended.errors}"), job.build)
        return answer

    def _compile(self, arguments: list[str], job: Job, update: Callable[[str], None]) -> None:
        child = self._children.start(["go", "build", *arguments], job.work, job.environment, subprocess.STDOUT)
        lines: list[str] = []
        for line in child.stdout or ():
            lines.append(line.rstrip())
            update(lines[-1])
        self._children.finish(child)
        if child.returncode:
            raise explain("\n".join(lines), job.build)


def plan_job(build: Build, work: Path) -> Job:
    """Decide how to build, by the tools at hand. Raises MirrorError where one is missing."""
    if shutil.which("go") is None:
        raise MirrorError("go: not found; it is needed to build what upstream does not serve here", INSTALL_GO)
    facts = {"module": f"{build.program.module}@v{build.version}", "go": _go_env("GOVERSION").removeprefix("go")}
    proxies = _proxies_only(os.environ.get("GOPROXY") or _go_env("GOPROXY"))
    fixed = {"GOFLAGS": "", "GOWORK": "off", "GOPROXY": proxies, "GOTMPDIR": str(work)}
    target = {"GOOS": "linux", "GOARCH": build.arch, "CGO_ENABLED": "0"}
    job = Job(
        build,
        work,
        {**_FAST, **_shared_caches(), **os.environ, **fixed, **target},
        list(build.program.tags),
        build.link_flags(),
        facts,
    )
    if build.program.cgo:
        job = _with_c(job)
    return replace(job, facts={**job.facts, FLAGS: " ".join(job.options)})


def _shared_caches() -> dict[str, str]:
    """Set-up's caches, unless the user names others: what it compiled (Go's own library, for one) need not be compiled again."""
    environment = Layout.of().go_environment()
    return {name: environment[name] for name in ("GOCACHE", "GOMODCACHE")}


def _with_c(job: Job) -> Job:
    """Add what a program that is partly written in C needs."""
    compiler = c_compiler(job.build.arch, f"{job.build} is partly written in C")
    seccomp = job.build.arch == own_architecture() and _has_library("libseccomp")
    return replace(
        job,
        environment=job.environment | {"CGO_ENABLED": "1", "CC": compiler},
        tags=[*job.tags, *(["seccomp"] if seccomp else [])],
        # Linked statically, as upstream does: the node need not have the libraries of this machine.
        link_flags=f"{job.link_flags} -linkmode external -extldflags -static",
        facts=job.facts | {"seccomp": "yes" if seccomp else NO_SECCOMP},
    )


def own_architecture() -> str:
    """Return the architecture of this machine, in Go's words."""
    return _MACHINES.get(platform.machine(), platform.machine())


def c_compiler(arch: str, reason: str) -> str:
    """Return the C compiler for an architecture. Raises MirrorError where it is not there."""
    native = arch == own_architecture()
    compiler = "gcc" if native else _CROSS_COMPILERS[arch]
    if shutil.which(compiler) is None:
        packages = "gcc libc6-dev"
        if not native:
            packages = f"gcc-{compiler.removesuffix('-gcc').replace('_', '-')} libc6-dev-{arch}-cross"
        raise MirrorError(f"{compiler}: not found; {reason}", f"apt-get install {packages}")
    return compiler


def _has_library(name: str) -> bool:
    command = ["pkg-config", "--exists", name]
    return (
        shutil.which(command[0]) is not None
        and subprocess.run(command, check=False, capture_output=True).returncode == 0
    )


def _go_env(name: str) -> str:
    return subprocess.run(["go", "env", name], check=True, capture_output=True, text=True).stdout.strip()


def _proxies_only(value: str) -> str:
    # With "direct" a version that no proxy serves is sought in its repository, and the error tells of git instead.
    proxies = re.sub(r"([,|])direct$", "", value)
    return proxies or value


def _packages(program: Program, patterns: Sequence[str], source: Path) -> list[str]:
    module, skip = program.module, program.skip
    folders = [path for pattern in patterns for path in ([source] if pattern == "." else sorted(source.glob(pattern)))]
    names = [folder.relative_to(source).as_posix() for folder in folders if folder.is_dir()]
    return [module if name == "." else f"{module}/{name}" for name in names if name not in skip]


def _executable(package: str) -> str:
    """Return the name that `go build` gives a package's program: the last part of its path that is no major version."""
    return re.sub(r"/v\d+$", "", package).rsplit("/", 1)[1]


def explain(output: str, build: Build) -> MirrorError:
    """Turn what the go command said into an error that names the remedy."""
    wanted = f"{build.program.module}@v{build.version}"
    tail = "\n".join(f"  {line}" for line in output.strip().splitlines()[-12:])
    for pattern, message, hint in _EXPLANATIONS:
        if re.search(pattern, output):
            return MirrorError(f"{build}: {message.format(wanted=wanted)}\n{tail}", hint)
    return MirrorError(f"{build}: go build failed\n{tail}")


_EXPLANATIONS = (
    (
        "no space left on device",
        "the disk is full",
        "a build needs about 5 GB in `go env GOCACHE GOMODCACHE` and the cache: free some, or move them",
    ),
    (
        r"requires go >= \S+ \(running go",
        "this Go is too old for {wanted}",
        "install the version of Go named above, or let Go fetch it: GOTOOLCHAIN=auto",
    ),
    (
        r"dial tcp|connection refused|i/o timeout|no such host|TLS handshake|(50[234]|429) |module lookup disabled",
        "the Go module proxy does not answer",
        "check `go env GOPROXY` and the network, then run the same command again: what is done stays done",
    ),
    (
        r"/sumdb/\S+: (404|403|410) ",
        "{wanted} cannot be verified: the checksum database of Go modules does not know it",
        "choose another version",
    ),
    (
        r"404 Not Found|410 Gone|403 Forbidden|unknown revision|no matching versions",
        "{wanted} or one of its dependencies is not served by the Go module proxy",
        "choose another version",
    ),
    (r"C compiler .* not found|exec: \"\S*gcc\"", "no C compiler", "apt-get install gcc libc6-dev"),
    (
        r"cannot find -l|fatal error: \S+\.h: No such file",
        "a C library is missing",
        "apt-get install libc6-dev libseccomp-dev",
    ),
)
