"""Paths of what never changes."""

from sandbox.resources.catalogue import responses

ROUTES = [
    ("GET", "/locations", responses.list_locations),
    ("GET", "/locations/{id:int}", responses.get_location),
    ("GET", "/server_types", responses.list_server_types),
    ("GET", "/server_types/{id:int}", responses.get_server_type),
    ("GET", "/datacenters", responses.datacenters),
    ("GET", "/datacenters/{id:int}", responses.datacenters),
    ("GET", "/pricing", responses.pricing),
]
