"""Paths of ISOs."""

from sandbox.resources.isos import responses

ROUTES = [
    ("GET", "/isos", responses.list_all),
    ("GET", "/isos/{id:int}", responses.get),
    ("POST", "/servers/{id:int}/actions/attach_iso", responses.attach),
    ("POST", "/servers/{id:int}/actions/detach_iso", responses.detach),
]
