"""The bill of materials of an image: CycloneDX, from what a server that was booted from it says of itself.

It is written for scanners of vulnerabilities: where one could be understood in two ways, in the words of trivy and of grype
(their own properties and package URLs). tests/scanners asks both.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, Property, XsUri
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

SEPARATOR = "\n---\n"
NOTHING = ("", "(none)")
"""How rpm says that a package has no such field."""

MAIN_MODULES = {
    "cni-plugins": "github.com/containernetworking/plugins",
    "containerd": "github.com/containerd/containerd",
    "crictl": "sigs.k8s.io/cri-tools",
    "kubeadm": "k8s.io/kubernetes",
    "kubectl": "k8s.io/kubernetes",
    "kubelet": "k8s.io/kubernetes",
    "runc": "github.com/opencontainers/runc",
}
"""What the components of a node are built from, without the major version: how advisories name them."""

RELEASE = re.compile(r"v\d+\.\d+\.\d+(-[0-9A-Za-z.]+)?")
BUILT_FROM_A_FOLDER = ("(devel)", "v0.0.0")
"""Versions that say nothing: an advisory could take the second for a very old one."""
SIGNED_KERNEL = re.compile(r"(linux)-signed(?:-(?:amd64|arm64)$)?(.*)")
"""The source package of a kernel that was signed. Advisories name the one that it was built from."""


@dataclass(frozen=True)
class System:
    """The operating system, as /etc/os-release names it."""

    name: str
    version: str


@dataclass(frozen=True)
class Version:
    """The version of a Debian or RPM package, in its parts."""

    epoch: str
    upstream: str
    release: str

    def __str__(self) -> str:
        epoch = f"{self.epoch}:" if self.epoch != "0" else ""
        return f"{epoch}{self.upstream_and_release}"

    @property
    def upstream_and_release(self) -> str:
        return "-".join(filter(None, [self.upstream, self.release]))


@dataclass(frozen=True)
class Source:
    """The source package of a package. `file` is its name as a file, which RPM packages have."""

    name: str
    version: Version
    file: str = ""


@dataclass(frozen=True)
class Package:
    """A package of the operating system; `kind` is `deb` or `rpm`, `stream` the module that an RPM package belongs to."""

    kind: str
    name: str
    version: Version
    architecture: str
    source: Source
    stream: str = ""


@dataclass(frozen=True, order=True)
class Module:
    """A module of a Go program."""

    path: str
    version: str


@dataclass(frozen=True)
class Program:
    """A Go program that no package brought, with the Go version that it was built by."""

    file: str
    go: str
    main: Module | None = None
    modules: tuple[Module, ...] = ()


@dataclass(frozen=True)
class Inventory:
    """What is on a node: the manifest of its image, and all of its software."""

    manifest: Mapping[str, Any]
    system: System
    packages: tuple[Package, ...] = ()
    programs: tuple[Program, ...] = ()


@dataclass
class _Reading:
    """An inventory while its lines are read."""

    system: System = field(default_factory=lambda: System("", ""))
    packages: list[Package] = field(default_factory=list)
    programs: list[tuple[str, str, list[list[str]]]] = field(default_factory=list)


def read_manifest(text: str) -> Mapping[str, Any]:
    """The manifest in what inventory.sh prints, also in that of an earlier version, which had other lines below it."""
    manifest: Mapping[str, Any] = json.loads(text.partition(SEPARATOR)[0])
    return manifest


def read_inventory(text: str) -> Inventory:
    """Read what inventory.sh prints. Raises ValueError for other lines than its own."""
    lines = text.partition(SEPARATOR)[2]
    reading = _Reading()
    for line in lines.splitlines():
        _read_line(line.split("\t"), reading)
    programs = tuple(_program(file, go, built) for file, go, built in reading.programs)
    return Inventory(read_manifest(text), reading.system, tuple(reading.packages), programs)


def _read_line(fields: list[str], reading: _Reading) -> None:
    match fields:
        case ["os", name, version]:
            reading.system = System(name, version)
        case ["deb", name, version, architecture, source, source_version]:
            reading.packages.append(
                Package("deb", name, _deb_version(version), architecture, _deb_source(source, source_version))
            )
        case ["rpm", name, version, architecture, file, stream]:
            reading.packages.append(_rpm(name, version, architecture, file, "" if stream in NOTHING else stream))
        case ["program", file, go]:
            reading.programs.append((file, go, []))
        case ["mod" | "dep" | "=>", _, _]:
            reading.programs[-1][2].append(fields)
        case _:
            raise ValueError(f"inventory.sh printed a line of no known kind: {' '.join(fields)}")


def _deb_version(text: str) -> Version:
    epoch, _, rest = text.partition(":") if ":" in text else ("0", "", text)
    upstream, _, release = rest.rpartition("-") if "-" in rest else (rest, "", "")
    return Version(epoch, upstream, release)


def _deb_source(name: str, version: str) -> Source:
    signed = SIGNED_KERNEL.fullmatch(name)
    if not signed:
        return Source(name, _deb_version(version))
    # Debian makes 6.12.57-1 into 6.12.57+1 for what it signed, Ubuntu leaves it.
    unsigned = version if "-" in version else version.replace("+", "-", 1)
    return Source("".join(signed.groups()), _deb_version(unsigned))


def _rpm(name: str, text: str, architecture: str, file: str, stream: str) -> Package:
    epoch, _, rest = text.partition(":")
    upstream, _, release = rest.rpartition("-")
    version = Version(epoch, upstream, release)
    if file in NOTHING:
        return Package("rpm", name, version, architecture, Source(name, version), stream)
    source, upstream, release = file.removesuffix(".rpm").rpartition(".")[0].rsplit("-", 2)
    return Package("rpm", name, version, architecture, Source(source, Version(epoch, upstream, release), file), stream)


def _program(file: str, go: str, built: Iterable[list[str]]) -> Program:
    main: Module | None = None
    modules: list[Module] = []
    for kind, path, version in built:
        if kind == "mod":
            main = Module(path, version)
        elif kind == "dep":
            modules.append(Module(path, version))
        elif path.startswith("."):
            modules[-1] = Module(modules[-1].path, version)
        else:
            modules[-1] = Module(path, version)
    return Program(file, go, main, tuple(modules))


def sbom(image: str, inventory: Inventory) -> str:
    """CycloneDX 1.6 as JSON. The same inventory gives the same text, byte for byte."""
    manifest = inventory.manifest
    serial = uuid5(NAMESPACE_URL, f"{image}/{json.dumps(manifest, sort_keys=True)}/{inventory}")
    bom = Bom(serial_number=serial)
    bom.metadata.timestamp = None  # type: ignore[assignment]
    bom.metadata.component = whole = _whole(image, manifest)
    system = _system(inventory)
    _add(bom, system, [_package(item, inventory.system) for item in inventory.packages])
    programs = [_add(bom, item, modules) for item, modules in _applications(inventory)]
    bom.register_dependency(whole, [system, *programs])
    return JsonV1Dot6(bom).output_as_string() + "\n"


def _add(bom: Bom, component: Component, parts: Iterable[Component]) -> Component:
    listed = list(parts)
    bom.components.update([component, *listed])
    bom.register_dependency(component, listed)
    return component


def _whole(image: str, manifest: Mapping[str, Any]) -> Component:
    """The image. Not of the type `operating-system`: that is for scanners, which take the first of them."""
    return Component(
        name=image,
        bom_ref=image,
        version=str(manifest.get("recipe", "")),
        type=ComponentType.CONTAINER,
        properties=[
            Property(name=f"node-images:{key}", value=str(manifest[key])) for key in ("os", "architecture", "asOf")
        ],
    )


def _system(inventory: Inventory) -> Component:
    name, version = inventory.system.name, inventory.system.version
    return Component(name=name, version=version, type=ComponentType.OPERATING_SYSTEM, bom_ref=f"{name}-{version}")


def _package(item: Package, system: System) -> Component:
    purl = PackageURL(item.kind, system.name, item.name, _version_in_purl(item), _qualifiers(item, system))
    return Component(
        name=item.name,
        version=str(item.version),
        type=ComponentType.LIBRARY,
        purl=purl,
        bom_ref=f"{item.kind}:{item.name}:{item.architecture}@{item.version}",
        properties=[Property(name=f"aquasecurity:trivy:{key}", value=value) for key, value in _for_trivy(item)],
    )


def _version_in_purl(item: Package) -> str:
    """An RPM package's has its epoch elsewhere."""
    return item.version.upstream_and_release if item.kind == "rpm" else str(item.version)


def _qualifiers(item: Package, system: System) -> dict[str, str]:
    source = item.source
    upstream = source.file
    if not upstream and (source.name, source.version) != (item.name, item.version):
        upstream = source.name if source.version == item.version else f"{source.name}@{source.version}"
    qualifiers = {
        "arch": item.architecture,
        "distro": f"{system.name}-{system.version}",
        "epoch": item.version.epoch if item.kind == "rpm" and item.version.epoch != "0" else "",
        "modularitylabel": item.stream,
        "rpmmod": item.stream,
        "upstream": upstream,
    }
    return {key: value for key, value in qualifiers.items() if value not in NOTHING}


def _for_trivy(item: Package) -> Iterator[tuple[str, str]]:
    if item.stream:
        yield "Modularitylabel", item.stream
    if (item.source.name, item.source.version) == (item.name, item.version):
        return
    version = item.source.version
    yield "SrcName", item.source.name
    yield "SrcVersion", version.upstream
    if version.release:
        yield "SrcRelease", version.release
    if version.epoch != "0":
        yield "SrcEpoch", version.epoch


def _applications(inventory: Inventory) -> Iterator[tuple[Component, list[Component]]]:
    """The components of the manifest, and the programs of others; each with its modules."""
    components = {name: item for name, item in inventory.manifest["components"].items() if "sha256" in item}
    programs: dict[str, list[Program]] = {}
    for program in inventory.programs:
        programs.setdefault(_component_of(program, components) or program.file, []).append(program)
    for name in sorted({*components, *programs}):
        found = programs.get(name, [])
        version = components[name]["version"] if name in components else ""
        modules = {module for program in found for module in _modules(program, version)}
        application = _application(name, components.get(name), found)
        yield application, [_module(module, name) for module in sorted(modules)]


def _component_of(program: Program, components: Mapping[str, Any]) -> str | None:
    """The component of the manifest that a program came with."""
    main = re.sub(r"/v\d+$", "", program.main.path) if program.main else ""
    names = [name for name in components if MAIN_MODULES.get(name) == main]
    called = PurePosixPath(program.file).name
    return called if called in names else names[0] if len(names) == 1 else None


def _application(name: str, component: Mapping[str, str] | None, programs: Iterable[Program]) -> Component:
    properties = [Property(name="node-images:file", value=program.file) for program in programs]
    if properties:
        properties.append(Property(name="aquasecurity:trivy:Type", value="gobinary"))
    application = Component(name=name, bom_ref=name, type=ComponentType.APPLICATION, properties=properties)
    if component:
        version, url = component["version"], component["url"]
        application.version = version
        application.purl = PackageURL("generic", None, name, version, {"download_url": url})
        application.hashes.add(HashType(alg=HashAlgorithm.SHA_256, content=component["sha256"]))
        application.external_references.add(ExternalReference(type=ExternalReferenceType.DISTRIBUTION, url=XsUri(url)))
    return application


def _modules(program: Program, version: str) -> Iterator[Module]:
    """The modules of a program whose version is known. `version` is what its component was released as."""
    yield Module("stdlib", re.sub(r"^go", "v", re.split(r"[ -]X:", program.go)[0]))
    main = program.main or Module("", "")
    if version and not RELEASE.fullmatch(main.version):
        main = Module(main.path, f"v{version}")
    for module in (main, *(_staged(module, main) for module in program.modules)):
        if module.path and module.version not in BUILT_FROM_A_FOLDER:
            yield module


def _staged(module: Module, main: Module) -> Module:
    """Kubernetes is built from one folder: v1.36.4 has k8s.io/api of v0.36.4 in it."""
    if (
        main.path == MAIN_MODULES["kubelet"]
        and module.path.startswith("k8s.io/")
        and module.version in BUILT_FROM_A_FOLDER
    ):
        return Module(module.path, re.sub(r"^v\d+", "v0", main.version))
    return module


def _module(module: Module, owner: str) -> Component:
    namespace, _, name = module.path.rpartition("/")
    standard = module.path == "stdlib"
    return Component(
        name=module.path,
        version=module.version,
        type=ComponentType.LIBRARY,
        purl=PackageURL("golang", namespace, name, module.version),
        bom_ref=f"{owner}:{module.path}@{module.version}",
        cpe=f"cpe:2.3:a:golang:go:{module.version.removeprefix('v')}:-:*:*:*:*:*:*" if standard else None,
    )
