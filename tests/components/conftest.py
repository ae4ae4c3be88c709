"""The sandbox without machines, as for what the components ask of Hetzner Cloud."""

from tests.hetzner.conftest import cloud, endpoint

__all__ = ["cloud", "endpoint"]
