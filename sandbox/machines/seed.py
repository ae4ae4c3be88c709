"""What a machine finds under /run when it boots. Pure: text in, files out.

All of it lies under /run, which is gone when the machine is off: nothing of the sandbox gets onto a disk and so into
a snapshot. cloud-init reads the seed because of an argument of the machine's init (``CLOUD_INIT_ARGUMENTS``).
"""

from __future__ import annotations

import json

from sandbox.machines import Boot

RUN = "/run/sandbox"
CLOUD_INIT_ARGUMENTS = (
    f"ds=nocloud;s=file://{RUN}/seed/",
    # The sandbox has configured the network when the machine boots: cloud-init must not, nor write files about it.
    "network-config=disabled",
)
# What Hetzner's own vendor data and images amount to: root logs in, with the keys given, else with the password.
ROOT_ONLY = {"disable_root": False, "users": [], "manage_etc_hosts": True, "apt": {"preserve_sources_list": True}}
SSHD_DROP_IN = f"""\
[Service]
EnvironmentFile={RUN}/sshd.env
"""
# As on a server, whose initrd mounts /run so: no program runs from there. Whatever has a mount of its own below it stays.
RUN_IS_NOEXEC = """\
[Service]
ExecStartPre=mount -o remount,noexec /run
"""
# A fault on order: after all that cloud-init does, the rest of the disk is taken.
FILLS_THE_DISK = """\
[Service]
ExecStartPost=-/bin/sh -c 'cat /dev/zero > /.full'
"""


def cloud_config(settings: dict[str, object]) -> str:
    """A #cloud-config document; JSON is YAML."""
    return "#cloud-config\n" + json.dumps(settings, indent=1) + "\n"


def vendor_data(boot: Boot) -> str:
    """What the cloud itself tells cloud-init."""
    return cloud_config(vendor_settings(boot))


def vendor_settings(boot: Boot) -> dict[str, object]:
    """Root with its keys; with a password of its own, to be changed at first login, where no key was given."""
    settings: dict[str, object] = dict(ROOT_ONLY)
    if boot.root_password:
        user = {"name": "root", "password": boot.root_password, "type": "text"}
        settings |= {"ssh_pwauth": True, "chpasswd": {"expire": True, "users": [user]}}
    return settings


def meta_data(boot: Boot) -> str:
    """NoCloud meta data: a new instance id makes cloud-init treat a machine from a snapshot as a new one."""
    content = {"instance-id": str(boot.machine), "local-hostname": boot.name, "public-keys": list(boot.public_keys)}
    return json.dumps(content, indent=1) + "\n"


def sshd_options(boot: Boot) -> str:
    """Hetzner's images let root in by password when no key was given."""
    return "SSHD_OPTS=-o PermitRootLogin=yes\n" if boot.root_password else "SSHD_OPTS=\n"


def files(boot: Boot) -> dict[str, str]:
    """Path below RUN -> content."""
    return {
        "seed/meta-data": meta_data(boot),
        "seed/user-data": boot.user_data or cloud_config({}),
        "seed/vendor-data": vendor_data(boot),
        "noexec.conf": RUN_IS_NOEXEC,
        "sshd.conf": SSHD_DROP_IN,
        "sshd.env": sshd_options(boot),
        **({"full-disk.conf": FILLS_THE_DISK} if boot.disk_full else {}),
    }
