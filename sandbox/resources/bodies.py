"""Bodies of requests that several resources take in the same form."""

from __future__ import annotations

from pydantic import Field

from sandbox.api.http import Body
from sandbox.resources.addresses import DomainName
from sandbox.resources.labels import LabelDict


class NameAndLabelsBody(Body):
    """``PUT`` of a resource of which only these two can be changed."""

    name: str | None = Field(None, min_length=1)
    labels: LabelDict | None = None


class ProtectionBody(Body):
    """``.../actions/change_protection``."""

    delete: bool | None = None


class DnsPtrBody(Body):
    """``.../actions/change_dns_ptr``: null takes the name back."""

    ip: str
    dns_ptr: DomainName | None
