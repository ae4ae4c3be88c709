"""What QEMU is started with for the rescue system, and that it is so once. No machine boots."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from sandbox.machines import Boot, RescueSystem, vm_rescue

SCRIPT = Path(__file__).parents[3] / "sandbox" / "machines" / "vm.sh"
BOOT = Boot(7, "node", "127.1.2.7", public_keys=("own",), user_data="#cloud-config\n{}\n", root_password="own")
STUB = '#!/bin/sh\necho "${0##*/} $*" >> "$LOG"\n'


def rescue_directory(run: Path, *keys: str) -> Path:
    tree = run / "tree"
    (tree / "boot").mkdir(parents=True)
    (tree / "boot" / "vmlinuz-6.12").touch()
    boot = Boot(**{**vars(BOOT), "rescue": RescueSystem(keys, "secret")})
    vm_rescue.write(run / "rescue", boot, "x86", tree, run / "base.qcow2")
    return run / "rescue"


def test_it_tells_the_rescue_system_its_own_keys_and_nothing_of_the_servers(tmp_path: Path) -> None:
    made = rescue_directory(tmp_path, "key")
    assert json.loads((made / "seed" / "meta-data").read_text())["public-keys"] == ["key"]
    assert "own" not in "".join(path.read_text() for path in (made / "seed").iterdir())
    assert (made / "initrd").readlink() == tmp_path / "tree" / "boot" / "initrd.img-6.12"
    assert "root=/dev/vda1" in (made / "arguments").read_text()


def test_without_a_key_there_is_the_password(tmp_path: Path) -> None:
    assert "secret" in (rescue_directory(tmp_path) / "seed" / "vendor-data").read_text()


def started(run: Path) -> str:
    """The command line that would start QEMU."""
    programs, log = run / "bin", run / "log"
    programs.mkdir(exist_ok=True)
    for name in ("xorriso", "qemu-img", "setpriv"):
        (programs / name).write_text(STUB)
        (programs / name).chmod(0o755)
    log.write_text("")
    environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "LOG": str(log)}
    subprocess.run(["sh", str(SCRIPT), str(run), "cidata", str(run / "disk"), "qemu"], env=environment, check=True)
    return log.read_text()


def test_the_next_start_is_one_from_the_disk(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk" / "top").symlink_to("layer.qcow2")
    rescue_directory(tmp_path, "key")
    first, second = started(tmp_path), started(tmp_path)
    assert f"-b {tmp_path}/base.qcow2" in first and f"{tmp_path}/rescue-booted/seed" in first
    assert "-no-reboot -kernel" in first and "virtio-blk-pci,drive=rescue" in first
    assert "id=root,file=layer.qcow2" in first and "id=root,file=layer.qcow2" in second
    assert f"{tmp_path}/seed\n" in second and "-kernel" not in second
