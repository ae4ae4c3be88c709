"""The functions that steps share, run by a real bash against a real HTTP server."""

import hashlib
import os
import shlex
import shutil
import signal
import struct
import subprocess
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from recipe import Node, Step, load_catalog, load_lock, render
from recipe.forms import script

LIBRARY = Path("recipe/steps/lib.sh").read_text()
CONTENT = b"#!/bin/sh\necho hello\n"
DEAF = """bash -c 'trap "" TERM; echo running; sleep "$0"'"""
DIGEST = hashlib.sha256(CONTENT).hexdigest()


ELF_MACHINES = {"x86_64": 62, "aarch64": 183}
FOREIGN = "aarch64" if os.uname().machine == "x86_64" else "x86_64"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None: ...


class Host:
    """A host of files that misbehaves: each request takes the next answer of `answers`, and then all is well.

    An answer is an HTTP status, one with a Retry-After (`429 after 2`), `BREAK` (half of the file, then the line is cut) or `DIE`
    (the same, and the host is gone).
    """

    BREAK, DIE = "break", "die"

    def __init__(self, *answers: int | str) -> None:
        self.answers, self.requests, self.port = list(answers), 0, 0
        self.gone = threading.Event()
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        host = self

        class Handler(Quiet):
            def do_GET(self) -> None:
                host.answer(self)

            def do_HEAD(self) -> None:
                host.answer(self)

        self.server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.port = self.server.server_port
        self.gone.clear()
        threading.Thread(target=self.server.serve_forever, args=(0.02,)).start()

    def stop(self) -> None:
        if not self.gone.is_set():
            self.server.shutdown()
            self.server.server_close()
            self.gone.set()

    def answer(self, request: Quiet) -> None:
        self.requests += 1
        answer = self.answers.pop(0) if self.answers else 200
        after = ""
        if isinstance(answer, str) and " after " in answer:
            status, _, after = answer.partition(" after ")
            answer = int(status)
        body = f"reason of {answer}".encode() if isinstance(answer, int) and answer != 200 else CONTENT
        request.send_response(answer if isinstance(answer, int) else 200)
        request.send_header("Content-Length", str(len(body)))
        if after:
            request.send_header("Retry-After", after)
        request.end_headers()
        if request.command != "HEAD":
            request.wfile.write(body if isinstance(answer, int) else body[:5])
        if answer == self.DIE:
            threading.Thread(target=self.stop).start()


@pytest.fixture
def host() -> Iterator[Callable[..., Host]]:
    hosts: list[Host] = []

    def make(*answers: int | str) -> Host:
        hosts.append(Host(*answers))
        return hosts[-1]

    yield make
    for one in hosts:
        one.stop()


def serving(handler: object) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def upstream(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "www").mkdir()
    (tmp_path / "www" / "tool").write_bytes(CONTENT)
    with tarfile.open(tmp_path / "www" / "tools.tgz", "w:gz") as archive:
        archive.add(tmp_path / "www" / "tool", "bin/tool")
    yield from serving(partial(Quiet, directory=str(tmp_path / "www")))


def run(script: str, *, before: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a step as it is run on a server; `before` is a command that prepares the machine."""
    step = ["bash", "-c", f"{LIBRARY}\n{script}", "a-step"]
    command = ["unshare", "--mount", "sh", "-c", f"{before} && exec {shlex.join(step)}"] if before else step
    settings = {**os.environ, "RETRY_DELAYS": "0 0 0", **environment}
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env=settings)


def with_uutils(folder: Path) -> str:
    """A PATH whose `install` does what that of uutils was reported to do on Ubuntu 26.04: a link to a directory becomes one."""
    programs = folder / "programs"
    programs.mkdir()
    (programs / "install").write_text(
        '#!/bin/bash\nplace=$(dirname "${@: -1}")\n[[ ! -L $place ]] || { rm "$place" && mkdir "$place"; }\n'
        'exec /usr/bin/install "$@"\n'
    )
    (programs / "install").chmod(0o755)
    return f"{programs}:{os.environ['PATH']}"


def test_a_text_comes_to_a_directory_behind_a_link_and_the_link_stays(tmp_path: Path) -> None:
    (tmp_path / "usr").mkdir()
    (tmp_path / "sbin").symlink_to("usr")
    path = with_uutils(tmp_path)
    for text in ("one", "two"):
        result = run(f"install_text 0750 {tmp_path}/sbin/agent <<<{text}", PATH=path)
        assert result.returncode == 0, result.stderr
        assert (tmp_path / "usr" / "agent").read_text() == f"{text}\n"
    assert (tmp_path / "sbin").is_symlink()
    assert (tmp_path / "usr" / "agent").stat().st_mode & 0o777 == 0o750
    assert [file.name for file in (tmp_path / "usr").iterdir()] == ["agent"], "nothing is left beside it"


def test_a_text_takes_the_place_of_a_link_and_makes_directories(tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("kept")
    (tmp_path / "link").symlink_to("kept")
    assert (
        run(f"install_text 0644 {tmp_path}/link <<<new; install_text 0600 '{tmp_path}/a b/c' <<<deep").returncode == 0
    )
    assert (tmp_path / "kept").read_text() == "kept"
    assert (tmp_path / "link").read_text() == "new\n"
    assert (tmp_path / "a b" / "c").stat().st_mode & 0o777 == 0o600


def test_fetch_keeps_what_the_lock_promises(upstream: str, tmp_path: Path) -> None:
    result = run(f"fetch {upstream}/tool {DIGEST} {tmp_path}/got")
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "got").read_bytes() == CONTENT


def test_a_file_that_is_there_is_not_fetched_again(tmp_path: Path) -> None:
    (tmp_path / "got").write_bytes(CONTENT)
    assert run(f"fetch http://127.0.0.1:1/nothing {DIGEST} {tmp_path}/got").returncode == 0


def test_a_tampered_file_is_refused_and_removed(upstream: str, tmp_path: Path) -> None:
    result = run(f"fetch {upstream}/tool {'0' * 64} {tmp_path}/got")
    assert result.returncode == 1
    assert f"{upstream}/tool: sha256 is {DIGEST}, but the lock says {'0' * 64}" in result.stderr
    assert list(tmp_path.glob("got*")) == []


@pytest.mark.parametrize("answer", [Host.BREAK, 500, 503, 429])
def test_what_may_pass_is_tried_again(host: Callable[..., Host], tmp_path: Path, answer: int | str) -> None:
    mirror = host(answer, answer)
    result = run(f"fetch https://upstream/tool {DIGEST} {tmp_path}/got", MIRROR=mirror.url)
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "got").read_bytes() == CONTENT
    assert mirror.requests == 3


def test_a_mirror_that_goes_down_in_mid_file_and_comes_back_is_waited_for(
    host: Callable[..., Host], tmp_path: Path
) -> None:
    mirror = host(Host.DIE)

    def come_back() -> None:
        mirror.gone.wait()
        time.sleep(0.7)
        mirror.start()

    threading.Thread(target=come_back).start()
    result = run(f"fetch {mirror.url}/tool {DIGEST} {tmp_path}/got", RETRY_DELAYS="0.3 0.3 0.3 0.3 0.3")
    assert result.returncode == 0, result.stderr
    assert "transfer closed" in result.stderr
    assert "Failed to connect" in result.stderr, "it was gone for a while"
    assert (tmp_path / "got").read_bytes() == CONTENT


def test_a_mirror_that_goes_down_in_mid_file_for_good_is_told(host: Callable[..., Host], tmp_path: Path) -> None:
    mirror = host(Host.DIE)
    result = run(f"fetch https://upstream/tool {DIGEST} {tmp_path}/got", MIRROR=mirror.url)
    assert result.returncode == 1
    assert f"{mirror.url}/upstream/tool: not downloaded, after several attempts" in result.stderr
    assert not (tmp_path / "got").exists()


def test_a_version_that_is_not_published_is_told_at_once(host: Callable[..., Host], tmp_path: Path) -> None:
    upstream = host(404, 404)
    result = run(f"fetch {upstream.url}/tool {DIGEST} {tmp_path}/got")
    assert result.returncode == 1
    assert "/tool: answered 404, so this version is not to be had there." in result.stderr
    assert "reason of 404" not in result.stderr, "upstream's page is for browsers"
    assert upstream.requests == 1


def test_a_host_that_says_how_long_it_is_busy_is_asked_then_however_often(
    host: Callable[..., Host], tmp_path: Path
) -> None:
    upstream = host(*["429 after 1"] * 5, "503 after Thu, 01 Jan 2026 00:00:00 GMT")
    began = time.monotonic()
    result = run(f"fetch {upstream.url}/tool {DIGEST} {tmp_path}/got", RETRY_DELAYS="0")
    assert result.returncode == 0, result.stderr
    assert time.monotonic() - began >= 6
    assert upstream.requests == 7
    assert f"{upstream.url}/tool: answered 429, too many requests; waits 1 s, as it asks" in result.stdout
    assert [file.name for file in tmp_path.iterdir()] == ["got"]


def test_a_host_that_is_busy_for_longer_than_the_step_is_told_with_a_remedy(
    host: Callable[..., Host], tmp_path: Path
) -> None:
    upstream = host("429 after 3600")
    result = run(f"fetch {upstream.url}/tool {DIGEST} {tmp_path}/got", STEP_SECONDS="60")
    assert result.returncode == 1
    assert "asks to wait 3600 s, which is longer than this step has (timeouts.step: 60 s)" in result.stderr
    assert "maxParallel" in result.stderr
    assert upstream.requests == 1


def test_an_address_that_a_host_refuses_is_told_with_what_it_can_mean(
    host: Callable[..., Host], tmp_path: Path
) -> None:
    mirror = host(403)
    result = run(f"fetch https://upstream/tool {DIGEST} {tmp_path}/got", MIRROR=mirror.url)
    assert result.returncode == 1
    assert f"{mirror.url}/upstream/tool: answered 403 to this server, whose address is " in result.stderr
    assert "reason of 403" in result.stderr
    assert "another server has another address" in result.stderr
    assert "has published it" not in result.stderr
    assert mirror.requests == 1


APT = """
manager() {{
    [[ -e {done} ]] && return
    [[ $({curl} --silent --output /dev/null --write-out '%{{http_code}}' {url}) != 200 ]] || {{ touch {done}; return; }}
    printf '%s\\n' "{line}" >&2
    return 100
}}
from_archives manager
say installed
"""
OF_APT = "E: Failed to fetch {url}  {status}  No [IP: 127.0.0.1 80]"
OF_DNF = "  - Status code: {status} for {url} (IP: 127.0.0.1)"


@pytest.mark.parametrize("line", [OF_APT, OF_DNF])
def test_an_archive_that_is_busy_is_waited_for_as_it_asks(host: Callable[..., Host], tmp_path: Path, line: str) -> None:
    archive = host(*["429 after 1"] * 20)
    url = f"{archive.url}/Packages"
    archive.answers[4:] = [200]
    script = APT.format(done=tmp_path / "done", curl="curl", url=url, line=line.format(url=url, status=429))
    result = run(script)
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("answered 429, too many requests; waits 1 s, as it asks") == 2
    assert result.stdout.endswith("installed\n")


@pytest.mark.parametrize("line", [OF_APT, OF_DNF])
def test_an_archive_that_refuses_the_address_is_told(host: Callable[..., Host], tmp_path: Path, line: str) -> None:
    url = f"{host(403, 403).url}/Packages"
    script = APT.format(done=tmp_path / "done", curl="curl", url=url, line=line.format(url=url, status=403))
    result = run(script)
    assert result.returncode == 1
    assert f"{url}: answered 403 to this server, whose address is" in result.stderr


def test_a_package_manager_that_fails_for_another_reason_has_failed(tmp_path: Path) -> None:
    result = run(f"touch {tmp_path}/x; from_archives cat {tmp_path}/nothing")
    assert result.returncode == 1
    assert "No such file" in result.stderr
    assert "ended with exit status 1" in result.stderr


@pytest.mark.parametrize(("answer", "times"), [(404, 1), (502, 4)])
def test_a_mirror_may_say_why_it_has_no_such_file(
    host: Callable[..., Host], tmp_path: Path, answer: int, times: int
) -> None:
    mirror = host(*[answer] * 9)
    result = run(f"fetch https://upstream/tool {DIGEST} {tmp_path}/got", MIRROR=mirror.url)
    assert result.returncode == 1
    assert f"The mirror says: reason of {answer}" in result.stderr
    assert mirror.requests == times


def test_a_full_disk_is_told(host: Callable[..., Host]) -> None:
    full = "mount -t tmpfs -o size=4k tmpfs /var/tmp && echo rest >/var/tmp/rest"
    result = run(f"fetch {host().url}/tool {DIGEST} /var/tmp/tool", before=full)
    assert result.returncode == 1
    assert "/var/tmp/tool.part cannot be written" in result.stderr
    assert "step a-step failed, and there is no room left in /var/tmp." in result.stderr
    assert "serverTypes" in result.stderr


def test_a_failure_with_room_on_the_disk_is_not_blamed_on_it() -> None:
    result = run("say the last line\nfalse")
    assert (result.returncode, result.stdout) == (1, "the last line\n")
    assert result.stderr == "error: step a-step failed: `false` ended with exit status 1\n"


def test_a_step_that_hangs_is_ended_with_all_that_it_started() -> None:
    began = time.monotonic()
    result = run(f"{DEAF} 47.11 | cat\nsay never", STEP_SECONDS="1")
    assert time.monotonic() - began < 5
    assert result.returncode == 1
    assert result.stdout == "running\n"
    assert "step a-step took longer than 1 s and was ended" in result.stderr
    assert "timeouts.step" in result.stderr
    assert "sleep 47.11" not in subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True).stdout


def test_the_script_form_has_the_same_limit() -> None:
    node = Node("debian-13", "1.36.4", "amd64")
    recipe = replace(render(load_catalog(), load_lock(), node), steps=(Step("hangs", "say so far\nsleep 47.13"),))
    environment = {**os.environ, "STEP_SECONDS": "1"}
    result = subprocess.run(["bash", "-c", script(node, recipe)], capture_output=True, text=True, env=environment)
    assert result.returncode == 1
    assert result.stdout == "== hangs\nso far\n"
    assert "step hangs took longer than 1 s and was ended" in result.stderr
    assert "error: step hangs failed" in result.stderr


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_who_interrupts_a_step_ends_all_of_it(how: signal.Signals) -> None:
    seconds = f"47.{how.value:02}9"
    step = ["bash", "-c", f"{LIBRARY}\n{DEAF} {seconds} | cat\nsay never"]
    with subprocess.Popen(step, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stdout.readline() == "running\n"
        os.killpg(process.pid, how)
        assert process.stdout.read() == ""
        assert process.wait(timeout=5) == 128 + how
    for _ in range(50):
        if f"sleep {seconds}" not in subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True).stdout:
            return
        time.sleep(0.1)
    pytest.fail("what the step started goes on")


def test_a_step_may_read_what_it_is_given() -> None:
    assert subprocess.run(["bash", "-c", f"{LIBRARY}\ncat"], input="x", capture_output=True, text=True).stdout == "x"


def test_a_command_that_ran_out_of_its_own_time_is_not_taken_for_the_step() -> None:
    result = run("timeout 0.1 sleep 5")
    assert result.returncode == 124
    assert result.stderr == "error: step a-step failed: `timeout 0.1 sleep 5` ended with exit status 124\n"


@pytest.mark.parametrize("status", [0, 3])
def test_a_step_keeps_its_exit_status_output_and_name(status: int) -> None:
    result = run(f"say $0; echo aside >&2; exit {status}")
    assert (result.returncode, result.stdout, result.stderr) == (status, "a-step\n", "aside\n")


def elf(machine: str) -> bytes:
    """The beginning of a 64-bit program, as far as anyone looks."""
    return b"\x7fELF\2\1\1" + bytes(9) + struct.pack("<HH", 2, ELF_MACHINES[machine])


def test_a_program_for_another_machine_is_refused(upstream: str, tmp_path: Path) -> None:
    content = elf(FOREIGN)
    (tmp_path / "www" / "foreign").write_bytes(content)
    result = run(f"install_program {upstream}/foreign {hashlib.sha256(content).hexdigest()} node-image-test")
    assert result.returncode == 1
    assert f"{upstream}/foreign: node-image-test is a program for {FOREIGN}, but this server is" in result.stderr
    assert os.uname().machine in result.stderr
    assert not Path("/usr/local/bin/node-image-test").exists()
    assert not Path("/var/tmp/node-image-test").exists()


def test_an_archive_with_a_program_for_another_machine_is_refused(upstream: str, tmp_path: Path) -> None:
    (tmp_path / "program").write_bytes(elf(FOREIGN))
    archive = tmp_path / "www" / "foreign.tgz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(tmp_path / "program", "bin/program")
    result = run(
        f"unpack {upstream}/foreign.tgz {hashlib.sha256(archive.read_bytes()).hexdigest()} {tmp_path}/out; say unpacked"
    )
    assert result.returncode == 1
    assert f"program is a program for {FOREIGN}" in result.stderr
    assert "unpacked" not in result.stdout
    assert not (tmp_path / "out" / "bin" / "program").exists()


def test_an_own_program_and_what_is_no_program_are_taken(upstream: str, tmp_path: Path) -> None:
    shutil.copy("/bin/true", tmp_path / "www" / "true")
    for name in ("true", "tool"):
        assert run(f"refuse_foreign {tmp_path}/www/{name} {upstream}/{name}").returncode == 0


def test_unpack_puts_files_in_place_and_removes_the_archive(upstream: str, tmp_path: Path) -> None:
    digest = hashlib.sha256((tmp_path / "www" / "tools.tgz").read_bytes()).hexdigest()
    assert run(f"unpack {upstream}/tools.tgz {digest} {tmp_path}/out").returncode == 0
    assert (tmp_path / "out" / "bin" / "tool").read_bytes() == CONTENT
    assert not Path("/var/tmp/tools.tgz").exists()


def test_a_step_ends_at_its_first_failure() -> None:
    result = run("false\necho went on")
    assert result.returncode == 1
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("bash -c 'exit 7'", "`bash -c 'exit 7'` ended with exit status 7"),
        ("inner() { bash -c 'exit 7'; say never; }\ninner", "`bash -c 'exit 7'` ended with exit status 7"),
        ("got=$(false)", "`got=$(false)` ended with exit status 1"),
        ("(false; say never)", "`( false; say never )` ended with exit status 1"),
        ("[[ a == b ]]", "`[[ a == b ]]` ended with exit status 1"),
        ("true | true\n[[ a == b ]]", "`[[ a == b ]]` ended with exit status 1"),
        ("true | false | cat", "`cat` is part of a pipeline that ended with exit statuses 0 1 0"),
        ("SECRET=hunter2\nfalse \"$SECRET\"", '`false "$SECRET"` ended with exit status 1'),
        ("grep no <<END\n$HOME\nEND", "`grep no <<END` ended with exit status 1"),
        (f"false {'x' * 400}", f"`false {'x' * 151}...` ended with exit status 1"),
    ],
)  # fmt: skip
def test_the_command_that_ends_a_step_is_named(script: str, said: str) -> None:
    result = run(f"{script}\nsay never")
    assert result.returncode != 0
    assert (result.stdout, result.stderr) == ("", f"error: step a-step failed: {said}\n")


@pytest.mark.parametrize(
    "script",
    [
        "if false; then say never; fi",
        "false || true",
        "! true",
        "false && say never",
        "inner() { false; true; }\ninner || true",
        "got=$(false; say on)",
        "mapfile -t got < <(false)",
        "set +e\nfalse\nset -e",
        "while false; do say never; done",
    ],
)
def test_nothing_is_said_of_a_failure_that_is_expected(script: str) -> None:
    result = run(f"{script}\nsay on")
    assert (result.returncode, result.stdout, result.stderr) == (0, "on\n", "")


@pytest.mark.parametrize(
    "script",
    ["die why", "got=$(die why)", "(die why)", "say x | while read -r line; do die why; done", "(die why) | cat"],
)
def test_who_says_why_is_the_last_to_speak(script: str) -> None:
    result = run(f"{script}\nsay never")
    assert (result.returncode, result.stdout, result.stderr) == (1, "", "error: why\n")
