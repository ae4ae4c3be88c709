"""Paths of primary IPs."""

from sandbox.resources.primary_ips import responses

ROUTES = [
    ("GET", "/primary_ips", responses.list_all),
    ("POST", "/primary_ips", responses.create),
    ("GET", "/primary_ips/{id:int}", responses.get),
    ("PUT", "/primary_ips/{id:int}", responses.update),
    ("DELETE", "/primary_ips/{id:int}", responses.delete),
    ("POST", "/primary_ips/{id:int}/actions/assign", responses.assign),
    ("POST", "/primary_ips/{id:int}/actions/unassign", responses.unassign),
    ("POST", "/primary_ips/{id:int}/actions/change_dns_ptr", responses.change_dns_ptr),
    ("POST", "/primary_ips/{id:int}/actions/change_protection", responses.change_protection),
]
