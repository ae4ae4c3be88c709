"""Write the JSON Schema of stack files, which is made from the model: `.venv/bin/python -m tools.schema`."""

import json
from pathlib import Path

from images.schema import SCHEMA_FILE, stack_file_schema
from recipe import load_catalog

PAGE = Path("docs/stack-file.md")


def schema_text() -> str:
    """The file as it is committed."""
    return json.dumps(stack_file_schema(load_catalog(), PAGE.read_text()), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    Path(SCHEMA_FILE).write_text(schema_text())
