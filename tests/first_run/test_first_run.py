"""The pieces of `make sandbox` that decide something; the end-to-end tests run it whole."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

import pytest
import yaml

from recipe.problems import ProblemsError
from tools import local_cloud, prepare, tryout

STACK_FILE = Path("stacks/Pulumi.sandbox.yaml").read_text()


def test_sandbox_and_mirror_listen_where_the_stack_file_says() -> None:
    document = yaml.safe_load(STACK_FILE)
    document["config"] |= {"hcloud:endpoint": "http://127.0.0.1:91/v1", "node-images:sshPort": 92}
    document["config"]["node-images:artifacts"]["mirror"] = "http://127.0.0.1:93"
    sandbox, mirror = local_cloud.commands("start", yaml.safe_dump(document))
    assert sandbox[1:] == ["-m", "sandbox", "start", "--port", "91", "--ssh-port", "92", "--vm-for", "kernel=own"]
    assert mirror[1:] == ["-m", "mirror", "start", "--port", "93"]


def test_without_a_mirror_none_is_started() -> None:
    document = yaml.safe_load(STACK_FILE)
    del document["config"]["node-images:artifacts"]
    assert [command[2] for command in local_cloud.commands("start", yaml.safe_dump(document))] == ["sandbox"]


@pytest.mark.parametrize("text", ["", "config: {}", "config: {'hcloud:endpoint': 'http://127.0.0.1/v1'}", "{"])
def test_a_stack_file_that_does_not_say_is_told_in_words(
    tmp_path: Path, text: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(local_cloud, "STACK_FILE", tmp_path / "Pulumi.sandbox.yaml")
    monkeypatch.setattr(sys, "argv", ["local_cloud", "start"])
    local_cloud.STACK_FILE.write_text(text)
    assert local_cloud.main() == 1
    assert "does not say where the sandbox listens" in capsys.readouterr().err


def test_a_start_that_fails_says_where_the_ports_stand_and_ctrl_c_is_no_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(local_cloud, "STACK_FILE", tmp_path / "Pulumi.sandbox.yaml")
    monkeypatch.setattr(sys, "argv", ["local_cloud", "start"])
    local_cloud.STACK_FILE.write_text(STACK_FILE)
    monkeypatch.setattr(local_cloud, "commands", lambda *_: [["false"]])
    assert local_cloud.main() == 1
    assert f"The ports stand in {local_cloud.STACK_FILE}" in capsys.readouterr().err
    end = tmp_path / "end"
    interrupts_us = (
        f"import os, pathlib, signal, time; os.kill({os.getpid()}, signal.SIGINT); time.sleep(0.7); "
        f"pathlib.Path({str(end)!r}).touch()"
    )
    monkeypatch.setattr(local_cloud, "commands", lambda *_: [[sys.executable, "-c", interrupts_us]])
    assert local_cloud.main() == 130
    assert end.exists(), "it was waited for"


def test_a_broken_catalogue_or_lock_is_left_to_the_program_to_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> NoReturn:
        raise ProblemsError([])

    monkeypatch.setattr(prepare, "load_lock", broken)
    monkeypatch.setattr(sys, "argv", ["prepare", "sandbox"])
    assert prepare.main() == 0


@pytest.mark.parametrize(("versions", "built"), [(["1.36.4"], True), (["1.36.3", "1.36.99"], False)])
def test_nothing_is_built_for_a_stack_file_that_will_be_refused(
    versions: list[str], built: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    document = yaml.safe_load(STACK_FILE)
    document["config"]["node-images:images"][0]["kubernetes"] = versions
    (tmp_path / "stacks").mkdir()
    (tmp_path / "stacks/Pulumi.sandbox.yaml").write_text(yaml.safe_dump(document))
    asked: list[list[str]] = []
    monkeypatch.setattr(prepare, "ROOT", tmp_path)
    monkeypatch.setattr(prepare, "ensure", lambda urls, progress: asked.append(urls))
    prepare.prepare("sandbox")
    assert bool(asked) == built


def lock(folder: Path, pid: int, host: str = "") -> Path:
    file = folder / "lock.json"
    file.write_text(json.dumps({"pid": pid, "hostname": host or socket.gethostname()}))
    return file


def test_the_lock_of_a_dead_engine_is_known_from_that_of_a_living_one(tmp_path: Path) -> None:
    process = subprocess.Popen(["true"])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert tryout.is_dead(lock(tmp_path, process.pid)), "it has ended, though nobody has taken note of it"
    process.wait()
    assert tryout.is_dead(lock(tmp_path, process.pid))
    assert not tryout.is_dead(lock(tmp_path, os.getpid()))
    assert not tryout.is_dead(lock(tmp_path, process.pid, host="another-machine"))


def test_a_phase_that_fails_ends_with_its_own_exit_code() -> None:
    with pytest.raises(tryout.PhaseFailedError) as caught:
        tryout.run(["sh", "-c", "exit 7"])
    assert caught.value.exit_code == 7
