"""The sums that publishers give for their files, read from their own checksum files."""

import re
from collections.abc import Iterable
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from recipe import Lock
from recipe.problems import Problem, ProblemsError
from recipe.render import Artifact, PublishedFile
from recipe.sums import SumsError, sum_of

SECONDS = (5, 30)
RETRIES = Retry(10, connect=3, read=3, backoff_factor=0.5, backoff_max=8, status_forcelist=(429, 500, 502, 503, 504))
"""For about a minute, or as long as a host asks for (Retry-After)."""
REMEDY = "check that the version is published, then try again"
OF_CONNECTION = re.compile(r"^\S*Connection\(.*?\): ")
FORBIDDEN_REMEDY = (
    "the host may refuse this machine's address, as one of another country, or want a login: try from another machine, or ask a "
    "mirror (lock --mirror, or artifacts.mirror in a stack file)"
)
BUSY_REMEDY = "the host has had too many requests, or is in trouble: it was asked again as it told; try again later"
NETWORK_REMEDY = (
    "check this machine's network, and HTTPS_PROXY where it needs one, or ask a mirror (lock --mirror, or artifacts.mirror in a "
    "stack file); then try again"
)


def published_sums(files: Iterable[PublishedFile], mirror: str) -> Lock:
    """The published sum of each file. Raises ProblemsError where one cannot be had.

    With a mirror, https://HOST/PATH is read at <mirror>/HOST/PATH.
    """
    sums: dict[str, str] = {}
    problems: list[Problem] = []
    unreached: dict[str, str] = {}
    unasked = 0
    with requests.Session() as session:
        for scheme in ("https://", "http://"):
            session.mount(scheme, HTTPAdapter(max_retries=RETRIES))
        for file in files:
            url = _asked(file, mirror)
            host = urlsplit(url).netloc
            try:
                if host not in unreached:
                    sums[file.artifact.url] = _sum(session, url, file)
            except requests.ConnectionError as error:
                unreached[host] = _reason(error)
            except (SumsError, requests.RequestException) as error:
                problems.append(Problem(file.sums_url, _name(file.artifact), "", str(error), _remedy(error)))
            unasked += host in unreached
    if unreached:
        hosts, reasons = ", ".join(unreached), "; ".join(unreached.values())
        problems.append(
            Problem(hosts, f"{unasked} checksum files", "", f"cannot be reached: {reasons}", NETWORK_REMEDY)
        )
    if problems:
        raise ProblemsError(problems)
    return sums


def _asked(file: PublishedFile, mirror: str) -> str:
    return f"{mirror}/{file.sums_url.removeprefix('https://')}" if mirror else file.sums_url


def _sum(session: requests.Session, url: str, file: PublishedFile) -> str:
    response = session.get(url, timeout=SECONDS)
    response.raise_for_status()
    return sum_of(file.artifact.url.rpartition("/")[2], response.text)


def _remedy(error: Exception) -> str:
    """By what the host answered: not every refusal is one of the version."""
    if isinstance(error, requests.exceptions.RetryError):
        return BUSY_REMEDY
    response = error.response if isinstance(error, requests.HTTPError) else None
    return FORBIDDEN_REMEDY if response is not None and response.status_code == requests.codes.forbidden else REMEDY


def _reason(error: requests.ConnectionError) -> str:
    """What is wrong, without the connection, the retries and the URL that the libraries put around it."""
    cause = error.args[0] if error.args else error
    return OF_CONNECTION.sub("", str(getattr(cause, "reason", cause)))


def _name(artifact: Artifact) -> str:
    return f"{artifact.name} {artifact.version}"
