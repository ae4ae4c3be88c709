"""Hetzner Cloud as both the program and the commands need it. Everything goes through the official SDK."""
