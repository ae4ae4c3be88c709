"""Tests with light machines: they need root and the base image."""
