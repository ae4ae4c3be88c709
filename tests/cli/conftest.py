"""The sandbox without machines, as for the components."""

from tests.adapters.hetzner.conftest import cloud, endpoint

__all__ = ["cloud", "endpoint"]
