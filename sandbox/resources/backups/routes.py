"""Paths of backups."""

from sandbox.resources.backups import responses

ROUTES = [
    ("POST", "/servers/{id:int}/actions/enable_backup", responses.enable),
    ("POST", "/servers/{id:int}/actions/disable_backup", responses.disable),
]
