"""Certificates over HTTP."""

from __future__ import annotations

from typing import Any

from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from sandbox.api.http import (
    Body,
    body_of,
    by_field,
    by_labels,
    cloud_of,
    in_order,
    iso,
    no_content,
    page,
    path_id,
    reply,
)
from sandbox.cloud import Cloud
from sandbox.errors import invalid_input
from sandbox.resources.actions import responses as actions
from sandbox.resources.actions.responses import reply_action
from sandbox.resources.addresses import check_domain_name
from sandbox.resources.bodies import NameAndLabelsBody
from sandbox.resources.certificates.models import Certificate, CertificateType
from sandbox.resources.labels import LabelDict

TYPES = ("uploaded", "managed")
REQUIRED = {"uploaded": ("certificate", "private_key"), "managed": ("domain_names",)}


class CreateBody(Body):
    """``POST /certificates``."""

    name: str = Field(min_length=1)
    type: CertificateType = "uploaded"
    certificate: str | None = None
    private_key: str | None = None
    domain_names: list[str] | None = None
    labels: LabelDict = {}


def shape(cloud: Cloud, certificate: Certificate) -> dict[str, Any]:
    """As in the API."""
    users = cloud.certificates.users(certificate.id)
    return {
        "id": certificate.id,
        "name": certificate.name,
        "type": certificate.type,
        "certificate": certificate.certificate,
        "fingerprint": certificate.fingerprint,
        "not_valid_before": iso(certificate.not_valid_before),
        "not_valid_after": iso(certificate.not_valid_after),
        "domain_names": certificate.domain_names,
        "status": certificate.issuance.model_dump() if certificate.issuance else None,
        "labels": certificate.labels,
        "used_by": [{"type": kind, "id": number} for kind, number in users],
        "created": iso(certificate.created),
    }


def require_complete(body: CreateBody) -> None:
    """What the type needs beside the name. Raises invalid_input."""
    missing = [name for name in REQUIRED[body.type] if not getattr(body, name)]
    if missing:
        raise invalid_input(*((name, f"is required for certificates of type {body.type}") for name in missing))
    for number, name in enumerate(body.domain_names or []):
        try:
            check_domain_name(name.removeprefix("*."))
        except ValueError as error:
            raise invalid_input(("domain_names", f"{number}: {error}")) from error


async def list_all(request: Request) -> Response:
    """``GET /certificates``."""
    cloud = cloud_of(request)
    kept = by_field(request, by_labels(request, cloud.certificates.all), "name")
    kept = by_field(request, kept, "type", TYPES)
    return page(request, "certificates", in_order(request, kept), lambda item: shape(cloud, item))


async def create(request: Request) -> Response:
    """``POST /certificates``."""
    body, cloud = await body_of(request, CreateBody), cloud_of(request)
    require_complete(body)
    certificates = cloud.certificates
    if body.type == "uploaded":
        made = certificates.upload(body.name, str(body.certificate), str(body.private_key), body.labels)
        return reply(201, certificate=shape(cloud, made), action=None)
    made, action = certificates.request(body.name, body.domain_names or [], body.labels)
    return reply(201, certificate=shape(cloud, made), action=actions.shape(action))


async def get(request: Request) -> Response:
    """``GET /certificates/{id}``."""
    cloud = cloud_of(request)
    return reply(certificate=shape(cloud, cloud.certificates.get(path_id(request))))


async def update(request: Request) -> Response:
    """``PUT /certificates/{id}``."""
    body, cloud = await body_of(request, NameAndLabelsBody), cloud_of(request)
    certificate = cloud.certificates.update(cloud.certificates.get(path_id(request)), body.name, body.labels)
    return reply(certificate=shape(cloud, certificate))


async def delete(request: Request) -> Response:
    """``DELETE /certificates/{id}``."""
    certificates = cloud_of(request).certificates
    certificates.delete(certificates.get(path_id(request)))
    return no_content()


async def retry(request: Request) -> Response:
    """``POST /certificates/{id}/actions/retry``."""
    certificates = cloud_of(request).certificates
    return reply_action(certificates.retry(certificates.get(path_id(request))))
