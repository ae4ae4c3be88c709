"""The tarball's name is one that installimage understands, and its script is sound."""

import re
import subprocess

import pytest

from recipe import Node, load_catalog, load_lock, render
from recipe.catalog import Architecture
from recipe.tarball import SUFFIX, archive_name, pack_script
from tests.recipe.test_render import SHELLCHECK

CATALOG, LOCK = load_catalog(), load_lock()
SYSTEMS = [name for name, system in CATALOG.operating_systems.items() if system.installimage]
IMAGE = "{os}-kube-1.36.4-0a1b2c64"
"""A digest that ends like an architecture."""


@pytest.mark.parametrize("architecture", ["amd64", "arm64"])
@pytest.mark.parametrize("os", SYSTEMS)
def test_installimage_reads_distribution_version_and_architecture_out_of_the_name(os: str, architecture: str) -> None:
    """By the rules of its `whoami`: some word for the distribution, the second part, the last part that is an architecture."""
    file = archive_name(CATALOG, os, architecture, IMAGE.format(os=os)) + SUFFIX
    distribution, _, version = os.partition("-")
    others = ("suse", "centos", "ubuntu", "arch", "rocky", "alma", "rhel")
    assert [word for word in others if word in file.lower()] == ([distribution] if distribution != "debian" else [])
    number = file.split("-")[1]
    assert number == (f"{version}00" if distribution == "debian" else version.replace(".", ""))
    assert re.sub(r".*-(32|64|i386|amd64|arm64)-.*", r"\1", file) == architecture
    assert file.endswith(".tar.gz"), "CAPH knows no zst"


def test_every_system_that_has_a_name_has_packages_for_bare_metal() -> None:
    for os in SYSTEMS:
        metal = CATALOG.bare_metal[CATALOG.operating_systems[os].distribution]
        assert set(metal.kernel) == set(metal.boot_loaders) == set(CATALOG.architectures)


def scripts() -> dict[str, str]:
    architectures: list[Architecture] = ["amd64", "arm64"]
    nodes = [
        Node(os, "1.36.4", architecture, as_of=time)
        for os in SYSTEMS
        for architecture in architectures
        for time in ("", "20261101T000000Z")
    ]
    return {
        f"{node.os}-{node.architecture}{'-dated' * bool(node.as_of)}": pack_script(
            CATALOG, node, render(CATALOG, LOCK, node)
        )
        for node in nodes
    }


@pytest.mark.parametrize("name", ["debian-13-amd64", "debian-13-amd64-dated", "ubuntu-24.04-arm64"])
def test_the_script_is_sound_shell(name: str) -> None:
    subshells = "--exclude=SC2030,SC2031"  # each part has the library for itself
    result = subprocess.run([*SHELLCHECK[:-1], subshells, "-"], input=scripts()[name], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize(("name", "script"), scripts().items(), ids=scripts())
def test_the_script_installs_cleans_and_packs_in_this_order(name: str, script: str) -> None:
    order = [
        script.index(part) for part in ("apt-get update", "cp /usr/share/grub", "cloud-init clean", "tar --create")
    ]
    assert order == sorted(order)
    assert ("snapshot." in script) == name.endswith("-dated"), "the kernel is of the same date as all other packages"
    unset = {
        word
        for word in ("KERNEL", "BOOT_PACKAGES", "FIRMWARE", "GRUB_PLATFORMS", "MANIFEST")
        if f"\n{word}=" not in script
    }
    assert unset == set()


@pytest.mark.parametrize("name", ["debian-13-amd64", "ubuntu-24.04-arm64"])
def test_bare_metal_boots_with_what_cloud_servers_do_without(name: str) -> None:
    """Before the kernel is installed, whose initrd would be made without it."""
    script = scripts()[name]
    for file in (
        "/etc/initramfs-tools/hooks/node-image",
        "/etc/systemd/system/lvm2-monitor.service.d/20-where-volumes-are.conf",
    ):
        assert 0 < script.index(file) < script.index('"${install[@]}" "$KERNEL"')
