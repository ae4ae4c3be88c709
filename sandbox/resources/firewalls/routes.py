"""Paths of firewalls."""

from sandbox.resources.firewalls import responses

ROUTES = [
    ("GET", "/firewalls", responses.list_all),
    ("POST", "/firewalls", responses.create),
    ("GET", "/firewalls/{id:int}", responses.get),
    ("PUT", "/firewalls/{id:int}", responses.update),
    ("DELETE", "/firewalls/{id:int}", responses.delete),
    ("POST", "/firewalls/{id:int}/actions/set_rules", responses.set_rules),
    ("POST", "/firewalls/{id:int}/actions/apply_to_resources", responses.apply),
    ("POST", "/firewalls/{id:int}/actions/remove_from_resources", responses.withdraw),
]
