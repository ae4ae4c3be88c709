"""What of the forms' trials can be said without a machine of its own."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.kubernetes import metal
from tests.kubernetes.forms import LIMITS, patient, verified
from tests.kubernetes.metal import BIOS_BOOT, LAYOUT, Partition, firmware_of, fstab, write_disk

SAID = """\
== running acceptance.sh
== acceptance tests: {"passed": 4, "total": 4, "level": "%s", "seconds": {"ssh": 60.1, "ready": 182.3}}
== snapshot 7: caph-image-name=debian-13-kube
"""


def test_the_tests_of_a_form_have_time() -> None:
    text = "#!/bin/bash\n# The acceptance tests.\nset -e\n"
    assert patient(text) == f"#!/bin/bash\n{LIMITS}# The acceptance tests.\nset -e\n"


def test_a_form_is_proved_by_a_cluster_alone() -> None:
    assert verified(SAID % "cluster") == {"ready": 182.3}
    with pytest.raises(AssertionError, match="level boot"):
        verified(SAID % "boot")
    with pytest.raises(AssertionError, match="no server is to be had"):
        verified("error: no server is to be had")


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> tuple[Partition, ...]:
    """The same partitions, though for a disk that is made in no time."""
    layout = (Partition("", BIOS_BOOT, 1, 1), Partition("/boot/efi", "U", 2, 40), Partition("/boot", "L", 42, 16),
              Partition("/", "L", 58, 40))  # fmt: skip
    monkeypatch.setattr(metal, "LAYOUT", layout)
    monkeypatch.setattr(metal, "DISK_MB", 100)
    return layout


def test_a_disk_has_the_partitions_of_the_template_and_all_files(small: tuple[Partition, ...], tmp_path: Path) -> None:
    tree, disk = tmp_path / "tree", tmp_path / "disk.raw"
    for file in ("etc/hostname", "boot/efi/none", "boot/vmlinuz-6"):
        (tree / file).parent.mkdir(parents=True, exist_ok=True)
        (tree / file).write_text(file)
    uuid = write_disk(tree, disk)
    dump = subprocess.run(["sfdisk", "--json", str(disk)], capture_output=True, text=True, check=True).stdout
    found = [(item["start"], item["size"]) for item in json.loads(dump)["partitiontable"]["partitions"]]
    assert found == [(item.start * 2048, item.size * 2048) for item in small]
    assert json.loads(dump)["partitiontable"]["partitions"][0]["type"] == BIOS_BOOT
    _, _, boot, root = small
    assert "vmlinuz-6" in debugfs(disk, boot, "ls /")
    assert "vmlinuz-6" not in debugfs(disk, root, "ls /boot")
    assert debugfs(disk, root, "cat /etc/hostname") == "etc/hostname"
    assert f"UUID={uuid} / ext4" in debugfs(disk, root, "cat /etc/fstab")


def debugfs(disk: Path, partition: Partition, command: str) -> str:
    place = f"{disk}?offset={partition.start << 20}"
    return subprocess.run(["debugfs", "-R", command, place], capture_output=True, text=True, check=True).stdout


def test_the_partitions_lie_one_behind_the_other_to_the_end_of_the_disk() -> None:
    ends = [item.start + item.size for item in LAYOUT]
    assert [item.start for item in LAYOUT[1:]] == ends[:-1]
    assert ends[-1] == metal.DISK_MB - 1


def test_fstab_is_as_installimage_writes_it() -> None:
    assert fstab({"/boot/efi": "1-2", "/boot": "b", "/": "r"}).splitlines() == [
        "proc /proc proc defaults 0 0",
        "UUID=1-2 /boot/efi vfat umask=0077 0 1",
        "UUID=b /boot ext4 defaults 0 0",
        "UUID=r / ext4 defaults 0 0",
    ]


def test_uefi_has_variables_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metal, "FIRMWARE", tmp_path)
    (tmp_path / "OVMF_VARS_4M.fd").write_text("none yet")
    (tmp_path / "machine").mkdir()
    assert firmware_of("BIOS", tmp_path / "machine") == []
    assert str(tmp_path / "machine" / "variables.fd") in firmware_of("UEFI", tmp_path / "machine")[-1]
