"""One workspace for all forms that are built here."""

from tests.e2e.conftest import fresh_clone, workspace

__all__ = ["fresh_clone", "workspace"]
