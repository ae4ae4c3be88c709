"""Volumes: disks that can move between servers."""
