"""The exports are an interface: typed, described by a schema, and without a break within a version."""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from pydantic import ValidationError

from images.exports import INTERFACE, earlier_records, json_schema, names_by_version, read_exports, written
from images.plan import Tarballs
from images.snapshot import Snapshot
from recipe import load_catalog
from recipe.problems import ProblemsError
from tests.exports import earlier, exports, image, tarball

SCHEMA = Path("docs/exports.schema.json")
RECORDED = Path("tests/data/exports.1.schema.json")
NEW_SCHEMA = ".venv/bin/python -c 'import json, images.exports as e; print(json.dumps(e.json_schema(), indent=2))'"


def refused(document: Mapping[str, Any]) -> str:
    with pytest.raises(ProblemsError) as error:
        read_exports(document, "exports of stack test")
    return str(error.value)


def breaks(before: dict[str, Any], now: dict[str, Any], old: dict, new: dict, place: str = "") -> Iterator[str]:
    """What a reader written for `before` could miss in what `now` describes; `old` and `new` hold the definitions."""
    before, now = resolved(before, old), resolved(now, new)
    for key in ("type", "const", "format", "pattern"):
        if before.get(key) != now.get(key):
            yield f"{place}: {key} was {before.get(key)}, is {now.get(key)}"
    for name in before.get("required", []):
        if name not in now.get("required", []):
            yield f"{place}.{name}: was always there, may be missing"
    for name, schema in before.get("properties", {}).items():
        if name not in now.get("properties", {}):
            yield f"{place}.{name}: is gone"
        else:
            yield from breaks(schema, now["properties"][name], old, new, f"{place}.{name}")
    for part in ("items", "additionalProperties"):
        if isinstance(before.get(part), dict):
            yield from breaks(before[part], now.get(part) or {}, old, new, f"{place}[]")
    if [resolved(item, old).get("type") for item in before.get("anyOf", [])] != [
        resolved(item, new).get("type") for item in now.get("anyOf", [])
    ]:
        yield f"{place}: has other alternatives"


def resolved(schema: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    reference = schema.get("$ref", "").rpartition("/")[2]
    return definitions[reference] if reference else schema


def test_the_published_schema_is_that_of_the_model() -> None:
    assert json.loads(SCHEMA.read_text()) == json_schema(), f"make it anew: {NEW_SCHEMA} >{SCHEMA}"


def test_nothing_that_version_1_promised_is_broken() -> None:
    """Never mend this by recording anew: a field that must go needs another version of the interface."""
    recorded, now = json.loads(RECORDED.read_text()), json_schema()
    assert list(breaks(recorded, now, recorded["$defs"], now["$defs"])) == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda schema: schema["$defs"]["ImageRecord"]["properties"].pop("digest"), ".images[].digest: is gone"),
        (lambda schema: schema["$defs"]["ImageRecord"]["required"].remove("name"), ".images[].name: was always there"),
        (
            lambda schema: schema["properties"]["snapshots"].update(type="array"),
            ".snapshots: type was object, is array",
        ),
        (
            lambda schema: schema["$defs"]["AcceptanceReport"]["properties"]["total"].update(type="string"),
            ".total: type",
        ),
        (lambda schema: schema["properties"]["interface"].update(const=2), ".interface: const was 1, is 2"),
    ],
)
def test_a_break_would_be_seen(change: Any, told: str) -> None:
    recorded, now = json.loads(RECORDED.read_text()), json_schema()
    change(now)
    assert told in "\n".join(breaks(recorded, now, recorded["$defs"], now["$defs"]))


def test_a_new_field_is_no_break() -> None:
    recorded, now = json.loads(RECORDED.read_text()), json_schema()
    now["$defs"]["ImageRecord"]["properties"]["new"] = {"type": "string"}
    now["$defs"]["ImageRecord"]["required"].append("new")
    assert list(breaks(recorded, now, recorded["$defs"], now["$defs"])) == []
    jsonschema.validate(exports(image(new="x")), recorded)
    assert read_exports(exports(image(new="x")), "test")


def test_exports_are_read_typed() -> None:
    found = read_exports(exports(image(), kept=(earlier(servers=["worker-1"]),)), "test")
    assert found.images[0].tests["amd64"].passed == 201
    assert found.images[0].created == datetime(2026, 11, 20, 10, tzinfo=UTC)
    assert found.earlier[0].servers == ["worker-1"]


def test_a_record_is_written_as_it_is_read() -> None:
    """What a field does not have, such as the sha256 of what is no file, is not written."""
    record = {**image(), **tarball(image()), "inputs": {"asOf": ""}}
    assert written({**record, "created": "2026-11-20 10:00:00+00:00"}) == record
    assert written(image(tests={"amd64": {}})) == image(tests={"amd64": {}})


def test_what_is_no_record_is_not_written() -> None:
    with pytest.raises(ValidationError, match="digest"):
        written({key: value for key, value in image().items() if key != "digest"})


def test_names_are_written_by_version() -> None:
    assert names_by_version([image()]) == exports()["snapshots"]


def test_exports_of_the_tests_follow_the_schema() -> None:
    jsonschema.validate(exports(image(), kept=(earlier(),)), json_schema())


def test_exports_of_before_the_interface_are_refused_in_words() -> None:
    document = exports()
    del document["interface"]
    text = refused(document)
    assert "exports of stack test: interface" in text
    assert "older than interface 1" in text
    assert "run `up`" in text


def test_exports_of_a_later_interface_are_refused_in_words() -> None:
    text = refused({**exports(), "interface": INTERFACE + 1})
    assert "interface = 2" in text
    assert "use a newer version" in text


def test_a_stack_without_outputs_is_told_apart() -> None:
    assert "no outputs yet" in refused({})


def test_every_field_that_is_wrong_is_named() -> None:
    text = refused(exports(image(snapshots={"amd64": "many"}, created="yesterday")))
    assert "images[0].snapshots.amd64" in text
    assert "images[0].created" in text


def snapshot(number: int, architecture: str, **details: Any) -> Snapshot:
    labels = {
        "caph-image-name": "debian-13-kube-1.36.4-f0e1d2c3",
        "os": "debian-13",
        "kubernetes_version": "1.36.4",
        "architecture": architecture,
        "digest": "f0e1d2c3" * 4,
    }
    created = datetime(2026, 10, number, tzinfo=UTC)
    return Snapshot(**{"id": number, "labels": labels, "created": created, "available": True, **details})


def test_kept_snapshots_of_one_image_are_one_record() -> None:
    kept = [
        snapshot(2, "arm64", size_gb=Decimal("0.4"), servers=("b",)),
        snapshot(1, "amd64", size_gb=Decimal("0.3"), servers=("a",)),
    ]
    (record,) = earlier_records(kept)
    assert record == earlier(
        created="2026-10-01T00:00:00+00:00",
        snapshots={"arm64": 2, "amd64": 1},
        sizes={"arm64": 0.4, "amd64": 0.3},
        disks={},
        servers=["a", "b"],
    )
    read_exports(exports(kept=(record,)), "test")


def test_earlier_images_name_their_tarballs_where_the_stack_file_asks_for_them() -> None:
    tarballs = Tarballs("tarballs/test", load_catalog())
    (record,) = earlier_records([snapshot(1, "amd64"), snapshot(2, "arm64")], tarballs)
    assert record["tarballs"] == {
        architecture: {"path": tarballs.path("debian-13", architecture, record["name"])}
        for architecture in ("amd64", "arm64")
    }
    read_exports(exports(kept=(record,)), "test")
    rocky = snapshot(1, "amd64", labels={**snapshot(1, "amd64").labels, "os": "rocky-9"})
    assert earlier_records([rocky], tarballs)[0]["tarballs"] == {}


def test_exports_of_before_tarballs_have_none() -> None:
    kept = {key: value for key, value in earlier().items() if key != "tarballs"}
    found = read_exports(exports(kept=(kept,)), "test")
    assert (found.images[0].tarballs, found.earlier[0].tarballs) == ({}, {})
