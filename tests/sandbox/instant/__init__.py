"""Tests with instant machines, which need nothing."""
