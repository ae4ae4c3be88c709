"""Paths of placement groups, and of what puts servers into them."""

from sandbox.resources.placement_groups import responses

ROUTES = [
    ("GET", "/placement_groups", responses.list_all),
    ("POST", "/placement_groups", responses.create),
    ("GET", "/placement_groups/{id:int}", responses.get),
    ("PUT", "/placement_groups/{id:int}", responses.update),
    ("DELETE", "/placement_groups/{id:int}", responses.delete),
    ("POST", "/servers/{id:int}/actions/add_to_placement_group", responses.add_server),
    ("POST", "/servers/{id:int}/actions/remove_from_placement_group", responses.remove_server),
]
