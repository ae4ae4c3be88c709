"""What a node says to containerd: drop-ins, registries and limits, in files of containerd's own and of its unit.

A drop-in has many ways to be without effect, and containerd is silent about most of them. So for each of its keys there is a
pattern of where `containerd config dump` must have it (recipe/acceptance/containerd.sh).
"""

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

FOLDER = "/etc/containerd"
LIMITS_FILE = "/etc/systemd/system/containerd.service.d/20-node-image.conf"
CONFIGURATION_VERSIONS = {(2, 3): 4, (2, 0): 3, (1, 3): 2}
"""First release of containerd -> the newest version of a configuration file that it reads (containerd's RELEASES.md)."""

CRI_BEFORE_3 = ("plugins", "io.containerd.grpc.v1.cri")
CRI_PLUGINS = r"plugins\.'io\.containerd\.cri\.v1\.(images|runtime)'\.(.+\.)?"
SERVER_PLUGINS = r"plugins\.'io\.containerd\.(server|metrics)\.v1\.[a-z-]+'\."
SERVERS_BEFORE_4 = ("grpc", "ttrpc", "debug", "metrics")
RENAMED = {"sandbox_image": "sandbox", "tcp_address": "address"}
"""What containerd calls keys of an earlier version of its configuration now, where it moved them."""

OURS = {
    "cgroups by systemd": (("runc", "options", "SystemdCgroup"), "SystemdCgroup = true"),
    "registries may have mirrors": (("registry", "config_path"), "config_path = '/etc/containerd/certs.d'"),
    "layers are unpacked and not kept": (("discard_unpacked_layers",), "discard_unpacked_layers = true"),
}
"""What the step `containerd` sets: name of its test -> the end of its key, and its line in `containerd config dump`."""
SANDBOX_KEYS = (("pinned_images", "sandbox"), ("sandbox_image",))

OF_THE_FILE = (("version",), ("imports",))
"""Keys of a drop-in that say how it is read, and nothing to containerd."""

Path = tuple[str, ...]


@dataclass(frozen=True)
class Key:
    """A key of a drop-in, as containerd writes it, and an extended regular expression of where it may stand now."""

    name: str
    pattern: str


def configuration_version(containerd: str) -> int:
    """The newest version of a configuration file that a release of containerd reads."""
    release = tuple(int(part) for part in containerd.split(".")[:2])
    return next((version for first, version in CONFIGURATION_VERSIONS.items() if release >= first), 1)


def version_of(drop_in: str) -> int:
    """The version that a drop-in says it has; without one containerd takes it for the oldest."""
    version = tomllib.loads(drop_in).get("version", 0)
    return version if isinstance(version, int) else 0


def keys(drop_in: str) -> list[Key]:
    """All that a drop-in sets."""
    version = version_of(drop_in)
    return [Key(_written(path), _pattern(path, version)) for path in _paths(drop_in)]


def untouched(drop_ins: Sequence[str]) -> dict[str, str]:
    """What of ours no drop-in sets: name of the test -> line of `containerd config dump`."""
    return {name: line for name, (end, line) in OURS.items() if not _is_set([end], drop_ins)}


def sets_sandbox(drop_ins: Sequence[str]) -> bool:
    """Whether a drop-in names another sandbox image than kubeadm's."""
    return _is_set(SANDBOX_KEYS, drop_ins)


def registry_files(mirrors: Mapping[str, Sequence[str]], authorities: Mapping[str, str]) -> dict[str, str]:
    """Path -> content of what containerd is told of registries: URLs of mirrors, and the authorities of hosts in PEM form."""
    files = {_authority_file(host): text for host, text in authorities.items()}
    for registry in dict.fromkeys([*mirrors, *authorities]):
        own = [f'ca = "{_authority_file(registry)}"\n'] if registry in authorities else []
        hosts = [_host(url, authorities) for url in mirrors.get(registry, [])]
        files[f"{FOLDER}/certs.d/{registry}/hosts.toml"] = "\n".join([*own, *hosts])
    return files


def limit_lines(limits: Mapping[str, str]) -> str:
    """Limits of processes as a unit has them: `nofile` -> `LimitNOFILE=`."""
    return "\n".join(f"Limit{name.upper()}={value}" for name, value in limits.items())


def _host(url: str, authorities: Mapping[str, str]) -> str:
    place = urlsplit(url)
    lines = [f'[host."{url.rstrip("/")}"]', '  capabilities = ["pull", "resolve"]']
    if "v2" in place.path.split("/"):  # the API's root, to which containerd would add another /v2
        lines.append("  override_path = true")
    if place.netloc in authorities:
        lines.append(f'  ca = "{_authority_file(place.netloc)}"')
    return "\n".join([*lines, ""])


def _authority_file(host: str) -> str:
    return f"{FOLDER}/certs.d/{host}/ca.crt"


def _is_set(ends: Sequence[Path], drop_ins: Sequence[str]) -> bool:
    return any(path[-len(end) :] == end for text in drop_ins for path in _paths(text) for end in ends)


def _paths(drop_in: str) -> list[Path]:
    return [path for path in _leaves(tomllib.loads(drop_in)) if path not in OF_THE_FILE]


def _leaves(table: Mapping[str, Any], above: Path = ()) -> Iterator[Path]:
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _leaves(value, (*above, name))
        else:
            yield (*above, name)


def _written(path: Path) -> str:
    return ".".join(name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else f"'{name}'" for name in path)


def _pattern(path: Path, version: int) -> str:
    last = RENAMED.get(path[-1], path[-1])
    there = [_plain(_written(path))]
    if version < CONFIGURATION_VERSIONS[(2, 0)] and path[:2] == CRI_BEFORE_3:
        there.append(CRI_PLUGINS + _plain(last))
    if version < CONFIGURATION_VERSIONS[(2, 3)] and path[0] in SERVERS_BEFORE_4:
        there.append(SERVER_PLUGINS + _plain(last.removeprefix("tcp_")))
    return "|".join(there)


def _plain(text: str) -> str:
    return re.sub(r"[][.*^$+?(){}|\\]", r"\\\g<0>", text)
