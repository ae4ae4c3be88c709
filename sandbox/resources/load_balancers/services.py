"""Services of load balancers: what listens where, and how targets are checked. Pure."""

from __future__ import annotations

import re
from typing import Any, Literal

from pydantic import BaseModel

from sandbox.errors import invalid_input

Protocol = Literal["tcp", "http", "https"]
PORT_MAX = 65535
USUAL_PORTS = {"http": 80, "https": 443}
STATUS_CODE = re.compile(r"[1-5?*][0-9?*]{0,2}")
LIMITS = {"interval": (3, 60), "timeout": (1, 60), "retries": (1, 5)}
"""Seconds, seconds, number; as the console takes them."""


class HttpCheck(BaseModel):
    """How a health check asks."""

    domain: str | None = None
    path: str = "/"
    response: str | None = None
    status_codes: list[str] = ["2??", "3??"]
    tls: bool = False


class HealthCheck(BaseModel):
    """When a target counts as healthy."""

    protocol: Literal["tcp", "http"]
    port: int
    interval: int = 15
    timeout: int = 10
    retries: int = 3
    http: HttpCheck | None = None


class Http(BaseModel):
    """Of services that speak HTTP. Gap: kept and shown, but only bytes are passed on."""

    cookie_name: str = "HCLBSTICKY"
    cookie_lifetime: int = 300
    certificates: list[int] = []
    redirect_http: bool = False
    sticky_sessions: bool = False
    timeout_idle: int = 60


class Service(BaseModel):
    """Who connects to ``listen_port`` is led to ``destination_port`` of a target."""

    protocol: Protocol
    listen_port: int
    destination_port: int
    proxyprotocol: bool = False
    http: Http | None = None
    health_check: HealthCheck


Given = dict[str, Any]


def new_service(given: Given, where: str = "") -> Service:
    """What was left out is as at Hetzner, whatever the document calls required. Raises invalid_input."""
    protocol = given["protocol"]
    listen = given.get("listen_port") or USUAL_PORTS.get(protocol)
    if listen is None:
        raise invalid_input((f"{where}listen_port", "required for protocol tcp"))
    destination = given.get("destination_port") or (listen if protocol == "tcp" else USUAL_PORTS["http"])
    check = {
        "protocol": "tcp" if protocol == "tcp" else "http",
        "port": destination,
        **known(given.get("health_check")),
    }
    made = Service(
        protocol=protocol,
        listen_port=listen,
        destination_port=destination,
        proxyprotocol=bool(given.get("proxyprotocol")),
        http=None if protocol == "tcp" else Http(**known(given.get("http"))),
        health_check=HealthCheck(**check),
    )
    return checked(made, where)


def changed_service(service: Service, given: Given) -> Service:
    """With what is given changed. Raises invalid_input."""
    change = known({name: value for name, value in given.items() if name not in ("http", "health_check")})
    made = service.model_copy(update=change)
    if made.protocol == "tcp":
        made.http = None
    else:
        made.http = Http(**(made.http.model_dump() if made.http else {}) | known(given.get("http")))
    made.health_check = changed_check(service.health_check, given.get("health_check") or {})
    return checked(made, "")


def changed_check(check: HealthCheck, given: Given) -> HealthCheck:
    """With what is given changed."""
    now, http = check.model_dump(), given.get("http") or {}
    no_host = {"domain": None} if "domain" in http and http["domain"] is None else {}
    asked = (now["http"] or {}) | known(http) | no_host
    return HealthCheck(**{**now, **known(given), "http": asked or None})


def known(given: Given | None) -> Given:
    """What has a value, at any depth."""
    values = {name: known(value) if isinstance(value, dict) else value for name, value in (given or {}).items()}
    return {name: value for name, value in values.items() if value is not None}


def checked(service: Service, where: str) -> Service:
    """Raises invalid_input with every problem."""
    check = service.health_check
    check.http = (check.http or HttpCheck()) if check.protocol == "http" else None
    ports = {"listen_port": service.listen_port, "destination_port": service.destination_port}
    ports["health_check.port"] = check.port
    problems = [
        (f"{where}{name}", f"must be between 1 and {PORT_MAX}")
        for name, port in ports.items()
        if not 1 <= port <= PORT_MAX
    ]
    for name, (least, most) in LIMITS.items():
        if not least <= getattr(check, name) <= most:
            problems.append((f"{where}health_check.{name}", f"must be between {least} and {most}"))
    if check.http:
        problems += [(f"{where}health_check.http.{name}", text) for name, text in http_problems(check.http)]
    if problems:
        raise invalid_input(*problems)
    return service


def http_problems(http: HttpCheck) -> list[tuple[str, str]]:
    """Field and message of each."""
    problems = []
    if not http.path.startswith("/") or " " in http.path:
        problems.append(("path", "must begin with / and have no spaces"))
    if http.domain and re.search(r"[ %\\]", http.domain):
        problems.append(("domain", "must have no spaces, percent or backslash symbols"))
    wrong = [code for code in http.status_codes if not STATUS_CODE.fullmatch(code)]
    problems += [("status_codes", f"'{code}' is no status code with the wildcards ? and *") for code in wrong]
    return problems
