"""Floating IPs: addresses that can move between servers."""
