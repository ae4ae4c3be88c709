"""The sandbox without machines, as for the components."""

from tests.components.conftest import cloud, endpoint

__all__ = ["cloud", "endpoint"]
