"""What is known from URNs and outputs, of an engine that was asked or of an exported state."""

import base64
import gzip
import hashlib
import json

from images.recorded import Facts, recorded

URN = "urn:pulumi:prod::node-images::node-images:index:NodeImage$pulumi-python:dynamic/node-images:EphemeralServer::"


def test_names_and_servers() -> None:
    found = recorded(
        [
            (f"{URN}image-builder-server", {"server_id": 7.0}),
            (f"{URN}image-verifier-server", {"server_id": None}),
            (f"{URN}image-builder-released", {"server_id": 9}),
        ]
    )
    assert found.names == {"image-builder-server", "image-verifier-server", "image-builder-released"}
    assert found.servers == {7}


REPORT = '{"passed": 1, "total": 1, "level": "cluster"}'
AGAIN = '{"passed": 2, "total": 2, "level": "cluster"}'


def test_the_tests_of_a_published_image_are_told_by_its_publication() -> None:
    published = {"tests": "t", "report": REPORT, "manifest": "{}"}
    found = recorded([(f"{URN}image-published", published), (f"{URN}image-sbom", {"sha256": "s"})])
    assert (found.facts, found.bills) == ({"image": Facts("t", REPORT, "{}")}, {"image": "s"})


def test_while_the_tests_are_in_the_state_they_tell_themselves() -> None:
    inventory = base64.b64encode(gzip.compress(b'{"os": "debian-13"}\n---\njq 1.7 amd64')).decode()
    found = recorded(
        [
            (f"{URN}image-published", {"tests": "t"}),
            (f"{URN}image/acceptance-tests", {"stdout": f"{REPORT}\n{inventory}"}),
            (f"{URN}image/tests-after-restart", {"stdout": AGAIN}),
        ]
    )
    facts = found.facts["image"]
    assert (facts.tests, facts.manifest, json.loads(facts.report)["passed"]) == ("t", '{"os": "debian-13"}', 3)


def test_the_tests_of_an_older_state_are_told_by_its_commands() -> None:
    """When each step was a resource, and the state had the text of the bill of materials."""
    found = recorded(
        [
            (f"{URN}image-published", {"name": "image"}),
            (f"{URN}image/acceptance-tests", {"stdout": REPORT}),
            (f"{URN}image/tests-after-restart", {"stdout": AGAIN}),
            (f"{URN}image/inventory", {"stdout": '{"os": "debian-13"}\n---\njq 1.7 amd64'}),
            (f"{URN}image-verifier-server", {"digest": "content-tests-again", "server_id": 7}),
            (f"{URN}image-sbom", {"text": "bill"}),
        ]
    )
    facts = found.facts["image"]
    assert (facts.tests, facts.manifest) == ("tests-again", '{"os": "debian-13"}')
    assert json.loads(facts.report) == {"passed": 3, "total": 3, "level": "cluster"}
    assert found.verifiers == {"image": "content-tests-again"}
    assert found.bills == {"image": hashlib.sha256(b"bill").hexdigest()}


def test_what_was_never_published_has_told_nothing() -> None:
    found = recorded([(f"{URN}image/acceptance-tests", {"stdout": REPORT}), (f"{URN}image-published", {"name": "a"})])
    assert found.facts == {}
