"""What each error code of Hetzner Cloud's API calls for: another place for the server, a wait, or the end.

https://docs.hetzner.cloud/reference/cloud#description/errors, and the codes of the operations that this program calls.
docs/trouble.md has the same table.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Answer = Literal["elsewhere", "wait", "give up"]
"""`elsewhere` is for the creation of a server alone: whatever else is refused like that ends."""

PLACE_FIELDS = frozenset({"server_type", "location", "datacenter", "image"})
"""What another server type or location may cure. A name, a label or the user data is as wrong everywhere."""

SERVER_TROUBLE = 500
"""From this HTTP status on, an answer that is none of the API's own (a gateway's page) is one that passes."""


@dataclass(frozen=True)
class Code:
    """`why` is for people who read the table."""

    answer: Answer
    why: str


CODES: Mapping[str, Code] = {
    "resource_unavailable": Code("elsewhere", "out of stock there now"),
    "placement_error": Code("elsewhere", "no host has room there now"),
    "resource_limit_exceeded": Code(
        "elsewhere",
        "a quota, which may be one of dedicated cores alone: the next type is tried, once; where all are refused, it is waited "
        "for other builds of the stack (`timeouts.room`)",
    ),
    "unsupported_error": Code("elsewhere", "that type or place cannot do it"),
    "service_error": Code("elsewhere", "an error within a service of that place"),
    "action_failed": Code("elsewhere", "the server could not be made there, without a reason given"),
    "invalid_input": Code(
        "elsewhere",
        "a type that a location does not offer, or whose disk is too small; where the API names another field, it ends at once",
    ),
    "locked": Code("wait", "an action still works on it"),
    "conflict": Code("wait", "it was changed meanwhile"),
    "resource_in_use": Code("wait", "a firewall is in use until its server is gone"),
    "maintenance": Code("wait", "maintenance"),
    "rate_limit_exceeded": Code("wait", "the limit of requests, until `RateLimit-Reset`"),
    "server_error": Code("wait", "an error within the API"),
    "bad_gateway": Code("wait", "what stands before the API does not reach it; so is any page of a gateway"),
    "unavailable": Code("wait", "a service, or an image, is not available at the moment"),
    "timeout": Code("wait", "the API was too slow"),
    "json_error": Code("give up", "a fault of this program"),
    "unauthorized": Code("give up", "the token is of no project"),
    "token_readonly": Code("give up", "the token may only read"),
    "forbidden": Code("give up", "the token may not do it"),
    "not_found": Code("give up", "it is gone; what was to be deleted is done"),
    "method_not_allowed": Code("give up", "a fault of this program, or no such API"),
    "uniqueness_error": Code(
        "give up", "the name is taken: what this stack made is taken up, anything else is left alone"
    ),
    "deprecated_api_endpoint": Code("give up", "this program is too old for the API"),
    "protected": Code("give up", "somebody protected it"),
    "primary_ip_assigned": Code("give up", "never asked for: no primary IP is named"),
    "primary_ip_datacenter_mismatch": Code("give up", "never asked for: no primary IP is named"),
    "primary_ip_version_mismatch": Code("give up", "never asked for: no primary IP is named"),
    "server_already_added": Code("give up", "never asked for: a firewall is made alone"),
    "incompatible_network_type": Code("give up", "never asked for: a firewall is made alone"),
    "firewall_resource_not_found": Code("give up", "never asked for: a firewall is made alone"),
}

_IN_A_TEXT = re.compile(r"\(([a-z_]+|5\d\d)(?:, [^()]*)?\)")
"""As every client of the API ends a message: `server is locked (locked, 1a2b3c)`."""


def answer_to(code: str | int, details: object = None) -> Answer:
    """What an error calls for, by its code and the details that the API gives with it. An unknown code ends."""
    known = CODES.get(str(code))
    if known is None:
        return "wait" if str(code).isdecimal() and int(code) >= SERVER_TROUBLE else "give up"
    fields = _fields(details)
    if code == "invalid_input" and fields and not PLACE_FIELDS & fields:
        return "give up"
    return known.answer


def passes(error: str) -> bool:
    """Whether an error, as a client of the API words it, has a code that is waited for."""
    return any(answer_to(code) == "wait" for code in _IN_A_TEXT.findall(error))


def _fields(details: object) -> set[str]:
    """Those that an `invalid_input` names."""
    fields: Any = details.get("fields") if isinstance(details, Mapping) else None
    if not isinstance(fields, Sequence):
        return set()
    return {str(item["name"]) for item in fields if isinstance(item, Mapping) and "name" in item}
