"""The sandbox without machines, as for what the components ask of Hetzner Cloud."""

from tests.adapters.hetzner.conftest import cloud, endpoint

__all__ = ["cloud", "endpoint"]
