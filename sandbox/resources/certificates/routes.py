"""Paths of certificates."""

from sandbox.resources.certificates import responses

ROUTES = [
    ("GET", "/certificates", responses.list_all),
    ("POST", "/certificates", responses.create),
    ("GET", "/certificates/{id:int}", responses.get),
    ("PUT", "/certificates/{id:int}", responses.update),
    ("DELETE", "/certificates/{id:int}", responses.delete),
    ("POST", "/certificates/{id:int}/actions/retry", responses.retry),
]
