"""A stack file, as commands read it: by itself, without what Pulumi adds."""

import sys
from pathlib import Path

from images.stackfile import PROJECT, StackFile, environments_of, load_stack_file, read_config
from recipe.catalog import Catalog
from recipe.options import SyntaxCheck


def stack_file(stack: str) -> Path:
    """Where a stack's settings are."""
    return Path("stacks") / f"Pulumi.{stack}.yaml"


def load_settings(stack: str, catalog: Catalog, syntax: SyntaxCheck | None = None) -> StackFile:
    """The settings of a stack. Says so where Pulumi ESC may have others. Raises ProblemsError."""
    file = stack_file(stack)
    settings = load_stack_file(file, catalog, syntax=syntax)
    if opened := environments_of(file):
        print(
            f"warning: {file}: read without {', '.join(opened)} of Pulumi ESC, "
            "which pulumi preview and up alone open: what they set of node-images is not known here",
            file=sys.stderr,
        )
    return settings


def bills_folder(stack: str) -> Path:
    """Below which the stacks' bills of materials are, also where no stack file says it, as with exports from elsewhere."""
    file = stack_file(stack)
    told = read_config(file).get(f"{PROJECT}:sboms") if file.is_file() else None
    return Path(str(told or StackFile.model_fields["sboms"].default))
