"""Paths of rescue system, console and root password."""

from sandbox.resources.access import responses

ROUTES = [
    ("POST", "/servers/{id:int}/actions/enable_rescue", responses.enable_rescue),
    ("POST", "/servers/{id:int}/actions/disable_rescue", responses.disable_rescue),
    ("POST", "/servers/{id:int}/actions/request_console", responses.request_console),
    ("POST", "/servers/{id:int}/actions/reset_password", responses.reset_password),
]
