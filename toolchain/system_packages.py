"""The Debian or Ubuntu packages that set-up, the sandbox and the tests need."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence

from toolchain.errors import SetupError
from toolchain.progress import Progress

# Why each is needed is said to whoever is asked to install it.
PACKAGES = {
    "ca-certificates": "downloads",
    "curl": "downloads of the recipe",
    "debian-archive-keyring": "root file systems of the sandbox",
    "dosfstools": "disks of the sandbox's virtual machines",
    "e2fsprogs": "disks of the sandbox's virtual machines",
    "fdisk": "disks of the sandbox's virtual machines",
    "gcc": "runc and the pause image, where they must be built",
    "hcloud-cli": "tests with a real client",
    "iproute2": "the network of the sandbox's machines",
    "jq": "examples",
    "libc6-dev": "runc and the pause image, where they must be built",
    "libseccomp-dev": "runc, where it must be built",
    "mmdebstrap": "root file systems of the sandbox, images of containers",
    "mtools": "disks of the sandbox's virtual machines",
    "nftables": "firewalls of the sandbox",
    "openssh-client": "SSH keys",
    "ovmf": "virtual machines of the sandbox that boot by UEFI",
    "pkg-config": "runc, where it must be built",
    "python3-venv": "the Python environment",
    "qemu-system-x86": "virtual machines of the sandbox",
    "qemu-utils": "disks of the sandbox's virtual machines",
    "shellcheck": "checks of shell scripts",
    "slirp4netns": "the way of the sandbox's machines to other networks",
    "systemd-container": "machines of the sandbox",
    "xorriso": "what a virtual machine is told when it boots",
}
# Debian 12 and Ubuntu 22.04 have it, later ones do not: the test that needs it is skipped there.
OPTIONAL = {"packer": "tests with a real client"}
# Only for `make test`: 133 MB to fetch and 400 MB on disk, which nobody else needs.
TEST_PACKAGES = {"chromium": "tests of the catalogue's page", "chromium-driver": "tests of the catalogue's page"}
INSTALL = ("apt-get", "install", "--yes", "--no-install-recommends")
QUIET = {"DEBIAN_FRONTEND": "noninteractive"}


def ensure_packages(progress: Progress) -> None:
    """Install the packages that are missing; say which before. Raises SetupError when it may not."""
    if not shutil.which("dpkg-query"):
        progress.say(f"Not a Debian or Ubuntu system: these must be there under their own names: {', '.join(PACKAGES)}")
        return
    missing = missing_packages(installed_packages())
    if missing:
        install(missing, privilege(missing), progress)
    optional = [name for name in OPTIONAL if not shutil.which(name) and is_offered(name)]
    if optional and may_install():
        install(optional, privilege(optional), progress)


def ensure_test_packages(progress: Progress) -> None:
    """Install what only tests need. Ubuntu has a browser as a snap alone, so not to get it here is no error yet."""
    if shutil.which("chromedriver"):
        return
    names = list(TEST_PACKAGES)
    try:
        install(names, privilege(names), progress)
    except (SetupError, FileNotFoundError) as error:
        progress.say(f"warning: no {' and '.join(names)}: {getattr(error, 'problem', 'apt-get is not there')}")
        progress.say("  The tests in a browser will fail until Chromium and chromedriver are on PATH.")


def installed_packages() -> set[str]:
    """Ask dpkg which of the packages are installed."""
    query = ["dpkg-query", "--show", "--showformat", "${Package} ${db:Status-Status}\n", *PACKAGES]
    answer = subprocess.run(query, capture_output=True, text=True, check=False).stdout
    return {name for name, status in (line.split() for line in answer.splitlines()) if status == "installed"}


def is_offered(name: str) -> bool:
    """Whether this system's package lists know the package."""
    if not shutil.which("apt-cache"):
        return False
    command = ["apt-cache", "show", "--no-all-versions", name]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def missing_packages(installed: set[str]) -> list[str]:
    """List the packages that are not installed."""
    return [name for name in PACKAGES if name not in installed]


def may_install() -> bool:
    """Whether root is at hand."""
    return os.geteuid() == 0 or bool(shutil.which("sudo") and (sys.stdin.isatty() or _sudo_without_password()))


def privilege(missing: Sequence[str]) -> list[str]:
    """Return the words to put before a command that needs root. Raises SetupError when there is no way."""
    if not may_install():
        raise SetupError(
            f"system packages are missing, and installing them needs root or sudo, which are not at hand: {' '.join(missing)}",
            f"Run as root: {' '.join(INSTALL)} {' '.join(missing)}",
        )
    return [] if os.geteuid() == 0 else ["sudo"]


def _sudo_without_password() -> bool:
    return subprocess.run(["sudo", "-n", "true"], capture_output=True, check=False).returncode == 0


def install(missing: Sequence[str], prefix: Sequence[str], progress: Progress) -> None:
    """Install packages with apt-get, after an update of its lists only where they do not know a package."""
    progress.say("These system packages will be installed now:")
    for name in missing:
        progress.say(f"  {name:<24}{({**PACKAGES, **OPTIONAL, **TEST_PACKAGES})[name]}")
    with progress.part("System packages"):
        if _apt([*prefix, *INSTALL, *missing]).returncode == 0:
            return
        _apt([*prefix, "apt-get", "update"])
        result = _apt([*prefix, *INSTALL, *missing])
    if result.returncode != 0:
        raise SetupError(
            f"apt-get could not install {' '.join(missing)}:\n{_tail(result.stdout)}",
            f"Run as root: {' '.join(INSTALL)} {' '.join(missing)}",
        )


def _apt(argv: Sequence[str]) -> subprocess.CompletedProcess[str]:
    words = [*argv]
    if words[0] == "sudo":  # sudo keeps no environment
        words[1:1] = ["env", *(f"{name}={value}" for name, value in QUIET.items())]
    return subprocess.run(
        words, env={**os.environ, **QUIET}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )


def _tail(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines()[-10:])
