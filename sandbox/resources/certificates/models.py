"""Certificates: uploaded ones are kept as they are; managed ones cannot be issued, as there are no DNS zones here.

Their private keys are kept in the state file, and shown to nobody.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Literal

from pydantic import BaseModel

from sandbox.errors import CloudError, not_found, not_unique
from sandbox.resources.actions.models import Action, Actions, Failure, Report, failure_of, unlocked
from sandbox.resources.certificates.pem import read
from sandbox.store import Collection, Record, Store

CertificateType = Literal["uploaded", "managed"]
NO_ZONE = CloudError("dns_zone_not_found", "DNS zone not found: the sandbox has no DNS zones")


class Issuance(BaseModel):
    """How far a managed certificate is."""

    issuance: Literal["pending", "completed", "failed"] = "pending"
    renewal: Literal["scheduled", "pending", "failed", "unavailable"] = "unavailable"
    error: Failure | None = None


class Certificate(Record):
    """One certificate with its chain; a managed one has none before it is issued."""

    name: str
    type: CertificateType
    certificate: str | None = None
    private_key: str | None = None
    fingerprint: str | None = None
    not_valid_before: datetime | None = None
    not_valid_after: datetime | None = None
    domain_names: list[str]
    issuance: Issuance | None = None
    labels: dict[str, str] = {}
    created: datetime


class Certificates:
    """The certificates of the project. ``users`` tells what uses one: type and id of each resource."""

    def __init__(self, store: Store, actions: Actions) -> None:
        self.all = Collection(store, "certificate", Certificate)
        self.actions = actions
        self.users: Callable[[int], list[tuple[str, int]]] = lambda _certificate: []

    def get(self, certificate_id: int) -> Certificate:
        """Raises not_found."""
        if certificate := self.all.get(certificate_id):
            return certificate
        raise not_found("certificate", certificate_id)

    def upload(self, name: str, certificate: str, private_key: str, labels: dict[str, str]) -> Certificate:
        """Raises invalid_input, uniqueness_error."""
        contents = read(certificate, private_key)
        self.require_free_name(name)
        made = Certificate(
            id=self.all.next_id(),
            name=name,
            type="uploaded",
            certificate=certificate,
            private_key=private_key,
            fingerprint=contents.fingerprint,
            not_valid_before=contents.not_valid_before,
            not_valid_after=contents.not_valid_after,
            domain_names=contents.domain_names,
            labels=labels,
            created=datetime.now(UTC),
        )
        return self.all.save(made)

    def request(self, name: str, domain_names: list[str], labels: dict[str, str]) -> tuple[Certificate, Action]:
        """A managed one. Its action fails as at Hetzner where the domain has no zone."""
        self.require_free_name(name)
        made = Certificate(
            id=self.all.next_id(),
            name=name,
            type="managed",
            domain_names=domain_names,
            issuance=Issuance(),
            labels=labels,
            created=datetime.now(UTC),
        )
        self.all.save(made)
        return made, self.issue(made, "create_certificate")

    def retry(self, certificate: Certificate) -> Action:
        """Only for a managed one that could not be issued."""
        if certificate.issuance is None:
            raise CloudError("unsupported_error", "only managed certificates are issued: this one was uploaded")
        self.require_unlocked(certificate)
        if certificate.issuance.issuance != "failed":
            raise CloudError("unsupported_error", "neither issuance nor renewal of the certificate has failed")
        return self.issue(certificate, "issue_certificate")

    def issue(self, certificate: Certificate, command: str) -> Action:
        """Fails in the action, which is where clients are told."""
        self.note(certificate, Issuance())
        action = self.actions.begin(command, ("certificate", certificate.id))
        self.actions.spawn(self.fail(certificate, action))
        return action

    async def fail(self, certificate: Certificate, action: Action) -> None:
        """The certificate shows why, as its action does."""

        async def work(_report: Report) -> None:
            raise NO_ZONE

        await self.actions.follow(action, work)
        self.note(certificate, Issuance(issuance="failed", error=action.error))

    def note(self, certificate: Certificate, issuance: Issuance) -> None:
        """Kept at once."""
        certificate.issuance = issuance
        self.all.save(certificate)

    def recover(self) -> None:
        """After a kill: what was to be issued is not."""
        for certificate in self.all:
            if certificate.issuance and certificate.issuance.issuance == "pending":
                self.note(certificate, Issuance(issuance="failed", error=failure_of(NO_ZONE)))

    def update(self, certificate: Certificate, name: str | None, labels: dict[str, str] | None) -> Certificate:
        """Change what is given."""
        if name is not None and name != certificate.name:
            self.require_free_name(name)
            certificate.name = name
        certificate.labels = certificate.labels if labels is None else labels
        return self.all.save(certificate)

    def delete(self, certificate: Certificate) -> None:
        """Raises locked, resource_in_use."""
        self.require_unlocked(certificate)
        for kind, number in self.users(certificate.id):
            raise CloudError("resource_in_use", f"certificate is still in use by {kind} {number}")
        self.all.remove(certificate)

    def require_unlocked(self, certificate: Certificate) -> None:
        """Raises locked while it is being issued."""
        unlocked(self.actions.running_on("certificate", certificate.id), "certificate")

    def require_free_name(self, name: str) -> None:
        """Raises uniqueness_error."""
        if any(certificate.name == name for certificate in self.all):
            raise not_unique("name", "certificate name is already used")
