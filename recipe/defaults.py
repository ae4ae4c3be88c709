"""What every node has: one list, for the steps that write it and for the acceptance tests that ask for it."""

from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from recipe.containerd import limit_lines

DEFAULTS_FILE = Path(__file__).with_name("defaults.yaml")

Family = Literal["debian", "redhat"]


class Defaults(BaseModel):
    """All of recipe/defaults.yaml."""

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel, coerce_numbers_to_str=True)

    modules: list[str]
    modules_of_sysctls: dict[str, str]
    sysctls: dict[str, str]
    systemd: dict[Literal["journald", "coredump", "networkd"], dict[str, str]]
    pod_interfaces: list[str]
    apt: dict[str, str]
    upgrades: dict[Family, list[str]]
    idle_units: dict[Family, list[str]]
    held: list[str]
    container_limits: dict[str, str]
    time_servers: list[str]
    name_servers: list[str]
    audit_rules: list[str]

    def modules_for(self, sysctls: Iterable[str]) -> list[str]:
        """The modules without which the kernel does not have these settings, but for those that every node loads."""
        names = [name.replace("/", ".") for name in sysctls]
        needed = [
            module for start, module in self.modules_of_sysctls.items() if any(name.startswith(start) for name in names)
        ]
        return [name for name in dict.fromkeys(needed) if name not in self.modules]

    def settings(self, family: Family) -> dict[str, str]:
        """The steps' variables: names separated by blanks, or the lines of a file."""
        return {
            "DEFAULT_MODULES": " ".join(self.modules),
            "DEFAULT_SYSCTLS": _lines("{} = {}", self.sysctls),
            **{name.upper(): _lines("{}={}", values) for name, values in self.systemd.items()},
            "POD_INTERFACES": ";".join(f"interface-name:{name}" for name in self.pod_interfaces),
            "APT_SETTINGS": _lines('{} "{}";', self.apt),
            "UPGRADES": " ".join(self.upgrades[family]),
            "IDLE_UNITS": " ".join(self.idle_units[family]),
            "HELD": " ".join(self.held),
            "CONTAINER_LIMITS": limit_lines(self.container_limits),
            "TIME_SERVERS": " ".join(self.time_servers),
            "NAME_SERVERS": " ".join(self.name_servers),
            "AUDIT_RULES": "\n".join(self.audit_rules),
        }


@cache
def load_defaults(file: Path = DEFAULTS_FILE) -> Defaults:
    """Read the list."""
    return Defaults.model_validate(yaml.safe_load(file.read_text()))


def _lines(pattern: str, values: dict[str, str]) -> str:
    return "\n".join(pattern.format(name, value) for name, value in values.items())
