"""Backups of servers: images that go with their server."""
