"""Credentials of registries, for the build server that pulls images; an image holds none, and what is said of them shows none."""

import json
import re

from images.stackfile import LOGINS, PROJECT
from recipe.problems import Problem

HOST, LOGIN = re.compile(r"[a-z0-9.-]+(:\d+)?"), re.compile(r"[^:\n]+:[^\n]+")
REMEDY = f"set it with: ./pulumiw config set --secret --path '{PROJECT}:{LOGINS}[\"HOST\"]' --stack STACK"


def problems_of_logins(text: str, label: str) -> list[Problem]:
    """Of the secret as the engine gives it, decrypted: a JSON map of hosts to `user:password`."""
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        return [_problem(label, "", "not a map of registry hosts to USER:PASSWORD")]
    hosts = [_problem(label, "", "a key is not a registry's host name") for host in found if not HOST.fullmatch(host)]
    wrong = [host for host, login in found.items() if not (isinstance(login, str) and LOGIN.fullmatch(login))]
    return [
        *hosts[:1],
        *(_problem(label, f'["{host}"]', "not USER:PASSWORD") for host in wrong if HOST.fullmatch(host)),
    ]


def _problem(label: str, place: str, said: str) -> Problem:
    return Problem(label, f"{PROJECT}:{LOGINS}{place}", "(not shown)", said, REMEDY)
