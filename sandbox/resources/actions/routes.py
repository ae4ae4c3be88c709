"""Paths of actions."""

from sandbox.resources.actions import responses

ROUTES = [("GET", "/actions", responses.list_by_id), ("GET", "/actions/{id:int}", responses.get)]
KINDS = (
    *("servers", "images", "firewalls", "networks", "load_balancers"),
    *("primary_ips", "floating_ips", "volumes", "certificates"),
)
for kind in KINDS:
    ROUTES += [
        ("GET", f"/{kind}/actions", responses.list_of_kind),
        ("GET", f"/{kind}/actions/{{action_id:int}}", responses.get_of_one),
        ("GET", f"/{kind}/{{id:int}}/actions", responses.list_of_one),
        ("GET", f"/{kind}/{{id:int}}/actions/{{action_id:int}}", responses.get_of_one),
    ]
