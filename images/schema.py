"""The JSON Schema of a stack file, for editors: made from the model, with the words of docs/stack-file.md."""

import re
from collections.abc import Iterator
from typing import Any

from images.stackfile import LOCATIONS, PROJECT, PROVIDER_KEYS, SERVER_TYPES, TOKEN_LENGTH, StackFile
from recipe.catalog import Catalog

SCHEMA_FILE = "docs/stack-file.schema.json"
"""What stack files name in their first line, seen from their directory."""

ROW = re.compile(r"^\| `(?P<key>[^`]+)` \| (?P<values>.*?) \| (?P<default>.*?) \| (?P<meaning>.*) \|$", re.MULTILINE)
LINK = re.compile(r" ?\(\[[^\]]*\]\([^)]*\)\)|\[([^\]]*)\]\([^)]*\)")
ENCRYPTED = {"type": "object", "properties": {"secure": {"type": "string"}}, "required": ["secure"]}
Schema = dict[str, Any]


def schema_line() -> str:
    """What tells an editor which schema a stack file has."""
    return f"# yaml-language-server: $schema=../{SCHEMA_FILE}"


def stack_file_schema(catalog: Catalog, page: str) -> Schema:
    """The whole schema; `page` is the text of docs/stack-file.md."""
    model = _for_people(StackFile.model_json_schema(mode="validation"))
    definitions: Schema = model.pop("$defs")
    definitions["ImageSettings"]["properties"]["os"]["enum"] = list(catalog.operating_systems)
    for key, text in _descriptions(page):
        _described(model, definitions, key.split("."), text)
    settings = {f"{PROJECT}:{name}": item for name, item in model["properties"].items()}
    settings[f"{PROJECT}:locations"]["items"]["examples"] = list(LOCATIONS)
    settings[f"{PROJECT}:serverTypes"]["examples"] = [{name: list(types)} for name, types in SERVER_TYPES.items()]
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Stack file of node images",
        "type": "object",
        "properties": {
            "config": {
                "type": "object",
                "properties": {**settings, **_provider()},
                "patternProperties": {"^pulumi:": {}},
                "additionalProperties": False,
            },
            "environment": {"description": "Environments of Pulumi ESC."},
        },
        "patternProperties": {"^[^:]*:": False},
        "if": {"not": {"required": ["environment"]}},
        "then": {
            "required": ["config"],
            "properties": {"config": {"required": [f"{PROJECT}:{name}" for name in model["required"]]}},
        },
        "$defs": definitions,
    }


def _provider() -> Schema:
    token = {"type": "string", "minLength": TOKEN_LENGTH, "maxLength": TOKEN_LENGTH}
    told: Schema = {
        "token": {
            "description": "The API token: `./pulumiw config set --secret hcloud:token`; else of HCLOUD_TOKEN.",
            "anyOf": [token, ENCRYPTED],
        },
        "endpoint": {
            "description": "The API; without it that of Hetzner Cloud.",
            "anyOf": [{"type": "string", "pattern": "^https?://"}, ENCRYPTED],
        },
    }
    return {f"hcloud:{key}": told.get(key, {}) for key in PROVIDER_KEYS}


def _descriptions(page: str) -> Iterator[tuple[str, str]]:
    """Key, as `timeouts.step`, and meaning of each row of ours."""
    for row in ROW.finditer(page):
        key = row["key"].replace("…", f"{PROJECT}:").replace("[]", "")
        if key.startswith(f"{PROJECT}:"):
            default = "" if row["default"] in ("none", "required") else f" Default: {_plain(row['default'])}."
            yield key.removeprefix(f"{PROJECT}:"), f"{_plain(row['meaning'])}.{default}"


def _plain(text: str) -> str:
    """Markdown without links, whose targets an editor cannot open."""
    return LINK.sub(r"\1", text).strip()


def _described(schema: Schema, definitions: Schema, way: list[str], text: str) -> None:
    """Set the description of a property, through references. Raises KeyError for one that the model does not have."""
    inner = _resolved(schema, definitions)["properties"][way[0]]
    if len(way) == 1:
        inner["description"] = text
    else:
        _described(inner.get("items", inner), definitions, way[1:], text)


def _resolved(schema: Schema, definitions: Schema) -> Schema:
    """The object that a schema refers to, be it one of several that may stand there."""
    for item in (schema, *schema.get("anyOf", [])):
        if "$ref" in item:
            found: Schema = definitions[item["$ref"].rpartition("/")[2]]
            return found
    return schema


def _for_people(schema: Any) -> Any:  # noqa: ANN401 - any part of a schema
    """Without the names and docstrings of classes, which say nothing to people, and closed where the model is."""
    if isinstance(schema, list):
        return [_for_people(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {key: _for_people(value) for key, value in schema.items() if not _is_of_a_class(key, value, schema)}
    return {**kept, "additionalProperties": False} if "patternProperties" in kept else kept


def _is_of_a_class(key: str, value: object, schema: Schema) -> bool:
    return (key in ("title", "description") and isinstance(value, str)) or (key == "default" and "$ref" in schema)
