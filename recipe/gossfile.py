"""The acceptance tests as goss documents: those of the files, and those that follow from a node's options."""

import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Literal

import yaml

from recipe import hygiene
from recipe.hardening import Profile
from recipe.options import NodeOptions

FOLDER = Path(__file__).parent / "acceptance"
RUNNER = FOLDER / "run.sh"
CLUSTER = FOLDER / "cluster.sh"
INVENTORY = FOLDER / "inventory.sh"
BOOTED_ONLY = ("identity",)
"""Files of tests that make sense only on a server that was booted from the image."""

Level = Literal["boot", "cluster"]
Place = Literal["builder", "booted"]
Document = dict[str, dict[str, Any]]


def document(where: Place, options: NodeOptions, packages: Sequence[str], profile: Profile) -> Document:
    """The tests for the `builder`, before the snapshot, or for a server `booted` from it."""
    parts = [*_files(booted=False), _of_options(options, packages, profile)]
    if where == "booted":
        parts += [*_files(booted=True), {"command": dict(hygiene.tests(hygiene.load_hygiene()))}]
    return _merged(parts)


def runner(level: Level) -> str:
    """The script that runs the tests, up to a level; what the level `boot` does not need is not in it."""
    return f"{CLUSTER.read_text()}\n{RUNNER.read_text()}" if level == "cluster" else RUNNER.read_text()


def settings(
    tests: Document, where: Place, level: Level, components: Mapping[str, str], pause_image: str
) -> dict[str, str]:
    """Variables of run.sh."""
    variables = {name.replace("-", "_"): version for name, version in components.items()}
    return {
        "WHERE": where,
        "LEVEL": level,
        "TESTS": json.dumps(tests, indent=1),
        "VARIABLES": json.dumps({**variables, "pause_image": pause_image}),
    }


@cache
def _files(*, booted: bool) -> tuple[Document, ...]:
    files = [file for file in sorted(FOLDER.glob("*.yaml")) if (file.stem in BOOTED_ONLY) == booted]
    return tuple(yaml.safe_load(file.read_text()) for file in files)


def _merged(parts: Sequence[Document]) -> Document:
    merged: Document = {}
    for part in parts:
        for kind, tests in part.items():
            merged.setdefault(kind, {}).update(tests)
    return merged


def _of_options(options: NodeOptions, packages: Sequence[str], profile: Profile) -> Document:
    tests = {f"package {name}": _succeeds(_has_package(name)) for name in [*packages, *options.extra_packages]}
    tests |= {f"setting {name}": _line(f"{name} = {value}", _SYSCTLS) for name, value in options.sysctls.items()}
    tests |= {f"module {name}": _line(name, _MODULES) for name in options.modules}
    tests |= {f"image {name}": _succeeds(f"crictl inspecti --quiet {name}") for name in options.extra_images}
    tests |= {f"registry mirror of {host}": _filled(f"certs.d/{host}/hosts.toml") for host in options.registry_mirrors}
    tests |= {f"containerd reads {file.name}": _filled(f"conf.d/{file.name}") for file in options.containerd}
    tests |= {f"authority {file.name}": _trusted(Path(file.name).stem) for file in options.ca_certificates}
    tests |= {
        "kubelet's flags": _line(f'Environment="KUBELET_NODE_IMAGE_ARGS={options.kubelet_flags()}"', _KUBELET_DROP_IN)
    }
    if options.preload_images:
        tests["control-plane images"] = _succeeds(_ALL_IMAGES)
    return {"command": tests | (dict(profile.tests()) if options.hardening == "cis" else {})}


_SYSCTLS = "/etc/sysctl.d/92-node-image.conf"
_MODULES = "/etc/modules-load.d/node-image.conf"
_KUBELET_DROP_IN = "/etc/systemd/system/kubelet.service.d/20-node-image.conf"
_ALL_IMAGES = (
    "for image in $(kubeadm config images list --kubernetes-version v{{.Vars.kubernetes}}); "
    "do crictl inspecti --quiet $image || exit 1; done"
)


def _succeeds(command: str) -> dict[str, Any]:
    return {"exec": command, "exit-status": 0, "timeout": 30000}


def _line(line: str, file: str) -> dict[str, Any]:
    return _succeeds(f"grep --line-regexp --fixed-strings --quiet -- '{line}' {file}")


def _filled(file: str) -> dict[str, Any]:
    return _succeeds(f"test -s /etc/containerd/{file} && containerd config dump")


def _has_package(name: str) -> str:
    plain = name.partition("=")[0]
    debian = f"dpkg-query --show --showformat '${{db:Status-Status}}' {plain} 2>/dev/null | grep --quiet '^installed'"
    return f"{debian} || rpm --query --quiet {plain}"


def _trusted(name: str) -> dict[str, Any]:
    """The authority is in the bundle that programs read."""
    places = ("/usr/local/share/ca-certificates", "/etc/pki/ca-trust/source/anchors")
    files = " ".join(f"{place}/node-image-{name}.crt" for place in places)
    bundles = "/etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt"
    last_line = f"$(cat {files} 2>/dev/null | grep --invert-match -e ---- | tail --lines=1)"
    return _succeeds(f'cat {bundles} 2>/dev/null | grep --fixed-strings --quiet -e "{last_line}"')
