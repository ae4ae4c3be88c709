"""Paths of floating IPs."""

from sandbox.resources.floating_ips import responses

ROUTES = [
    ("GET", "/floating_ips", responses.list_all),
    ("POST", "/floating_ips", responses.create),
    ("GET", "/floating_ips/{id:int}", responses.get),
    ("PUT", "/floating_ips/{id:int}", responses.update),
    ("DELETE", "/floating_ips/{id:int}", responses.delete),
    ("POST", "/floating_ips/{id:int}/actions/assign", responses.assign),
    ("POST", "/floating_ips/{id:int}/actions/unassign", responses.unassign),
    ("POST", "/floating_ips/{id:int}/actions/change_dns_ptr", responses.change_dns_ptr),
    ("POST", "/floating_ips/{id:int}/actions/change_protection", responses.change_protection),
]
