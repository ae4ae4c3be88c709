"""Paths of load balancers."""

from sandbox.resources.load_balancers import responses

ACTIONS = {
    "add_service": responses.add_service,
    "update_service": responses.update_service,
    "delete_service": responses.delete_service,
    "add_target": responses.add_target,
    "remove_target": responses.remove_target,
    "change_algorithm": responses.change_algorithm,
    "change_type": responses.change_type,
    "change_dns_ptr": responses.change_dns_ptr,
    "change_protection": responses.change_protection,
    "attach_to_network": responses.attach,
    "detach_from_network": responses.detach,
    "enable_public_interface": responses.enable_public,
    "disable_public_interface": responses.disable_public,
}
ROUTES = [
    ("GET", "/load_balancer_types", responses.list_types),
    ("GET", "/load_balancer_types/{id:int}", responses.get_type),
    ("GET", "/load_balancers", responses.list_all),
    ("POST", "/load_balancers", responses.create),
    ("GET", "/load_balancers/{id:int}", responses.get),
    ("PUT", "/load_balancers/{id:int}", responses.update),
    ("DELETE", "/load_balancers/{id:int}", responses.delete),
    ("GET", "/load_balancers/{id:int}/metrics", responses.metrics),
    *(("POST", f"/load_balancers/{{id:int}}/actions/{name}", handler) for name, handler in ACTIONS.items()),
]
