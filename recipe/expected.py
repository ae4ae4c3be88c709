"""What a node is to have, as lists by name: the acceptance tests of recipe/acceptance ask for their elements."""

import hashlib
import shlex
from collections.abc import Mapping, Sequence

from recipe import containerd, hygiene
from recipe.defaults import Defaults, Family, load_defaults
from recipe.gossfile import Lists
from recipe.hardening import Item, Profile, load_hardening
from recipe.options import CERTIFICATE, NodeOptions, SourceFile

TAIL = 64
"""Characters of a certificate's end, which is random, that tell it from any other."""


def expected(
    family: Family, options: NodeOptions, packages: Sequence[str], manifest: Mapping[str, str], sums: Mapping[str, str]
) -> Lists:
    """All lists. `manifest` is jq path -> value of /etc/node-image.json, `sums` program -> sha256."""
    return {
        "packages": [_package(name)["name"] for name in [*packages, *options.extra_packages]],
        "packages of one version": [_package(name) for name in options.extra_packages if "=" in name],
        "manifest": [{"path": path, "value": value} for path, value in manifest.items()],
        "sums": [{"name": name, "sha256": sha256} for name, sha256 in sums.items()],
        "hygiene": [path for rule in hygiene.load_hygiene() for path in rule.paths],
        **_of_defaults(load_defaults(), family, options),
        **_of_options(options),
        **_of_profile(load_hardening(), options),
    }


def _of_defaults(defaults: Defaults, family: Family, options: NodeOptions) -> Lists:
    modules = list(dict.fromkeys([*defaults.modules, *options.modules, *defaults.modules_for(options.sysctls)]))
    return {
        "modules": modules,
        "loaded modules": [name.replace("-", "_") for name in modules],
        "sysctls": _pairs({**defaults.sysctls, **options.sysctls}),
        "systemd": [
            {"file": file, "name": name, "value": value}
            for file, values in defaults.systemd.items()
            for name, value in values.items()
        ],
        "pod interfaces": defaults.pod_interfaces,
        "apt": _pairs(defaults.apt),
        "upgrades": defaults.upgrades[family],
        "idle units": defaults.idle_units[family],
        "held": defaults.held,
        "time servers": defaults.time_servers,
        "name servers": defaults.name_servers,
        "audit rules": defaults.audit_rules,
        "container limits": _limits({**defaults.container_limits, **options.limits()}),
    }


def _of_options(options: NodeOptions) -> Lists:
    drop_ins = [file.text for file in options.containerd]
    return {
        "kubelet": [{"flags": shlex.join(options.kubelet_flags().splitlines())}],
        "control plane": ["control-plane images"] if options.preload_images else [],
        "images": options.extra_images,
        "containerd files": [
            {"path": path, "sha256": _sha256(text)} for path, text in options.containerd_files().items()
        ],
        "containerd drop-ins": _drop_ins(options.containerd),
        "containerd settings": [{"name": name, "line": line} for name, line in containerd.untouched(drop_ins).items()],
        "sandbox image": [] if containerd.sets_sandbox(drop_ins) else ["sandbox image"],
        "authorities": [
            {"name": f"{file.name} {number}", "tail": "".join(body.split())[-TAIL:]}
            for file in options.ca_certificates
            for number, body in enumerate(CERTIFICATE.findall(file.text), start=1)
        ],
    }


def _of_profile(profile: Profile, options: NodeOptions) -> Lists:
    chosen = options.hardening == "cis"
    told = {**load_defaults().sysctls, **options.sysctls}
    told |= {item.name: item.value for item in profile.sysctls if chosen}
    return {
        "CIS modules": _items(profile.modules if chosen else []),
        "CIS sysctls": _items(profile.sysctls if chosen else []),
        "CIS sshd": _items(profile.sshd if chosen else []),
        "CIS units": _items(profile.units if chosen else []),
        "CIS modes": _items(profile.modes if chosen else []),
        # A pattern stands for interfaces that are yet to come.
        "sysctls in effect": _pairs({name: value for name, value in told.items() if "*" not in name}),
    }


def _drop_ins(files: Sequence[SourceFile]) -> list[Mapping[str, str]]:
    """What containerd.sh is told of each drop-in."""
    paths = {file.name: f"{containerd.FOLDER}/conf.d/{file.name}" for file in files}
    everything = ", ".join(f"'{path}'" for path in paths.values())
    keys = {
        file.name: [word for key in containerd.keys(file.text) for word in (key.name, key.pattern)] for file in files
    }
    return [{"path": path, "arguments": shlex.join([everything, *keys[name]])} for name, path in sorted(paths.items())]


def _limits(limits: Mapping[str, str]) -> list[Mapping[str, str]]:
    return [
        {"name": name.upper(), "soft": value.partition(":")[0], "hard": value.rpartition(":")[2]}
        for name, value in limits.items()
    ]


def _pairs(values: Mapping[str, str]) -> list[Mapping[str, str]]:
    return [{"name": name, "value": value} for name, value in values.items()]


def _items(items: Sequence[Item]) -> list[Mapping[str, str]]:
    return [item.model_dump() for item in items]


def _package(wanted: str) -> Mapping[str, str]:
    name, _, version = wanted.partition("=")
    return {"name": name, "version": version}


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
