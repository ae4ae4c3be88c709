"""Paths of what never changes. Gap: of ``EMPTY`` nothing can be created."""

from sandbox.resources.catalogue import responses

EMPTY = (
    *("primary_ips", "volumes", "networks", "load_balancers", "load_balancer_types"),
    *("certificates", "floating_ips"),
)
ROUTES = [
    ("GET", "/locations", responses.list_locations),
    ("GET", "/locations/{id:int}", responses.get_location),
    ("GET", "/server_types", responses.list_server_types),
    ("GET", "/server_types/{id:int}", responses.get_server_type),
    ("GET", "/datacenters", responses.datacenters),
    ("GET", "/datacenters/{id:int}", responses.datacenters),
    ("GET", "/pricing", responses.pricing),
    *(("GET", f"/{name}", responses.empty) for name in EMPTY),
]
