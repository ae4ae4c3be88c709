"""One workspace for all fragments."""

from tests.e2e.conftest import fresh_clone, workspace

__all__ = ["fresh_clone", "workspace"]
