"""Paths of SSH keys."""

from sandbox.resources.ssh_keys import responses

ROUTES = [
    ("GET", "/ssh_keys", responses.list_all),
    ("POST", "/ssh_keys", responses.create),
    ("GET", "/ssh_keys/{id:int}", responses.get),
    ("PUT", "/ssh_keys/{id:int}", responses.update),
    ("DELETE", "/ssh_keys/{id:int}", responses.delete),
]
