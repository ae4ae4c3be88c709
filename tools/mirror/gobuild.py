"""Build open-source Go programs from their modules, as the go command serves them."""

import json
import os
import platform
import re
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tools.mirror.errors import MirrorError
from tools.mirror.packing import pack
from tools.mirror.programs import Build, work_module

INSTALL_GO = "install Go (https://go.dev/dl or your distribution's golang package) and put it on PATH"
# The fact that is too long for a list.
FLAGS = "flags"
_MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}
_CROSS_COMPILERS = {"amd64": "x86_64-linux-gnu-gcc", "arm64": "aarch64-linux-gnu-gcc"}
# Builds take minutes and are seldom urgent. With PDEATHSIG a killed mirror leaves no compiler behind.
_POLITELY = ("nice", "-n", "10")
_TIED_TO_PARENT = ("setpriv", "--pdeathsig", "TERM")


class Go:
    """The go command of this machine. Knows its running children, so that an interrupted build ends them."""

    def __init__(self) -> None:
        self._children: set[subprocess.Popen[str]] = set()
        self._lock = threading.Lock()
        self._stopped = False

    def build(self, build: Build, work: Path, update: Callable[[str], None]) -> tuple[dict[str, Path], dict[str, str]]:
        """Build the files of `build` in the empty directory `work`.

        `update` is told each package as it is compiled. Returns URL -> file, and facts about how they were made.
        """
        facts = {"module": f"{build.program.module}@v{build.version}", "go": self._version()}
        environment, tags, flags, more = _linkage(build)
        environment["GOTMPDIR"] = str(work)
        update("module download")
        module = self._module(build, work, environment)
        packages = {url: _packages(build, url, module) for url in build.urls}
        bin_dir = work / "bin"
        bin_dir.mkdir()
        # No debug information is compiled in the first place, as linking (-s -w) drops it: an eighth less time.
        options = ["-mod=mod", "-v", "-trimpath", "-gcflags=all=-dwarf=false", f"-tags={','.join(tags)}"]
        arguments = ["build", *options, f"-ldflags={flags}", "-o", f"{bin_dir}/"]
        wanted = sorted({package for members in packages.values() for package in members})
        self._compile([*arguments, *wanted], work, environment, build, update)
        update("packing")
        files = {
            url: pack(build, url, [bin_dir / package.rsplit("/", 1)[1] for package in packages[url]], module, work)
            for url in build.urls
        }
        return files, facts | more | {FLAGS: " ".join([*options, f"-ldflags={flags}"])}

    def stop(self) -> None:
        """End what runs, and start nothing more."""
        with self._lock:
            self._stopped = True
            for child in self._children:
                os.killpg(child.pid, signal.SIGTERM)

    def _version(self) -> str:
        if shutil.which("go") is None:
            raise MirrorError("go: not found; it is needed to build what upstream does not serve here", INSTALL_GO)
        return _go_env("GOVERSION").removeprefix("go")

    def _module(self, build: Build, work: Path, environment: dict[str, str]) -> Path:
        """Download the module, write the go.mod and go.sum to build it by, and return the folder of its source."""
        version = f"v{build.version}"
        answer = self._json(["mod", "download", "-json", f"{build.program.module}@{version}"], work, environment, build)
        source = Path(answer["Dir"])
        upstream = self._json(["mod", "edit", "-json", answer["GoMod"]], work, environment, build)
        (work / "go.mod").write_text(work_module(build.program.module, version, upstream))
        # The module's own sums, so that its dependencies are what its authors built with.
        if (source / "go.sum").exists():
            (work / "go.sum").write_bytes((source / "go.sum").read_bytes())
        return source

    def _json(self, arguments: list[str], work: Path, environment: dict[str, str], build: Build) -> dict[str, Any]:
        child = self._start(arguments, work, environment, stderr=subprocess.PIPE)
        output, errors = self._finish(child)
        answer: dict[str, Any] = json.loads(output) if output.lstrip().startswith("{") else {}
        if child.returncode:
            raise explain(answer.get("Error", f"{output}\n{errors}"), build)
        return answer

    def _compile(
        self, arguments: list[str], work: Path, environment: dict[str, str], build: Build, update: Callable[[str], None]
    ) -> None:
        child = self._start(arguments, work, environment, stderr=subprocess.STDOUT)
        lines: list[str] = []
        for line in child.stdout or ():
            lines.append(line.rstrip())
            update(lines[-1])
        self._finish(child)
        if child.returncode:
            raise explain("\n".join(lines), build)

    def _start(
        self, arguments: list[str], work: Path, environment: dict[str, str], stderr: int
    ) -> subprocess.Popen[str]:
        tied = _TIED_TO_PARENT if shutil.which(_TIED_TO_PARENT[0]) else ()
        with self._lock:
            if self._stopped:
                raise MirrorError("build interrupted")
            child = subprocess.Popen(
                [*tied, *_POLITELY, "go", *arguments],
                cwd=work,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                start_new_session=True,
            )
            self._children.add(child)
        return child

    def _finish(self, child: subprocess.Popen[str]) -> tuple[str, str]:
        output, errors = child.communicate()
        with self._lock:
            self._children.discard(child)
            if self._stopped:
                raise MirrorError("build interrupted")
        return output, errors


def _linkage(build: Build) -> tuple[dict[str, str], list[str], str, dict[str, str]]:
    """Decide environment, tags, -ldflags and facts from the build and the C tools at hand."""
    environment = {
        **os.environ,
        "GOFLAGS": "",
        "GOWORK": "off",
        "GOOS": "linux",
        "GOARCH": build.arch,
        "CGO_ENABLED": "0",
    }
    environment["GOPROXY"] = _proxies_only(os.environ.get("GOPROXY") or _go_env("GOPROXY"))
    tags, flags = list(build.program.tags), build.link_flags()
    if not build.program.cgo:
        return environment, tags, flags, {}
    native = _MACHINES.get(platform.machine()) == build.arch
    compiler = "gcc" if native else _CROSS_COMPILERS[build.arch]
    if shutil.which(compiler) is None:
        package = "gcc" if native else f"gcc-{compiler.removesuffix('-gcc').replace('_', '-')}"
        raise MirrorError(
            f"{compiler}: not found; {build} is partly written in C", f"apt-get install {package} libc6-dev"
        )
    environment |= {"CGO_ENABLED": "1", "CC": compiler}
    # Linked statically, as upstream does: the node need not have the libraries of this machine.
    flags += " -linkmode external -extldflags -static"
    if native and _has_library("libseccomp"):
        return environment, [*tags, "seccomp"], flags, {"seccomp": "yes"}
    return (
        environment,
        tags,
        flags,
        {"seccomp": "no: libseccomp-dev is not at hand, containers run without seccomp profiles"},
    )


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


def _packages(build: Build, url: str, source: Path) -> list[str]:
    module, skip = build.program.module, build.program.skip
    folders = [
        path
        for pattern in build.packages(url)
        for path in ([source] if pattern == "." else sorted(source.glob(pattern)))
    ]
    names = [folder.relative_to(source).as_posix() for folder in folders if folder.is_dir()]
    return [module if name == "." else f"{module}/{name}" for name in names if name not in skip]


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
        "a build needs about 3 GB in `go env GOCACHE GOMODCACHE` and the cache: free some, or move them",
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
