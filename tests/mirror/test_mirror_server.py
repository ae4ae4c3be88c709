"""The server and its life in the background, over real HTTP and with real processes."""

import os
import signal
import socket
import threading
from collections.abc import Iterator
from http.client import HTTPConnection, IncompleteRead
from urllib.parse import urlsplit

import pytest

from mirror.daemon import Home, Running
from mirror.store import Store
from tests.mirror.doubles import (
    CONTENT,
    GOSS,
    KUBELET,
    NO_PROGRAM,
    FakeUpstream,
    Place,
    built_content,
    get,
    sha256,
    within,
)


def path_of(url: str) -> str:
    return f"/{url.removeprefix('https://')}"


def start(place: Place) -> Running:
    result = place.run("start", "--port=0")
    assert result.returncode == 0, result.stderr
    running = Home(place.home).running()
    assert running is not None
    return running


@pytest.fixture
def mirror(place: Place) -> Iterator[Running]:
    yield start(place)
    Home(place.home).stop()


def test_a_missing_file_is_fetched_from_upstream_once(mirror: Running, upstream: FakeUpstream) -> None:
    for _ in range(2):
        status, headers, body = get(mirror.url + path_of(KUBELET))
        assert (status, body) == (200, CONTENT[KUBELET])
        assert headers["content-length"] == str(len(body))
        assert headers["x-artifact-origin"] == "upstream"
        assert headers["x-artifact-sha256"] == sha256(body)
    assert upstream.requests == [path_of(KUBELET)]


def test_a_built_file_is_served_as_built(offline: Place) -> None:
    offline.ensure(KUBELET)
    try:
        status, headers, body = get(start(offline).url + path_of(KUBELET))
    finally:
        Home(offline.home).stop()
    assert (status, headers["x-artifact-origin"], body) == (200, "built", built_content(KUBELET))
    assert headers["x-artifact-sha256"] == sha256(body) != sha256(CONTENT[KUBELET])


def test_head_tells_size_and_origin(mirror: Running) -> None:
    status, headers, body = get(mirror.url + path_of(KUBELET), method="HEAD")
    assert (status, headers["content-length"], body) == (200, str(len(CONTENT[KUBELET])), b"")


def test_what_is_not_the_published_file_is_not_served(mirror: Running, upstream: FakeUpstream, place: Place) -> None:
    upstream.put(KUBELET, b"something else")
    status, _, body = get(mirror.url + path_of(KUBELET))
    assert status == 502
    assert all(part.encode() in body for part in (KUBELET, sha256(CONTENT[KUBELET]), sha256(b"something else")))
    assert place.kept() == []


def test_a_truncated_upstream_is_not_served(mirror: Running, upstream: FakeUpstream, place: Place) -> None:
    upstream.break_off.add(path_of(KUBELET))
    status, _, body = get(mirror.url + path_of(KUBELET))
    assert status == 404
    assert b"broke off" in body
    assert place.kept() == []
    assert place.leftovers() == []


def test_what_must_be_built_first_says_how(mirror: Running, upstream: FakeUpstream) -> None:
    upstream.files.clear()
    status, _, body = get(mirror.url + path_of(GOSS))
    assert status == 404
    assert f"python -m mirror ensure {GOSS}".encode() in body


def test_a_program_without_a_published_sum_is_served_once_it_is_built(
    mirror: Running, place: Place, upstream: FakeUpstream
) -> None:
    later = GOSS.replace("0.4.9", "0.9.9")
    upstream.put(later, b"whatever this host says")
    status, _, body = get(mirror.url + path_of(later))
    assert (status, f"python -m mirror ensure {later}".encode() in body) == (404, True)
    place.ensure(later)
    assert get(mirror.url + path_of(later))[0] == 200
    assert upstream.requests == []


def test_a_file_without_a_published_sum_is_not_fetched(mirror: Running, upstream: FakeUpstream) -> None:
    status, _, body = get(mirror.url + "/example.com/other")
    assert status == 404
    assert b"has no line in" in body
    assert upstream.requests == []


OUTSIDE = (
    "/../../../../etc/passwd",
    "/dl.k8s.io/../../../../../../etc/passwd",
    "/dl.k8s.io/%2e%2e/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
    "//etc/passwd",
    "/dl.k8s.io%00/x",
    f"/../records/{KUBELET.removeprefix('https://')}.yaml",
)


def test_nothing_outside_the_kept_files_is_served(mirror: Running, place: Place) -> None:
    place.ensure(KUBELET)
    for path in OUTSIDE:
        connection = HTTPConnection(urlsplit(mirror.url).netloc, timeout=10)
        connection.request("GET", path)
        answer = connection.getresponse()
        assert (path, answer.status) == (path, 404)
        assert b"root:" not in answer.read()
        connection.close()


def test_two_requests_at_once_fetch_once(mirror: Running, upstream: FakeUpstream) -> None:
    upstream.delay = 0.3
    bodies: list[bytes] = []
    threads = [threading.Thread(target=lambda: bodies.append(get(mirror.url + path_of(GOSS))[2])) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert bodies == [CONTENT[GOSS]] * 4
    assert len(upstream.requests) == 1


def test_a_mirror_that_dies_in_the_middle_of_a_file_is_noticed(
    mirror: Running, place: Place, upstream: FakeUpstream
) -> None:
    content = os.urandom(1 << 20) * 32
    upstream.put(NO_PROGRAM, content)
    place.publish({NO_PROGRAM: sha256(content)})
    connection = HTTPConnection(urlsplit(mirror.url).netloc, timeout=10)
    connection.request("GET", path_of(NO_PROGRAM))
    answer = connection.getresponse()
    answer.read(1000)
    os.kill(mirror.pid, signal.SIGKILL)
    with pytest.raises((IncompleteRead, ConnectionError)):
        answer.read()
    connection.close()


def test_a_line_added_to_the_lock_counts_without_a_restart(
    mirror: Running, place: Place, upstream: FakeUpstream
) -> None:
    new = "https://example.com/new"
    assert get(mirror.url + path_of(new))[0] == 404
    upstream.put(new, b"new")
    place.publish({new: sha256(b"new")})
    assert get(mirror.url + path_of(new))[2] == b"new"


def test_it_listens_on_loopback_only(mirror: Running) -> None:
    port = urlsplit(mirror.url).port
    other = socket.socket()
    # Were 0.0.0.0 taken, another address of this machine would be too.
    other.bind(("127.0.0.2", port or 0))
    other.close()


def test_start_and_stop_are_idempotent(place: Place) -> None:
    first = start(place)
    again = place.run("start", "--port=0")
    assert again.returncode == 0
    assert f"process {first.pid}" in again.stdout
    assert place.run("stop").stdout == f"mirror stopped (process {first.pid})\n"
    assert place.run("stop").stdout == "mirror does not run\n"
    socket.create_server(("127.0.0.1", urlsplit(first.url).port or 0)).close()


def test_start_after_kill_9(place: Place) -> None:
    first = start(place)
    os.kill(first.pid, signal.SIGKILL)
    assert within(5, lambda: Home(place.home).running() is None)
    assert place.run("status").stdout.startswith("mirror does not run")
    second = start(place)
    try:
        assert second.pid != first.pid
        assert get(second.url + path_of(GOSS))[0] == 200
    finally:
        Home(place.home).stop()


def test_two_starts_at_once_give_one_server(place: Place) -> None:
    results = []
    threads = [threading.Thread(target=lambda: results.append(place.run("start", "--port=0"))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    try:
        assert [result.returncode for result in results] == [0, 0], [result.stderr for result in results]
    finally:
        Home(place.home).stop()


def test_a_taken_port_is_an_error_that_names_it(place: Place) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = place.run("start", f"--port={port}")
    assert result.returncode == 1
    assert f"127.0.0.1:{port}" in result.stderr
    assert "--port" in result.stderr
    assert "Traceback" not in result.stderr
    assert Home(place.home).running() is None


def test_another_port_for_a_running_mirror_is_an_error(place: Place, mirror: Running) -> None:
    result = place.run("start", "--port=1")
    assert result.returncode == 1
    assert mirror.url in result.stderr


def test_status_lists_what_is_kept_and_its_origin(offline: Place, upstream: FakeUpstream) -> None:
    offline.ensure(KUBELET)
    offline.ensure(GOSS, upstream=upstream.base)
    lines = offline.run("status").stdout.splitlines()
    assert lines[0] == "mirror does not run"
    assert lines[1].startswith("built")
    assert KUBELET in lines[1]
    assert "module k8s.io/kubernetes@v1.36.4" in lines[1]
    assert lines[2].startswith("upstream")
    assert str(Store(offline.cache).root) in lines[3]
