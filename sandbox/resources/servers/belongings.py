"""What a server has that goes on without it: addresses and volumes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sandbox.resources.addresses import IpType
from sandbox.resources.floating_ips.models import FloatingIps
from sandbox.resources.primary_ips.models import PrimaryIp, PrimaryIps, require_usable
from sandbox.resources.volumes.models import Volume, Volumes

IP_TYPES: tuple[IpType, ...] = ("ipv4", "ipv6")
Addresses = Mapping[IpType, PrimaryIp | None]
"""By type: the primary IP to take, or None where a new one is to be made; a type that is not in it gets none."""


@dataclass(frozen=True)
class Belongings:
    """All kinds of it."""

    primary_ips: PrimaryIps
    floating_ips: FloatingIps
    volumes: Volumes

    def require_usable(self, location: str, addresses: Addresses, volumes: Sequence[Volume]) -> None:
        """For a server that is to be created. Raises what the API says where something cannot be had."""
        for kind, address in addresses.items():
            if address:
                self.primary_ips.require_unlocked(address)
                require_usable(address, kind, location)
        for volume in volumes:
            self.volumes.require_attachable(volume, location)
        self.volumes.require_room(0, len(volumes))

    def supply(self, server_id: int, location: str, addresses: Addresses, number: int, ip: str) -> None:
        """Give a new server its addresses."""
        for kind, address in addresses.items():
            if address is None:
                self.primary_ips.supply(server_id, kind, location, number, ip)
            else:
                address.server = server_id
                self.primary_ips.all.save(address)

    def release(self, server_id: int) -> None:
        """The server is gone."""
        for kept in (self.primary_ips, self.floating_ips, self.volumes):
            kept.release(server_id)
