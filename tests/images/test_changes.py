"""What happens to each image follows from the engine's preview and the records of the last `up` alone."""

from typing import Any

import pytest

from cli.reasons import lines, text
from images.causes import Cause, Reason
from images.changes import Change, changes, unchanged
from images.contents import reasons
from images.exports import read_records
from images.plan import PACKAGES, short_digest
from images.preview import Image, read_preview
from recipe.problems import ProblemsError
from tests.images.previews import INPUTS, NEW, OLD, build, preview, record, retire, step


def told(*steps: dict[str, Any], records: list[dict[str, Any]] | None = None) -> dict[tuple[str, str], tuple[str, ...]]:
    return {(change.kind, change.name): lines(change) for change in changes(preview(*steps, records=records))}


def told_of(before: Image, after: Image) -> list[str]:
    return [text(reason) for reason in reasons(before, after)]


def test_nothing_happens() -> None:
    quiet = preview()
    assert changes(quiet) == []
    assert unchanged(quiet, []) == [OLD]
    assert quiet.stack == "prod"


def test_a_first_up_adds() -> None:
    assert told(*build(NEW), records=[]) == {("added", NEW): ("debian-13/1.36.4 is new",)}


def test_a_rebuilt_image_tells_why_and_the_old_one_stays() -> None:
    found = told(*build(NEW, containerd="2.3.4"), *retire(OLD))
    assert found == {
        ("rebuilt", NEW): ("containerd 2.3.3 → 2.3.4",),
        ("kept", OLD): ("earlier build of debian-13/1.36.4",),
    }


def test_versions_stand_side_by_side() -> None:
    (rebuilt, _) = changes(preview(*build(NEW, containerd="2.3.4"), *retire(OLD)))
    assert rebuilt.before == OLD
    assert [(item.name, item.old, item.new) for item in rebuilt.components] == [
        ("kubernetes", "1.36.4", "1.36.4"),
        ("containerd", "2.3.3", "2.3.4"),
    ]


def test_a_version_that_is_no_longer_declared_goes() -> None:
    assert told(*build(OLD, "delete")) == {("deleted", OLD): ("debian-13/1.36.4 is no longer declared",)}


def test_a_version_that_a_server_needs_stays() -> None:
    assert told(*retire(OLD)) == {("kept", OLD): ("debian-13/1.36.4 is no longer declared",)}


def test_a_generation_too_many_goes() -> None:
    older = "debian-13-kube-1.36.4-22222222"
    gone = step("snapshot", "delete", f"{older}-amd64")
    found = told(*build(NEW), *retire(OLD), gone, records=[record(generations=[older])])
    assert found[("deleted", older)] == ("more than keepGenerations earlier builds of debian-13/1.36.4",)


def test_a_snapshot_that_never_passed_its_tests_goes() -> None:
    failed = "debian-13-kube-1.36.4-33333333"
    assert told(*build(failed, "delete")) == {("deleted", failed): ("it never passed its tests",)}


def test_a_new_patch_release_follows_the_one_that_goes() -> None:
    later = "debian-13-kube-1.36.5-44444444"
    found = told(*build(later), *build(OLD, "delete"))
    assert found == {
        ("added", later): ("debian-13/1.36.5 is new", "kubernetes 1.36.4 → 1.36.5"),
        ("deleted", OLD): ("debian-13/1.36.4 is no longer declared",),
    }


def test_a_release_beside_another_follows_none() -> None:
    assert told(*build("debian-13-kube-1.36.5-44444444")) == {
        ("added", "debian-13-kube-1.36.5-44444444"): ("debian-13/1.36.5 is new",)
    }


def test_a_release_beside_one_that_is_rebuilt_follows_none() -> None:
    later = "debian-13-kube-1.36.5-44444444"
    found = told(*build(NEW, containerd="2.3.4"), *retire(OLD), *build(later))
    assert found[("added", later)] == ("debian-13/1.36.5 is new",)


def test_another_architecture_of_an_image_that_is_there() -> None:
    state = {"inputs": {"image": OLD, "components": {}, "inputs": {}}}
    arm = [step("image", "create", f"{OLD}-arm64", newState=state), step("snapshot", "create", f"{OLD}-arm64")]
    assert changes(preview(*arm)) == [
        Change("added", OLD, ("arm64",), (Reason(Cause.NEW_ARCHITECTURE, ("debian-13/1.36.4",)),)),
    ]


@pytest.mark.parametrize("operations", [["replace"], ["create-replacement", "replace", "delete-replaced"]])
def test_a_snapshot_that_is_gone_is_built_again(operations: list[str]) -> None:
    again = [part for op in operations for part in build(OLD, op)]
    assert told(*again) == {("built again", OLD): ("its snapshot is gone",)}


def test_an_image_that_left_the_state_but_not_the_exports_is_built_again() -> None:
    """As after `destroy --target` of its resources."""
    assert told(*build(OLD)) == {("built again", OLD): ("its snapshot is gone",)}


def test_a_build_that_an_earlier_run_did_not_finish_still_tells_why() -> None:
    component, *parts = build(NEW, containerd="2.3.4")
    begun = [{**component, "op": "same"}, *parts, *retire(OLD)]
    assert told(*begun)[("rebuilt", NEW)] == (
        "its build goes on where an earlier run stopped",
        "containerd 2.3.3 → 2.3.4",
    )


def test_what_is_the_same_is_no_change() -> None:
    same = [{**part, "op": "same"} for part in (*build(OLD), *retire("debian-13-kube-1.36.4-22222222"))]
    assert told(*same) == {}


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("", "htop", "packages: +htop"),
        ("htop vim", "htop tree", "packages: +tree, -vim"),
        (short_digest(["vim"]), "htop", "node.extraPackages changed"),
        (short_digest(["htop", "vim"]), "htop vim", ""),
    ],
)
def test_packages_of_the_stack_file_are_told_by_name(old: str, new: str, said: str) -> None:
    """An older program recorded a digest of them."""
    before, after = (
        {**INPUTS, "asOf": day, **({PACKAGES: text} if text else {})} for day, text in (("a", old), ("b", new))
    )
    told = reasons(Image(OLD, (), {}, before), Image(NEW, (), {}, after))
    assert [text(reason) for reason in told if reason.cause is not Cause.AS_OF] == ([said] if said else [])


def test_other_tests_are_run_again() -> None:
    found = told(step("server", "replace", f"{OLD}-amd64-verifier-server"))
    assert found == {
        ("tested again", OLD): (
            "other tests than it passed: the recipe's changed, or verification, kubeadm or reverify",
        )
    }


def test_a_label_that_is_gone_is_set_again() -> None:
    found = told(
        step("server", "replace", f"{OLD}-amd64-verifier-server"),
        step("published", "update", f"{OLD}-amd64-published"),
    )
    assert found == {("published again", OLD): ("its label caph-image-name is not there",)}


def test_an_image_that_failed_its_tests_is_tested_again() -> None:
    """Its snapshot is there, and was never published."""
    found = told(
        step("server", "replace", f"{NEW}-amd64-verifier-server"),
        step("published", "create", f"{NEW}-amd64-published"),
    )
    assert found == {("tested again", NEW): ("it did not pass its tests yet",)}


def test_a_snapshot_of_the_project_that_the_state_does_not_know() -> None:
    found = told(step("snapshot", "import", f"{OLD}-amd64"), records=[record(NEW)])
    assert found == {("kept", OLD): ("earlier build of debian-13/1.36.4",)}


def test_a_snapshot_of_the_declared_content_is_adopted() -> None:
    state = {"inputs": {"image": NEW, "components": {}, "inputs": INPUTS}}
    adopted = [
        step("image", "create", f"{NEW}-amd64", newState=state),
        step("snapshot", "import", f"{NEW}-amd64"),
        step("published", "create", f"{NEW}-amd64-published"),
    ]
    expected = {("adopted", NEW): ("the project has a snapshot of this content",)}
    assert told(*adopted, records=[]) == expected
    test = step("server", "create", f"{NEW}-amd64-verifier-server")
    assert told(*adopted, test, records=[])[("tested again", NEW)] == ("it did not pass its tests yet",)


def test_going_back_restores_an_earlier_build() -> None:
    components = {"kubernetes": "1.36.4", "containerd": "2.3.2"}
    back = {"inputs": {"image": NEW, "components": components, "inputs": INPUTS}}
    steps = [step("image", "update", f"{NEW}-amd64", newState=back), *retire(OLD)]
    assert told(*steps, records=[record(generations=[NEW])]) == {
        ("restored", NEW): ("an earlier build is the declared one again", "containerd 2.3.3 → 2.3.2"),
        ("kept", OLD): ("earlier build of debian-13/1.36.4",),
    }


def test_a_build_that_an_earlier_run_began_goes_on() -> None:
    rest = build(NEW)[3:]
    assert told(*rest) == {("rebuilt", NEW): ("its build goes on where an earlier run stopped",)}


def test_of_a_version_whose_build_goes_on_the_image_before_is_an_earlier_build() -> None:
    """It is in neither the records nor the preview's new images: its component was made by the run that failed."""
    records = [step("bundle", "delete", f"{OLD}-amd64-builder-bundle")]
    goes_on, kept = ("rebuilt", NEW), ("kept", OLD)
    assert told(*build(NEW)[3:], *records) == {
        goes_on: ("its build goes on where an earlier run stopped",),
        kept: ("earlier build of debian-13/1.36.4",),
    }
    tests = [step("server", "create", f"{NEW}-amd64-verifier-server")]
    assert told(*tests, *records)[kept] == ("earlier build of debian-13/1.36.4",)


def test_a_build_that_failed_and_is_declared_no_longer_is_not_kept() -> None:
    """It has no snapshot: only the records of its build leave the state."""
    failed = [
        step("image", "delete", f"{NEW}-amd64"),
        step("bundle", "delete", f"{NEW}-amd64-builder-bundle"),
        step("server", "delete", f"{NEW}-amd64-builder-server"),
    ]
    after = "debian-13-kube-1.36.4-2222cccc"
    assert told(*build(after, containerd="2.3.4"), *failed) == {("rebuilt", after): ("containerd 2.3.3 → 2.3.4",)}
    assert told(*failed) == {}


def test_an_image_that_only_learns_what_it_is_made_of_does_not_change() -> None:
    state = {"inputs": {"image": OLD, "components": {}, "inputs": INPUTS}}
    assert told(step("image", "update", f"{OLD}-amd64", newState=state)) == {}


def test_the_most_important_comes_first() -> None:
    found = changes(preview(*build(OLD, "delete"), *retire("debian-13-kube-1.35.8-55555555"), *build(NEW)))
    assert [change.kind for change in found] == ["rebuilt", "deleted", "kept"]


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"asOf": "20261101T000000Z"}, ["asOf none → 2026-11-01"]),
        ({"asOf": "20261101T123000Z"}, ["asOf none → 2026-11-01 12:30"]),
        ({"packages": "q"}, ["packages changed"]),
        ({"lib.sh": "m", "step kernel": "x"}, ["lib.sh changed"]),
        ({"node.sysctls": "s", "step kernel": "x"}, ["node.sysctls changed"]),
        ({"step kernel": "x", "source kernel": "x"}, ["step kernel edited"]),
        ({"step own-a": "x", "source own-a": "x", "node.steps": "x"}, ["step own-a added"]),
        ({"step kernel": "x"}, ["rendered differently: kernel"]),
        ({"file containerd": "d", "step containerd": "x"}, ["another file of containerd at the same version"]),
    ],
)
def test_reasons_are_in_the_words_of_the_files(changed: dict[str, str], why: list[str]) -> None:
    before = Image(OLD, ("amd64",), {"containerd": "2.3.3"}, INPUTS)
    after = Image(NEW, ("amd64",), {"containerd": "2.3.3"}, {**INPUTS, **changed})
    assert told_of(before, after) == why


def test_a_step_that_is_gone() -> None:
    after = Image(NEW, (), {}, {key: value for key, value in INPUTS.items() if "kernel" not in key})
    assert told_of(Image(OLD, (), {}, INPUTS), after) == ["step kernel removed"]


def test_files_of_another_version_are_no_reason_of_their_own() -> None:
    before = Image(OLD, (), {"kubernetes": "1.36.4"}, {**INPUTS, "file kubelet": "a", "file containerd": "a"})
    after = Image(NEW, (), {"kubernetes": "1.36.5"}, {**INPUTS, "file kubelet": "b", "file containerd": "a"})
    assert told_of(before, after) == ["kubernetes 1.36.4 → 1.36.5"]


def test_records_of_an_older_program_do_without_what_it_did_not_record() -> None:
    older = {key: value for key, value in record().items() if key != "inputs"}
    found = told(*build(NEW, containerd="2.3.4"), *retire(OLD), records=[older])
    assert found[("rebuilt", NEW)] == (
        "containerd 2.3.3 → 2.3.4",
        "what else changed is not known: an older program exported the last records",
    )


def test_records_of_another_interface_are_refused_with_all_that_they_lack() -> None:
    with pytest.raises(ProblemsError) as caught:
        read_records([{"name": OLD}], "preview.json")
    assert [problem.key for problem in caught.value.problems] == ["images[0].snapshots", "images[0].components"]
    assert "./pulumiw up" in str(caught.value)


@pytest.mark.parametrize("records", ["text", {"name": OLD}, [1]])
def test_records_that_are_none_are_refused(records: Any) -> None:
    with pytest.raises(ProblemsError, match="not a list of records"):
        read_records(records, "preview.json")


@pytest.mark.parametrize(
    "wrong", [[], "text", {}, {"images": []}, {"steps": "none"}, {"steps": ["x"]}, {"steps": [{"urn": 1}]}]
)
def test_what_is_no_preview_is_refused(wrong: Any) -> None:
    with pytest.raises(ProblemsError, match="pulumi preview --json"):
        read_preview(wrong, "preview.json")


def test_errors_of_the_program_are_told_without_the_engine_s_own_words() -> None:
    diagnostics = [
        {"severity": "info", "message": "info: hello"},
        {"severity": "error", "message": "error: no such system\n"},
        {
            "severity": "error",
            "message": "error: an unhandled error occurred: program exited with non-zero exit code: 1",
        },
    ]
    assert read_preview({"diagnostics": diagnostics}, "").errors == ("no such system",)
    assert len(read_preview({"diagnostics": diagnostics[2:]}, "").errors) == 1


def test_a_plugin_that_ends_slowly_fails_no_preview() -> None:
    """The document of an engine whose plugin was stopped (SIGSTOP) once all resources were there; its exit code was 0."""
    message = (
        "error: Detected that plugins/resource-command-v1.2.1/pulumi-resource-command exited prematurely. \n"
        "       This is *always* a bug in the provider. Please report the issue to the provider author as appropriate.\n"
        "       To assist with debugging we have dumped the STDOUT and STDERR streams of the plugin:\n\n"
    )
    slow = {"severity": "error", "message": message}
    lost = {"severity": "error", "message": "error: rpc error: code = Unavailable"}
    assert read_preview({"diagnostics": [slow]}, "").errors == ()
    assert read_preview({"diagnostics": [lost, slow]}, "").errors == ("rpc error: code = Unavailable",)


def test_bills_of_images_that_change_come_with_the_preview() -> None:
    bill = step("sbom", "delete", f"{OLD}-amd64-sbom", oldState={"outputs": {"text": "{}"}})
    assert preview(bill).bills == {(OLD, "amd64"): "{}"}


def test_tests_that_are_run_again_publish_nothing_again() -> None:
    """The publication keeps which tests were passed, so its record changes; not where the label is gone."""

    def published(found: str) -> dict[str, Any]:
        inputs = {"name": OLD, "protect": False}
        states = {"oldState": {"inputs": inputs}, "newState": {"inputs": {**inputs, "found": {"name": found}}}}
        return step("published", "update", f"{OLD}-amd64-published", **states)

    tests = step("server", "replace", f"{OLD}-amd64-verifier-server")
    assert list(told(tests, published(OLD))) == [("tested again", OLD)]
    assert list(told(tests, published(""))) == [("published again", OLD)]
