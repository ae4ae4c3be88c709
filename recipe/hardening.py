"""The hardening profile: one list of CIS items, for the step that sets them and for the tests that ask for them."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

HARDENING_FILE = Path(__file__).with_name("hardening.yaml")
SYSCTL_FILE = "/etc/sysctl.d/95-node-image-cis.conf"
MODULES_FILE = "/etc/modprobe.d/node-image-cis.conf"
# Read before any other drop-in, and sshd takes the first value that it meets.
SSHD_FILE = "/etc/ssh/sshd_config.d/05-node-image-cis.conf"


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel, coerce_numbers_to_str=True)


class Item(_Entry):
    """A benchmark item: what is set, and to what. A module has no value."""

    id: str
    name: str
    value: str = ""


class LeftOut(_Entry):
    """A benchmark item that a node does not survive, and why."""

    id: str
    why: str


class Profile(_Entry):
    """All of recipe/hardening.yaml."""

    modules: list[Item]
    sysctls: list[Item]
    sshd: list[Item]
    left_out: list[LeftOut] = Field(min_length=1)

    def files(self) -> dict[str, str]:
        """The files that the profile consists of, by path."""
        return {
            MODULES_FILE: _lines(self.modules, "install {0.name} /bin/false\nblacklist {0.name}"),
            SYSCTL_FILE: _lines(self.sysctls, "{0.name} = {0.value}"),
            SSHD_FILE: _lines(self.sshd, "{0.name} {0.value}"),
        }

    def tests(self) -> Mapping[str, Any]:
        """Acceptance tests, as goss commands, one for each item."""
        modules = {
            f"CIS {item.id} module {item.name}": _finds(f"install {item.name} /bin/false", MODULES_FILE)
            for item in self.modules
        }
        sysctls = {
            f"CIS {item.id} {item.name}": _finds(f"{item.name} = {item.value}", SYSCTL_FILE) for item in self.sysctls
        }
        sshd = {
            f"CIS {item.id} sshd {item.name}": _sshd_says(f"{item.name.lower()} {item.value}") for item in self.sshd
        }
        return {**modules, **sysctls, **sshd}


@cache
def load_hardening(file: Path = HARDENING_FILE) -> Profile:
    """Read the profile."""
    return Profile.model_validate(yaml.safe_load(file.read_text()))


def _lines(items: list[Item], pattern: str) -> str:
    return "".join(f"# CIS {item.id}\n{pattern.format(item)}\n" for item in items)


def _finds(line: str, file: str) -> dict[str, object]:
    return {"exec": f"grep --line-regexp --fixed-strings --quiet '{line}' {file}", "exit-status": 0}


def _sshd_says(line: str) -> dict[str, object]:
    return {"exec": f"sshd -T | grep --line-regexp --ignore-case --fixed-strings --quiet '{line}'", "exit-status": 0}
