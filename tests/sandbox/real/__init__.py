"""Tests with real booted machines: they need root."""
