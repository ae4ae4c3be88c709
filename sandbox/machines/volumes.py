"""Volumes of machines without a kernel of their own: there are none, whatever the API shows."""

from __future__ import annotations

from sandbox.machines import VolumeDisk


class WithoutVolumes:
    """Takes every order and does nothing."""

    async def attach_volume(self, machine: int, volume: VolumeDisk) -> None:
        """Nothing to do."""

    async def detach_volume(self, machine: int, volume: int) -> None:
        """Nothing to do."""

    async def resize_volume(self, volume: VolumeDisk, machine: int | None) -> None:
        """Nothing to do."""

    def delete_volume(self, volume: int) -> None:
        """Nothing to do."""

    def forget_other_volumes(self, volumes: set[int]) -> None:
        """Nothing to do."""
