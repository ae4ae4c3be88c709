"""The README's way to a real account, against the sandbox's API without machines: a stack of one's own, an encrypted token."""

import subprocess

import pytest

from tests.e2e.workspace import TOKEN, Workspace


@pytest.fixture(scope="module", autouse=True)
def environment_of_a_user(small: Workspace) -> None:
    """Only what the user is told to set; the address and the SSH port of the sandbox in place of Hetzner's."""
    dev = small.root / "stacks" / "Pulumi.dev.yaml"
    dev.write_text(f"{dev.read_text()}  node-images:sshPort: {small.ssh_port}\n")
    plain = small.environment()
    chosen = {"PULUMI_CONFIG_PASSPHRASE": "correct horse", "HCLOUD_ENDPOINT": small.endpoint}
    del plain["PULUMI_STACK"]
    small.environment = lambda: {**plain, **chosen}  # type: ignore[method-assign]


def test_stack_init_and_an_encrypted_token(small: Workspace) -> None:
    assert small.pulumi("stack", "init", "dev").returncode == 0
    command = ["./pulumiw", "config", "set", "--secret", "hcloud:token", "--stack", "dev"]
    environment = small.environment()
    result = subprocess.run(command, cwd=small.root, env=environment, input=TOKEN, text=True, capture_output=True)
    assert result.returncode == 0, result.stderr
    text = (small.root / "stacks" / "Pulumi.dev.yaml").read_text()
    assert "secure:" in text
    assert TOKEN not in text


def test_the_preview_shows_one_snapshot_for_each_architecture(small: Workspace) -> None:
    result = small.pulumi("preview", "--stack", "dev", "--json")
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("$hcloud:index/snapshot:Snapshot::debian-13-kube-1.36.4-") >= 2
    assert TOKEN not in result.stdout + result.stderr
    assert "from HCLOUD_ENDPOINT of your environment" in result.stdout + result.stderr


def test_another_passphrase_opens_nothing(small: Workspace) -> None:
    environment = {**small.environment(), "PULUMI_CONFIG_PASSPHRASE": "sandbox"}
    command = ["./pulumiw", "preview", "--stack", "dev", "--non-interactive"]
    result = subprocess.run(command, cwd=small.root, env=environment, text=True, capture_output=True)
    assert result.returncode != 0
    assert "incorrect passphrase" in result.stderr + result.stdout


def test_an_architecture_that_is_out_of_stock_is_told_before_and_leaves_nothing(small: Workspace) -> None:
    small.sell_out("cax*")
    result = small.pulumi("up", "--stack", "dev", "--yes", "--skip-preview")
    text = result.stdout + result.stderr
    assert result.returncode != 0
    assert "no server for arm64 is in stock now" in text
    assert "cax11 in nbg1" in text
    assert "Traceback" not in text
    small.nothing_left_over()
    swept = small.run("env", f"HCLOUD_TOKEN={TOKEN}", "./node-images", "sweep", "--stack", "dev")
    assert swept.stdout.strip() == "Nothing is left over.", swept.stderr


def test_up_makes_both_architectures(small: Workspace) -> None:
    small.sell_out()
    result = small.pulumi("up", "--stack", "dev", "--yes", "--skip-preview")
    assert result.returncode == 0, result.stdout + result.stderr
    (name,) = small.snapshots()
    labelled = small.client.images.get_all(label_selector=f"caph-image-name={name}")
    assert {image.architecture for image in labelled} == {"x86", "arm"}
    small.nothing_left_over()
