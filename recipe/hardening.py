"""The hardening profile: one list of CIS items, for the step that sets them and for the tests that ask for them."""

from functools import cache
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

HARDENING_FILE = Path(__file__).with_name("hardening.yaml")
SYSCTL_FILE = "/etc/sysctl.d/95-node-image-cis.conf"
MODULES_FILE = "/etc/modprobe.d/node-image-cis.conf"
# Of most settings sshd takes the first value that it meets: this file is read before any other drop-in. Of MaxStartups it takes
# the last (OpenSSH 9.2 and 10.0): the second file is read after any other drop-in.
SSHD_FILE = "/etc/ssh/sshd_config.d/05-node-image-cis.conf"
SSHD_LAST_FILE = "/etc/ssh/sshd_config.d/zz-node-image-cis.conf"
SSHD_TAKES_LAST = ("MaxStartups",)


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel, coerce_numbers_to_str=True)


class Item(_Entry):
    """A benchmark item: what is set, and to what. A module and a unit have no value."""

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
    units: list[Item]
    modes: list[Item] = Field(alias="files")
    left_out: list[LeftOut] = Field(min_length=1)

    def files(self) -> dict[str, str]:
        """The files that the profile consists of, by path."""
        last = [item for item in self.sshd if item.name in SSHD_TAKES_LAST]
        return {
            MODULES_FILE: _lines(self.modules, "install {0.name} /bin/false\nblacklist {0.name}"),
            SYSCTL_FILE: _lines(self.sysctls, "{0.name} = {0.value}"),
            SSHD_FILE: _lines(self.sshd, "{0.name} {0.value}"),
            SSHD_LAST_FILE: _lines(last, "{0.name} {0.value}"),
        }


@cache
def load_hardening(file: Path = HARDENING_FILE) -> Profile:
    """Read the profile."""
    return Profile.model_validate(yaml.safe_load(file.read_text()))


def _lines(items: list[Item], pattern: str) -> str:
    return "".join(f"# CIS {item.id}\n{pattern.format(item)}\n" for item in items)
