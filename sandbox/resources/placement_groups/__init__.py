"""Placement groups: which servers must not share a host."""
