"""The acceptance documents are complete: every list is asked for, every placeholder filled, no item twice."""

import json
import re
from pathlib import Path

import pytest
import yaml

from recipe import Node, load_catalog, load_lock
from recipe.defaults import load_defaults
from recipe.expected import expected
from recipe.gossfile import FOLDER, document
from recipe.hardening import SSHD_FILE, SSHD_LAST_FILE, load_hardening
from recipe.options import NodeOptions, SourceFile
from recipe.render import acceptance_tests, render

CATALOG, LOCK = load_catalog(), load_lock()
FAMILIES = {"debian": "debian-13", "redhat": "rocky-10"}
BODY = "A" * 80 + "\n" + "B" * 30 + "END="
CERTIFICATE = f"-----BEGIN CERTIFICATE-----\n{BODY}\n-----END CERTIFICATE-----\n"


def commands(os: str = "debian-13", **options: object) -> dict[str, dict[str, object]]:
    node = Node(os, "1.36.4", "amd64", NodeOptions().model_copy(update=options))
    return acceptance_tests(CATALOG, LOCK, node, "booted")["command"]


@pytest.mark.parametrize("family", list(FAMILIES))
def test_items_have_names_of_their_own_in_all_files_of_a_family(family: str) -> None:
    lists = expected(family, NodeOptions(), [], {}, {})
    files = [
        yaml.safe_load(file.read_text())
        for file in FOLDER.glob("*.yaml")
        if file.suffixes[0] in (".yaml", f".{family}")
    ]
    names = [(kind, name) for file in files for kind, items in file.items() for name in items]
    assert len(names) == len(set(names))
    wanted = sum(
        len(lists[each] if isinstance(each, str) else each) if (each := item.get("each")) else 1
        for file in files
        for items in file.values()
        for item in items.values()
    )
    assert sum(map(len, document("booted", family, lists).values())) == wanted, "no filled name meets another"


def test_every_list_is_asked_for() -> None:
    text = "".join(file.read_text() for file in FOLDER.glob("*.yaml"))
    asked = set(re.findall(r"^    each: ([A-Za-z].*)$", text, re.MULTILINE))
    assert asked == set(expected("debian", NodeOptions(), [], {}, {}))


@pytest.mark.parametrize("os", list(CATALOG.operating_systems))
def test_every_placeholder_is_filled(os: str) -> None:
    text = json.dumps(acceptance_tests(CATALOG, LOCK, Node(os, "1.36.4", "amd64"), "booted"))
    assert re.findall(r"\{(each|name|value|id|path|file|sha256|version|tail)\}", text) == []


def test_an_option_of_the_user_takes_the_place_of_a_default() -> None:
    item = commands(sysctls={"vm.max_map_count": "262144"})["setting vm.max_map_count"]
    assert 'last != "262144"' in str(item["exec"])


def test_braces_of_the_users_are_no_template() -> None:
    """goss fills the whole document in, as a template of Go."""
    flag = commands(kubelet_arguments={"volume-plugin-dir": "{{x}} {each}"})["kubelet starts"]
    assert "--volume-plugin-dir={{`{{`}}x}} {each}" in str(flag["exec"])


def test_a_version_of_a_package_is_asked_for() -> None:
    items = commands(extra_packages=["htop=3.4.1-5"])
    assert {"package htop", "package htop 3.4.1-5"} <= set(items)


def test_each_certificate_of_a_file_is_asked_for_by_its_end() -> None:
    items = commands(ca_certificates=[SourceFile("company.pem", CERTIFICATE * 2)])
    assert {"authority company.pem 1", "authority company.pem 2"} <= set(items)
    assert f"'{'A' * 30}{'B' * 30}END='" in str(items["authority company.pem 1"]["exec"])


def test_the_url_of_a_registry_mirror_is_part_of_what_is_asked() -> None:
    def sums(url: str) -> object:
        options = NodeOptions.model_validate({"registryMirrors": {"docker.io": [url]}}, context={"folder": Path()})
        node = Node("debian-13", "1.36.4", "amd64", options)
        return acceptance_tests(CATALOG, LOCK, node, "booted")["file"]["/etc/containerd/certs.d/docker.io/hosts.toml"]

    assert sums("http://one.example") != sums("http://two.example")


def test_the_profile_is_asked_for_only_where_it_is_chosen() -> None:
    assert not any(name.startswith("CIS") for name in commands())
    profile = load_hardening()
    count = sum(map(len, (profile.modules, profile.sysctls, profile.sshd, profile.units, profile.modes)))
    assert sum(name.startswith("CIS") for name in commands(hardening="cis")) == count


def test_what_sshd_takes_last_is_also_said_last() -> None:
    files = load_hardening().files()
    assert "MaxStartups 10:30:60" in files[SSHD_FILE]
    assert files[SSHD_LAST_FILE] == "# CIS 5.1.18\nMaxStartups 10:30:60\n"


@pytest.mark.parametrize("os", list(FAMILIES.values()))
def test_the_steps_write_every_default(os: str) -> None:
    scripts = "".join(step.script for step in render(CATALOG, LOCK, Node(os, "1.36.4", "amd64")).steps if step.shapes)
    family = CATALOG.operating_systems[os].family
    apt = {"APT_SETTINGS"} if family == "redhat" else set()
    for name, text in load_defaults().settings(family).items():
        assert name in apt or f"\n{name}=" in scripts, name
        assert name in apt or text.splitlines()[0] in scripts
