"""Paths of networks. Those of servers stand before the servers' own, whose last route takes every action."""

from sandbox.resources.networks import responses, servers

ROUTES = [
    ("GET", "/networks", responses.list_all),
    ("POST", "/networks", responses.create),
    ("GET", "/networks/{id:int}", responses.get),
    ("PUT", "/networks/{id:int}", responses.update),
    ("DELETE", "/networks/{id:int}", responses.delete),
    ("POST", "/networks/{id:int}/actions/add_subnet", responses.add_subnet),
    ("POST", "/networks/{id:int}/actions/delete_subnet", responses.delete_subnet),
    ("POST", "/networks/{id:int}/actions/add_route", responses.add_route),
    ("POST", "/networks/{id:int}/actions/delete_route", responses.delete_route),
    ("POST", "/networks/{id:int}/actions/change_ip_range", responses.change_ip_range),
    ("POST", "/networks/{id:int}/actions/change_protection", responses.change_protection),
    ("POST", "/servers/{id:int}/actions/attach_to_network", servers.attach),
    ("POST", "/servers/{id:int}/actions/detach_from_network", servers.detach),
    ("POST", "/servers/{id:int}/actions/change_alias_ips", servers.change_aliases),
]
