"""A tarball for installimage: packed by an `up`, unpacked as installimage does, booted with the user data that CAPH leaves."""

import hashlib
import json
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.e2e.bare_metal import booted, in_chroot, install, unpack
from tests.e2e.workspace import Workspace, over_ssh, start_workspace, use_small_recipe

USER_DATA = "#cloud-config\nruncmd:\n  - [bash, -c, 'echo joined >/root/joined']\n"


@pytest.fixture(scope="module")
def packed(fresh_clone: Workspace) -> Workspace:
    """Real machines, though with a small recipe: what is packed has to boot by itself."""
    small = fresh_clone
    use_small_recipe(small)
    small.servers = "real"
    small.append("recipe/steps/50-marker.sh", "install_text 0644 /var/lib/containerd/preloaded <<<image\n")
    start_workspace(small)
    small.declare("1.36.4")
    small.configure(forms=["snapshot", "tarball"], tarballs="archives")
    small.settle()
    return small


@pytest.fixture(scope="module")
def archive(packed: Workspace) -> Path:
    return packed.root / packed.output("images")[0]["tarballs"]["amd64"]["path"]


def test_the_export_tells_of_the_archive(packed: Workspace, archive: Path) -> None:
    (image,) = packed.output("images")
    record = image["tarballs"]["amd64"]
    suffix = image["name"].removeprefix("debian-13-")
    assert record["path"] == f"archives/sandbox/Debian-1300-trixie-amd64-{suffix}.tar.gz"
    assert record["sha256"] == hashlib.sha256(archive.read_bytes()).hexdigest()
    assert record["size"] == archive.stat().st_size
    assert [path.name for path in archive.parent.iterdir()] == [archive.name]
    packed.nothing_left_over()
    packed.unchanged()


def test_its_layout_is_what_installimage_unpacks(archive: Path) -> None:
    with tarfile.open(archive) as opened:
        members = {member.name: member for member in opened}
    assert not any(name.startswith(("./", "/")) for name in members), (
        "installimage excludes proc, sys and dev by these names"
    )
    assert {"bin", "boot", "boot/efi", "boot/grub", "etc/default/grub", "etc/default/mdadm", "usr", "var"} <= set(
        members
    )
    for directory in ("proc", "sys", "dev", "run", "tmp", "var/tmp"):
        assert not [name for name in members if name.startswith(f"{directory}/")], directory
    assert "var/lib/containerd/preloaded" in members, "on the sandbox's machines this is a file system of its own"
    assert members["etc/machine-id"].size == 0
    assert not [name for name in members if name.startswith("etc/ssh/ssh_host_") or name.endswith("authorized_keys")]


def test_the_template_names_it(packed: Workspace, archive: Path) -> None:
    arguments = [
        "--os",
        "debian-13",
        "--kubernetes",
        "1.36.4",
        "--stack",
        "sandbox",
        "--url",
        "https://images.example.com",
    ]
    result = packed.run("./node-images", "render", "install-image", *arguments)
    assert result.returncode == 0, result.stderr
    image = yaml.safe_load(result.stdout)["installImage"]["image"]
    assert image["url"] == f"https://images.example.com/{archive.name}"
    assert archive.name == f"{image['name']}.tar.gz"
    metal = ["--workers", "metal=bare-metal", "--url", "https://images.example.com"]
    template, _ = yaml.safe_load_all(packed.run("./node-images", "manifests", *metal).stdout)
    assert template["spec"]["template"]["spec"]["installImage"]["image"] == image


def test_a_server_boots_from_it(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, proves: Callable[..., None]
) -> None:
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    disk = tmp_path / "installed"
    unpack(archive, disk)
    (kernel,) = (disk / "boot").glob("vmlinuz-*")
    version = kernel.name.removeprefix("vmlinuz-")
    assert (disk / "boot" / f"initrd.img-{version}").stat().st_size > 5_000_000
    for driver in ("nvme/host/nvme", "net/ethernet/intel/igb/igb", "md/raid1"):
        assert list((disk / "lib/modules" / version / "kernel/drivers").glob(f"{driver}.ko*")), driver
    for platform in ("i386-pc", "x86_64-efi"):
        in_chroot(
            disk, f"grub-mkimage --format={platform} --prefix=/boot/grub --output=/tmp/{platform} part_gpt ext2 normal"
        )
    for program in ("grub-install", "grub-mkconfig", "ifup", "mdadm"):
        in_chroot(disk, f"{program} --version")
    assert "net.ifnames" not in (disk / "etc/default/grub").read_text()
    install(disk, "metal-1", key.with_suffix(".pub").read_text(), USER_DATA)
    installed_id = (disk / "etc/machine-id").read_text().strip()

    with booted(tmp_path, "metal-1", monkeypatch) as server:

        def ssh(command: str) -> str:
            return over_ssh(server, server.address, key, command)

        assert "status: done" in ssh("cloud-init status --wait --long")
        assert ssh("systemctl is-active ssh") == "active"
        assert ssh("cat /root/joined") == "joined", "the user data that CAPH leaves was run"
        assert ssh("hostname; cat /etc/machine-id") == f"metal-1\n{installed_id}"
        assert ssh("cat /etc/ssh/ssh_host_ed25519_key.pub").startswith("ssh-ed25519 ")
        assert ssh("cat /etc/marker") == "ok"
        assert json.loads(ssh("cat /etc/node-image.json"))["kubernetes"] == "1.36.4"
        last = ssh("cat $(ls /etc/sysctl.d/*.conf | sort) | grep 'all.rp_filter' | tail -n 1")
        assert last == "net.ipv4.conf.all.rp_filter = 0", "what installimage sets would defeat Cilium"
        failed = ssh("systemctl list-units --state=failed --no-legend --plain | cut -d ' ' -f 1").splitlines()
        # It would configure the network of the host, which a container shares here and may not touch.
        assert set(failed) <= {"networking.service"}
    proves("packed", "debian-13", "1.36.4", form="tarball")


def use_small_pack(workspace: Workspace, last: str) -> None:
    """What is packed matters no more: these end it at once."""
    parts = workspace.root / "recipe" / "installimage"
    for file in parts.glob("*.sh"):
        file.write_text("say nothing\n")
    (parts / "90-pack.sh").write_text(last)


def test_packing_that_fails_takes_nothing_from_the_snapshot(packed: Workspace, archive: Path) -> None:
    before = packed.snapshots()
    packed.append("recipe/steps/50-marker.sh", 'say "one more line"\n')
    use_small_pack(packed, "echo half of it >&3\ndie no room\n")
    result = packed.up()
    text = result.stdout + result.stderr
    assert result.returncode != 0
    assert "step tarball of debian-13-kube-1.36.4-" in text
    assert "no room" in text
    assert "Traceback" not in text
    assert len(packed.snapshots()) == len(before) + 1
    assert not any(name.startswith("unpublished") for name in packed.snapshots())
    assert [path.name for path in archive.parent.iterdir()] == [archive.name]
    packed.nothing_left_over()


def test_the_next_up_packs_it_and_the_earlier_image_keeps_its_own(packed: Workspace, archive: Path) -> None:
    before = packed.snapshots()
    use_small_pack(
        packed, 'say "sha256 $(echo all of it | sha256sum | cut --fields=1 --delimiter=" ")"\necho all of it >&3\n'
    )
    packed.settle()
    assert packed.snapshots() == before
    made = packed.root / packed.output("images")[0]["tarballs"]["amd64"]["path"]
    assert made.read_text() == "all of it\n"
    assert sorted(archive.parent.iterdir()) == sorted([made, archive])
    assert packed.root / packed.output("earlier")[0]["tarballs"]["amd64"]["path"] == archive
    packed.nothing_left_over()
    packed.unchanged()


def test_archives_go_when_nobody_asks_for_them(packed: Workspace, archive: Path) -> None:
    packed.configure(forms=["snapshot"])
    before = packed.snapshots()
    packed.settle()
    assert list(archive.parent.iterdir()) == []
    assert packed.snapshots() == before
    assert packed.output("images")[0]["tarballs"] == packed.output("earlier")[0]["tarballs"] == {}
