"""Paths of servers."""

from sandbox.resources.servers import responses

ROUTES = [
    ("GET", "/servers", responses.list_all),
    ("POST", "/servers", responses.create),
    ("GET", "/servers/{id:int}", responses.get),
    ("PUT", "/servers/{id:int}", responses.update),
    ("DELETE", "/servers/{id:int}", responses.delete),
    ("POST", "/servers/{id:int}/actions/poweron", responses.power_on),
    ("POST", "/servers/{id:int}/actions/poweroff", responses.power_off),
    ("POST", "/servers/{id:int}/actions/shutdown", responses.shut_down),
    ("POST", "/servers/{id:int}/actions/reboot", responses.reboot),
    ("POST", "/servers/{id:int}/actions/reset", responses.reset),
    ("POST", "/servers/{id:int}/actions/rebuild", responses.rebuild),
    ("POST", "/servers/{id:int}/actions/create_image", responses.create_image),
    ("POST", "/servers/{id:int}/actions/change_type", responses.change_type),
    ("POST", "/servers/{id:int}/actions/change_protection", responses.change_protection),
    ("POST", "/servers/{id:int}/actions/change_dns_ptr", responses.change_dns_ptr),
    ("POST", "/servers/{id:int}/actions/{command:word}", responses.unknown_action),
]
