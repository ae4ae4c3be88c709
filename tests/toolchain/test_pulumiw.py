"""./pulumiw: which engine it runs, where, and what it tells it."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path

import pytest

from tests.toolchain.conftest import FakeCheckout, executable


def select_stack(checkout: FakeCheckout, stack: str, home: Path | None = None, **others: str) -> None:
    """Leave the file that `pulumi stack select` writes; `others` are selections at other backends, by host."""
    digest = hashlib.sha1(f"{checkout.folder}/Pulumi.yaml".encode()).hexdigest()
    folder = (home or checkout.folder / ".pulumi/home") / "workspaces"
    folder.mkdir(parents=True)
    stacks = {f"file://{checkout.folder}/.pulumi?metadata=skip": stack} if stack else {}
    stacks |= {f"s3://{host}": name for host, name in others.items()}
    (folder / f"node-images-{digest}-workspace.json").write_text(json.dumps({"stacks": stacks}, indent=4))


def test_arguments_reach_the_engine_as_they_are(checkout: FakeCheckout) -> None:
    words = ("config", "set", "a key", "", "--", "-s", "*")
    assert checkout.pulumi(*words).arguments == list(words)


def test_set_up_runs_once_and_only_for_what_is_pinned_now(checkout: FakeCheckout) -> None:
    checkout.pulumi("version")
    checkout.pulumi("version")
    assert checkout.setup_calls == ["--engine-only"]
    (checkout.folder / "requirements.lock").write_text("pulumi==9.9.9\n")
    checkout.prepare()
    checkout.pulumi("version")
    assert len(checkout.setup_calls) == 2


def test_a_lost_environment_is_linked_again(checkout: FakeCheckout) -> None:
    checkout.pulumi("version")
    (checkout.folder / ".venv").unlink()
    checkout.pulumi("version")
    assert len(checkout.setup_calls) == 2
    assert (checkout.folder / ".venv").exists()


def test_the_environment_of_the_checkout_comes_first(checkout: FakeCheckout) -> None:
    first, second, *rest = checkout.pulumi("preview").environment["PATH"].split(":")
    assert first == f"{checkout.folder}/.venv/bin"
    assert second == f"{checkout.ready}/bin"
    assert rest == ["/usr/bin", "/bin"]


def test_what_is_on_this_machine_is_reached_without_a_proxy(checkout: FakeCheckout) -> None:
    assert (
        checkout.pulumi("preview", no_proxy="example.com").environment["NO_PROXY"] == "127.0.0.1,localhost,example.com"
    )


def test_without_a_home_it_says_what_to_set(checkout: FakeCheckout) -> None:
    command = [checkout.folder / "pulumiw", "version"]
    result = subprocess.run(command, env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True)
    assert result.returncode != 0
    assert "set it or NODE_IMAGES_CACHE" in result.stderr


def test_the_engine_has_a_home_of_its_own_with_its_plugins(checkout: FakeCheckout) -> None:
    called = checkout.pulumi("preview", PULUMI_HOME="/somewhere/else")
    assert called.home == f"{checkout.folder}/.pulumi/home"
    assert Path(f"{called.home}/plugins").readlink() == checkout.ready / "plugins"
    assert called.disable_automatic_plugin_acquisition == "true"
    assert called.skip_update_check == "true"


def test_the_program_learns_whether_a_failed_image_stops_the_others(checkout: FakeCheckout) -> None:
    told = checkout.pulumi("up", "--yes", "--continue-on-error")
    assert told.environment["PULUMI_CONTINUE_ON_ERROR"] == "true"
    assert told.arguments == ["up", "--yes", "--continue-on-error"]
    assert "PULUMI_CONTINUE_ON_ERROR" not in checkout.pulumi("up", "--yes").environment


def test_the_users_own_pulumi_keeps_its_home(checkout: FakeCheckout) -> None:
    checkout.way = "1"
    checkout.prepare()
    called = checkout.pulumi("preview", PULUMI_HOME="/somewhere/else")
    assert called.home == "/somewhere/else"
    assert called.disable_automatic_plugin_acquisition is None
    assert not (checkout.folder / ".pulumi/home").exists()


def test_from_inside_the_checkout_the_engine_finds_the_project_itself(checkout: FakeCheckout) -> None:
    inside = checkout.folder / "toolchain"
    called = checkout.pulumi("preview", folder=inside)
    assert called.arguments == ["preview"]
    assert called.folder == str(inside)


def test_from_elsewhere_the_project_is_the_checkout(checkout: FakeCheckout, tmp_path: Path) -> None:
    called = checkout.pulumi("preview", "--diff", folder=tmp_path)
    assert called.arguments == ["preview", "--diff", "--cwd", str(checkout.folder)]
    assert called.config_passphrase == "sandbox"


@pytest.mark.parametrize("words", [["-C", "{}"], ["--cwd", "{}"], ["--cwd={}"], ["-C{}"]])
def test_another_project_is_left_alone(checkout: FakeCheckout, tmp_path: Path, words: list[str]) -> None:
    other = tmp_path / "another project"
    other.mkdir()
    (other / "Pulumi.yaml").write_text("name: other\nruntime: python\n")
    words = [word.format(other) for word in words]
    called = checkout.pulumi("up", *words, folder=tmp_path)
    assert called.arguments == ["up", *words]
    assert called.stack is None
    assert called.config_passphrase is None


def test_it_works_through_a_link(checkout: FakeCheckout, tmp_path: Path) -> None:
    link = tmp_path / "linked"
    link.symlink_to(checkout.folder / "pulumiw")
    assert checkout.pulumi("about", script=link).config_passphrase == "sandbox"


# Which stack, and whether its passphrase is public.


@pytest.mark.parametrize(
    "words",
    [
        ["preview"],
        ["preview", "-s", "sandbox"],
        ["preview", "-ssandbox"],
        ["preview", "--stack", "sandbox"],
        ["--stack=organization/node-images/sandbox", "up"],
        ["stack", "init", "sandbox"],
        ["stack", "select", "--create", "sandbox"],
        ["up", "-d"],
        ["destroy", "--stack", "cluster"],
        ["stack", "select", "--create", "cluster"],
    ],
)
def test_the_sandbox_has_a_public_passphrase(checkout: FakeCheckout, words: list[str]) -> None:
    assert checkout.pulumi(*words).config_passphrase == "sandbox"


@pytest.mark.parametrize(
    "words",
    [
        ["preview", "-s", "dev"],
        ["preview", "-sdev"],
        ["--stack", "prod", "up"],
        ["up", "--stack=me/node-images/prod"],
        ["preview", "-s", "sandbox2"],
        ["preview", "-s", "cluster2"],
        ["stack", "init", "prod", "--copy-config-from", "cluster"],
        ["stack", "init", "prod"],
        ["stack", "init", "--copy-config-from", "sandbox", "prod"],
        ["stack", "init", "prod", "--copy-config-from", "sandbox"],
        ["stack", "select", "prod"],
        ["config", "cp", "--dest", "prod"],
        ["config", "cp", "--dest=prod"],
        ["config", "cp", "-d", "prod", "-s", "sandbox"],
    ],
)
def test_no_other_stack_gets_it(checkout: FakeCheckout, words: list[str]) -> None:
    assert checkout.pulumi(*words).config_passphrase is None


@pytest.mark.parametrize(("stack", "passphrase"), [("sandbox", "sandbox"), ("dev", None)])
def test_the_selected_stack_decides(checkout: FakeCheckout, stack: str, passphrase: str | None) -> None:
    select_stack(checkout, stack)
    called = checkout.pulumi("preview")
    assert called.stack is None
    assert called.config_passphrase == passphrase


def test_selections_are_kept_per_backend(checkout: FakeCheckout) -> None:
    select_stack(checkout, "organization/node-images/dev", mine="sandbox", theirs="prod")
    assert checkout.pulumi("preview").config_passphrase is None
    assert checkout.pulumi("preview", PULUMI_BACKEND_URL="s3://mine").config_passphrase == "sandbox"
    assert checkout.pulumi("preview", PULUMI_BACKEND_URL="s3://theirs").config_passphrase is None


def test_a_selection_that_is_not_clear_is_left_to_the_engine(checkout: FakeCheckout) -> None:
    select_stack(checkout, "", mine="sandbox", theirs="prod")
    called = checkout.pulumi("preview", PULUMI_BACKEND_URL="s3://mine/?region=x")
    assert (called.stack, called.config_passphrase) == (None, None)


def test_the_form_of_older_engines_is_understood(checkout: FakeCheckout) -> None:
    select_stack(checkout, "")
    file = next((checkout.folder / ".pulumi/home/workspaces").iterdir())
    file.write_text(json.dumps({"stack": "dev"}))
    assert checkout.pulumi("preview").config_passphrase is None


def test_the_selected_stack_of_the_users_own_pulumi_decides(checkout: FakeCheckout) -> None:
    checkout.way = "1"
    checkout.prepare()
    select_stack(checkout, "dev", checkout.home / ".pulumi")
    assert checkout.pulumi("preview").config_passphrase is None


def test_the_variable_decides_before_the_selection(checkout: FakeCheckout) -> None:
    select_stack(checkout, "sandbox")
    called = checkout.pulumi("preview", PULUMI_STACK="dev")
    assert (called.stack, called.config_passphrase) == ("dev", None)
    assert checkout.pulumi("preview", "-s", "sandbox", PULUMI_STACK="dev").config_passphrase == "sandbox"


def test_without_any_choice_it_is_the_sandbox(checkout: FakeCheckout) -> None:
    assert checkout.pulumi("preview").stack == "sandbox"
    assert checkout.engine_calls[0].startswith("stack select --create sandbox")


def test_nobody_elses_backend_gets_a_stack_and_a_question_makes_none(checkout: FakeCheckout) -> None:
    checkout.pulumi("preview", PULUMI_BACKEND_URL="s3://mine")
    checkout.pulumi("stack", "ls")
    checkout.pulumi("preview", PULUMI_STACK="sandbox")
    assert checkout.engine_calls == ["preview", "stack ls", "preview"]


@pytest.mark.parametrize("name", ["PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE"])
def test_the_users_passphrase_stays(checkout: FakeCheckout, name: str) -> None:
    called = checkout.pulumi("preview", **{name: "mine"})
    assert called.environment[name] == "mine"
    assert len([key for key in called.environment if "PASSPHRASE" in key]) == 1


def test_an_empty_passphrase_is_one(checkout: FakeCheckout) -> None:
    assert checkout.pulumi("preview", PULUMI_CONFIG_PASSPHRASE="").config_passphrase == ""


# Where the state is kept.


def test_the_state_is_in_the_checkout_unless_the_user_says_otherwise(checkout: FakeCheckout) -> None:
    assert checkout.pulumi("up").backend_url == f"file://{checkout.folder}/.pulumi?metadata=skip"
    assert checkout.pulumi("up", PULUMI_BACKEND_URL="s3://mine").backend_url == "s3://mine"


def test_whoever_is_logged_in_stays_so(checkout: FakeCheckout) -> None:
    credentials = checkout.home / ".pulumi" / "credentials.json"
    credentials.parent.mkdir()
    credentials.write_text('{\n    "current": "https://api.pulumi.com"\n}')
    called = checkout.pulumi("up")
    assert called.backend_url is None
    assert called.credentials_path == str(credentials.parent)


def test_whoever_logged_out_is_not_logged_in(checkout: FakeCheckout) -> None:
    credentials = checkout.home / ".pulumi" / "credentials.json"
    credentials.parent.mkdir()
    credentials.write_text('{\n    "current": ""\n}')
    assert checkout.pulumi("up").backend_url == f"file://{checkout.folder}/.pulumi?metadata=skip"


# Whose screen is shown.


@pytest.fixture
def with_python(checkout: FakeCheckout) -> FakeCheckout:
    """The environment has a Python, which tells what it is to run."""
    told = '#!/bin/sh\nprintf "{\\"arguments\\": [\\"ours\\", \\"%s\\", \\"%s\\", \\"%s\\"], " "$2" "$3" "$4"\n'
    told += 'echo \'"environment": {}, "folder": ""}\'\n'
    checkout.pulumi("version")
    executable(checkout.home / "virtual env/bin/python", told)
    return checkout


@pytest.mark.parametrize("words", [["up", "--yes"], ["preview"], ["destroy", "--stack", "sandbox"], ["refresh"]])
def test_runs_of_this_project_have_our_screen(with_python: FakeCheckout, words: list[str]) -> None:
    assert with_python.pulumi(*words).arguments == ["ours", "cli.run", "sandbox", words[0]]


@pytest.mark.parametrize(
    "words",
    [
        ["preview", "--json"],
        ["up", "--help"],
        ["stack", "ls"],
        ["up", "--event-log", "x"],
        ["up", "-C", "/"],
    ],
)
def test_what_programs_read_is_the_engines_alone(with_python: FakeCheckout, words: list[str]) -> None:
    assert with_python.pulumi(*words).arguments == words


def test_watch_without_its_program_says_what_to_do_instead(checkout: FakeCheckout) -> None:
    command = [checkout.folder / "pulumiw", "watch"]
    result = subprocess.run(command, cwd=checkout.folder, env=checkout.environment(), capture_output=True, text=True)
    assert result.returncode == 1
    assert "./pulumiw preview" in result.stderr
    executable(checkout.ready / "bin/pulumi-watch", "#!/bin/sh\n")
    assert checkout.pulumi("watch").arguments == ["watch"]


def test_whoever_wants_the_engine_alone_gets_it(with_python: FakeCheckout) -> None:
    assert with_python.pulumi("up", NODE_IMAGES_PLAIN="1").arguments == ["up"]
