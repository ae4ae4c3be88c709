"""ensure(): kept copy, else upstream, else built; never a file that is not what it must be."""

import threading
from pathlib import Path

import pytest
import yaml

from mirror import MirrorError, fill
from mirror.store import Store
from tests.mirror.doubles import CONTENT, GOSS, KUBEADM, KUBELET, NO_PROGRAM, FakeUpstream, Place, built_content, sha256


def test_a_file_comes_from_upstream_and_is_then_kept(place: Place, upstream: FakeUpstream) -> None:
    (first,) = place.ensure(KUBELET)
    (second,) = place.ensure(KUBELET)
    assert first == second
    assert first.origin == "upstream"
    assert first.path == place.cache / "artifacts/files/dl.k8s.io/release/v1.36.4/bin/linux/amd64/kubelet"
    assert first.path.read_bytes() == CONTENT[KUBELET]
    assert len(upstream.requests) == 1
    assert place.builder.builds == []
    assert place.local() is None


def test_a_program_without_a_published_sum_is_built_and_never_fetched(place: Place, upstream: FakeUpstream) -> None:
    later = KUBELET.replace("1.36.4", "1.37.2")
    upstream.put(later, b"whatever this host says")
    (made,) = place.ensure(later)
    assert (made.origin, made.path.read_bytes()) == ("built", built_content(later))
    assert place.local() == {later: sha256(built_content(later))}
    assert place.ensure(later) == [made]
    assert (len(place.builder.builds), upstream.requests) == (1, [])


def test_another_file_without_a_published_sum_is_refused(place: Place) -> None:
    with pytest.raises(MirrorError, match="only files with a published sum are used"):
        place.ensure("https://example.com/other.deb")


def test_what_is_not_the_published_file_is_refused_and_not_built_instead(place: Place, upstream: FakeUpstream) -> None:
    upstream.put(KUBELET, b"something else")
    with pytest.raises(MirrorError) as caught:
        place.ensure(KUBELET, GOSS)
    text = str(caught.value)
    assert KUBELET in text
    assert sha256(CONTENT[KUBELET]) in text
    assert sha256(b"something else") in text
    assert place.kept() == [GOSS]
    assert place.builder.builds == []
    assert place.leftovers() == []


def test_a_truncated_download_is_never_kept(place: Place, upstream: FakeUpstream) -> None:
    upstream.break_off.add(f"/{NO_PROGRAM.removeprefix('https://')}")
    with pytest.raises(MirrorError, match="broke off"):
        place.ensure(NO_PROGRAM)
    assert place.kept() == []
    assert place.leftovers() == []
    assert not list((place.cache / "artifacts").rglob("*.deb"))


def test_a_download_that_breaks_off_once_is_tried_again(place: Place, upstream: FakeUpstream) -> None:
    path = f"/{KUBELET.removeprefix('https://')}"
    upstream.break_off.add(path)
    upstream.after_answer = lambda: upstream.break_off.discard(path)
    assert place.ensure(KUBELET)[0].origin == "upstream"
    assert upstream.requests == [path, path]
    assert place.builder.builds == []


def test_a_host_that_takes_the_call_but_says_nothing_counts_as_silent(
    place: Place, upstream: FakeUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mirror.upstream.TIMEOUT", 0.1)
    upstream.delay = 0.5
    with pytest.raises(MirrorError, match="does not answer"):
        place.ensure(NO_PROGRAM)


def test_upstream_down_means_built_and_recorded_as_built(offline: Place) -> None:
    kubelet, goss = offline.ensure(KUBELET, GOSS)
    assert (kubelet.origin, goss.origin) == ("built", "built")
    assert kubelet.path.read_bytes() == built_content(KUBELET)
    assert kubelet.facts == {"module": "k8s.io/kubernetes@v1.36.4"}
    assert offline.local() == {url: sha256(built_content(url)) for url in (KUBELET, GOSS)}
    assert offline.leftovers() == []


def test_a_file_that_upstream_lacks_is_built(place: Place, upstream: FakeUpstream) -> None:
    upstream.files.clear()
    assert [artifact.origin for artifact in place.ensure(KUBELET)] == ["built"]


def test_a_file_that_was_compiled_in_another_way_is_built_again_once(offline: Place) -> None:
    offline.builder.flags = "-trimpath -gcflags=all=-dwarf=false -l"
    (old,) = offline.ensure(KUBELET)
    offline.ensure(GOSS)
    offline.builder.flags = "-trimpath -gcflags=all=-dwarf=false"
    (new,) = offline.ensure(KUBELET)
    offline.ensure(KUBELET, GOSS)
    assert [build.urls for build in offline.builder.builds] == [(KUBELET,), (GOSS,), (KUBELET,)]
    assert (old.facts["flags"], new.facts["flags"]) == (f"{offline.builder.flags} -l", offline.builder.flags)


def test_files_of_one_kubernetes_version_share_one_build(offline: Place) -> None:
    offline.ensure(KUBELET, GOSS, KUBEADM)
    assert sorted(len(build.urls) for build in offline.builder.builds) == [1, 2]


def test_only_what_is_missing_is_built(offline: Place) -> None:
    offline.ensure(KUBELET)
    offline.ensure(KUBELET, KUBEADM)
    assert [build.urls for build in offline.builder.builds] == [(KUBELET,), (KUBEADM,)]


def test_what_is_no_go_program_cannot_be_built_but_the_rest_is(offline: Place) -> None:
    with pytest.raises(MirrorError, match="does not answer"):
        offline.ensure(NO_PROGRAM, KUBELET)
    assert offline.kept() == [KUBELET]
    assert offline.local() == {KUBELET: sha256(built_content(KUBELET))}


def test_a_failed_build_keeps_the_others_and_is_tried_again(offline: Place) -> None:
    offline.builder.refuse = "Kubernetes"
    with pytest.raises(MirrorError, match=r"Kubernetes 1\.36\.4 amd64"):
        offline.ensure(KUBELET, GOSS)
    assert offline.kept() == [GOSS]
    offline.builder.refuse = ""
    offline.ensure(KUBELET, GOSS)
    assert len(offline.builder.builds) == 3
    assert offline.leftovers() == []


def test_urls_without_a_published_sum_are_all_named_and_nothing_is_done(place: Place, upstream: FakeUpstream) -> None:
    with pytest.raises(MirrorError) as caught:
        place.ensure(KUBELET, "https://dl.k8s.io/a", "https://dl.k8s.io/b")
    assert "https://dl.k8s.io/a" in str(caught.value)
    assert "https://dl.k8s.io/b" in str(caught.value)
    assert upstream.requests == []


def test_a_new_published_sum_makes_the_kept_copy_stale(place: Place, upstream: FakeUpstream) -> None:
    place.ensure(KUBELET)
    upstream.put(KUBELET, b"released again")
    place.publish({KUBELET: sha256(b"released again")})
    assert place.ensure(KUBELET)[0].path.read_bytes() == b"released again"


def test_a_kept_copy_that_lost_its_tail_is_fetched_again(place: Place, upstream: FakeUpstream) -> None:
    path = place.ensure(KUBELET)[0].path
    path.write_bytes(b"short")
    assert place.ensure(KUBELET)[0].path.read_bytes() == CONTENT[KUBELET]


def test_a_host_that_does_not_answer_is_not_asked_for_every_file(
    offline: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fill, "DOWNLOADS_AT_ONCE", 1)
    offline.publish({f"https://example.com/{n}": sha256(b"") for n in range(3)})
    with pytest.raises(MirrorError) as caught:
        offline.ensure(*(f"https://example.com/{n}" for n in range(3)))
    said = str(caught.value).splitlines()
    assert sum("a moment ago" in line for line in said) == 2


def test_the_local_lock_holds_exactly_what_was_built(offline: Place, upstream: FakeUpstream) -> None:
    other = "https://dl.k8s.io/release/v1.36.0/bin/linux/amd64/kubelet"
    offline.local_lock.write_text(yaml.safe_dump({other: "a" * 64, GOSS: "b" * 64, KUBEADM: "c" * 64}))
    offline.ensure(KUBEADM, upstream=upstream.base)
    offline.ensure(GOSS)
    assert offline.local() == {other: "a" * 64, GOSS: sha256(built_content(GOSS))}


def test_the_local_lock_goes_when_nothing_is_built_any_more(place: Place) -> None:
    place.local_lock.write_text(yaml.safe_dump({KUBELET: "a" * 64}))
    place.ensure(KUBELET)
    assert not place.local_lock.exists()


def test_an_unchanged_local_lock_is_not_touched(offline: Place) -> None:
    offline.ensure(KUBELET)
    before = offline.local_lock.stat()
    offline.ensure(KUBELET)
    assert offline.local_lock.stat().st_mtime_ns == before.st_mtime_ns
    assert offline.local_lock.stat().st_ino == before.st_ino


def test_two_at_once_build_once(offline: Place) -> None:
    building, go_on = threading.Event(), threading.Event()

    def hold(_work: Path) -> None:
        building.set()
        assert go_on.wait(10)

    offline.builder.hook = hold
    threads = [threading.Thread(target=offline.ensure, args=(KUBELET,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    assert building.wait(10)
    go_on.set()
    for thread in threads:
        thread.join(10)
    assert len(offline.builder.builds) == 1
    assert offline.kept() == [KUBELET]


def test_an_interrupted_build_leaves_nothing_half(offline: Place) -> None:
    def interrupt(_work: Path) -> None:
        raise KeyboardInterrupt

    offline.builder.hook = interrupt
    with pytest.raises(KeyboardInterrupt):
        offline.ensure(KUBELET)
    assert offline.builder.stopped
    assert offline.kept() == []
    assert offline.leftovers() == []
    assert offline.local() is None


def test_what_a_killed_run_left_is_swept_but_not_what_is_in_use(offline: Place) -> None:
    store = Store(offline.cache)
    left = store.root / "work" / "left-by-a-killed-run"
    left.mkdir(parents=True)
    (left / "part").write_bytes(b"half")
    with store.workdir() as in_use:
        offline.ensure(KUBELET)
        assert in_use.exists()
    assert not left.exists()


def test_a_file_without_its_record_does_not_count_as_kept(offline: Place) -> None:
    path = Store(offline.cache).root / "files" / KUBELET.removeprefix("https://")
    path.parent.mkdir(parents=True)
    path.write_bytes(b"half")
    assert offline.ensure(KUBELET)[0].path.read_bytes() == built_content(KUBELET)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("http://dl.k8s.io/x: " + "0" * 64, "plain https URL"),
        ("https://dl.k8s.io/../../etc/passwd: " + "0" * 64, "plain https URL"),
        ("https://dl.k8s.io/x?y=1: " + "0" * 64, "plain https URL"),
        ("https://dl.k8s.io/x: abc", "not a SHA-256"),
        ("- a list", "must be a map"),
        ("a: [", "not YAML"),
    ],
)
def test_a_malformed_lock_is_refused(place: Place, text: str, message: str) -> None:
    place.lock.write_text(text)
    with pytest.raises(MirrorError, match=message) as caught:
        place.ensure(KUBELET)
    assert str(place.lock) in str(caught.value)
