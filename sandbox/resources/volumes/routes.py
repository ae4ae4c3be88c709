"""Paths of volumes."""

from sandbox.resources.volumes import responses

ROUTES = [
    ("GET", "/volumes", responses.list_all),
    ("POST", "/volumes", responses.create),
    ("GET", "/volumes/{id:int}", responses.get),
    ("PUT", "/volumes/{id:int}", responses.update),
    ("DELETE", "/volumes/{id:int}", responses.delete),
    ("POST", "/volumes/{id:int}/actions/attach", responses.attach),
    ("POST", "/volumes/{id:int}/actions/detach", responses.detach),
    ("POST", "/volumes/{id:int}/actions/resize", responses.resize),
    ("POST", "/volumes/{id:int}/actions/change_protection", responses.change_protection),
]
