"""Path of metrics."""

from sandbox.resources.metrics import responses

ROUTES = [("GET", "/servers/{id:int}/metrics", responses.get)]
