"""Paths of images."""

from sandbox.resources.images import responses

ROUTES = [
    ("GET", "/images", responses.list_all),
    ("GET", "/images/{id:int}", responses.get),
    ("PUT", "/images/{id:int}", responses.update),
    ("DELETE", "/images/{id:int}", responses.delete),
    ("POST", "/images/{id:int}/actions/change_protection", responses.change_protection),
]
