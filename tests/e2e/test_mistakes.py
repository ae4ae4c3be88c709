"""A user's mistakes: each is told in words, with the remedy, without a traceback, and before anything is made."""

from collections.abc import Iterator

import pytest
import yaml

from tests.e2e.workspace import Workspace


@pytest.fixture
def restored(workspace: Workspace) -> Iterator[Workspace]:
    text = workspace.stack_file.read_text()
    yield workspace
    workspace.stack_file.write_text(text)


def refused(workspace: Workspace) -> str:
    result = workspace.up()
    text = result.stdout + result.stderr
    assert result.returncode != 0, text
    assert "Traceback" not in text
    workspace.nothing_left_over()
    return text


@pytest.mark.parametrize(
    ("images", "said"),
    [
        ([{"os": "debian-31", "kubernetes": "1.36.4"}], ["images[0].os = debian-31", "did you mean debian-13?"]),
        ([{"os": "debian-13", "kubernetes": "1.36"}], ["images[0].kubernetes[0]", "MAJOR.MINOR.PATCH"]),
        ([{"os": "debian-13", "kubernetes": "1.20.3"}], ["1.20.3", "use one of 1.34, 1.35, 1.36"]),
        ([{"os": "debian-13", "kubernetes": ["1.36.4", "1.36.4"]}], ["debian-13/1.36.4", "declared 2 times"]),
        (
            [{"os": "debian-13", "kubernets": "1.36.4"}],
            ["images[0].kubernets", "did you mean kubernetes?", "is required"],
        ),
    ],
)
def test_a_mistake_in_the_stack_file(restored: Workspace, images: list[object], said: list[str]) -> None:
    restored.configure(images=images)
    text = refused(restored)
    assert all(part in text for part in ["stacks/Pulumi.sandbox.yaml", *said]), text


def test_a_missing_token(restored: Workspace) -> None:
    document = yaml.safe_load(restored.stack_file.read_text())
    del document["config"]["hcloud:token"]
    restored.stack_file.write_text(yaml.safe_dump(document))
    assert "pulumiw config set --secret hcloud:token" in refused(restored)


def test_a_token_that_the_api_refuses(restored: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    document = yaml.safe_load(restored.stack_file.read_text())
    del document["config"]["hcloud:token"]
    restored.stack_file.write_text(yaml.safe_dump(document))
    monkeypatch.setattr(
        Workspace, "environment", lambda self, plain=Workspace.environment: {**plain(self), "HCLOUD_TOKEN": "wrong"}
    )
    assert "unauthorized" in refused(restored)


def test_an_endpoint_that_does_not_answer(restored: Workspace) -> None:
    restored.configure(hcloud__endpoint="http://127.0.0.1:1/v1")
    text = refused(restored)
    assert "http://127.0.0.1:1/v1 does not answer" in text
    assert "make sandbox-start" in text


def test_a_mirror_that_does_not_run(restored: Workspace) -> None:
    restored.configure(artifacts={"mirror": "http://127.0.0.1:1", "localBuilds": True})
    assert "the artifact mirror http://127.0.0.1:1 does not answer" in refused(restored)


def test_a_server_type_and_a_location_that_there_are_not_are_told_in_the_preview(restored: Workspace) -> None:
    restored.configure(serverTypes={"amd64": ["cx999", "cax11"]}, locations=["mars1", "nbg1"])
    result = restored.run("./pulumiw", "preview", "--non-interactive")
    text = " ".join((result.stdout + result.stderr).split())
    assert result.returncode != 0, text
    assert "3 problems, nothing was changed" in text
    for part in (
        "serverTypes.amd64 = cx999",
        "serverTypes.amd64 = cax11",
        "locations = mars1",
    ):
        assert part in text


def test_no_server_to_be_had(restored: Workspace) -> None:
    restored.configure(serverTypes={"amd64": ["cx22"]}, locations=["nbg1", "fsn1"])
    text = refused(restored)
    assert "cx22 in nbg1" in text
    assert "cx22 in fsn1" in text
    assert "node-images:serverTypes" in text
