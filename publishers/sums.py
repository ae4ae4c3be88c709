"""The sums that publishers give for their files, read from their own checksum files."""

from collections.abc import Iterable

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from recipe import Lock
from recipe.problems import Problem, ProblemsError
from recipe.render import Artifact, PublishedFile
from recipe.sums import SumsError, sum_of

SECONDS = (5, 30)
RETRIES = Retry(3, backoff_factor=0.5, status_forcelist=(429, 500, 502, 503, 504))
REMEDY = "check that the version is published, and the network; then try again"


def published_sums(files: Iterable[PublishedFile], mirror: str) -> Lock:
    """The published sum of each file. Raises ProblemsError where one cannot be had.

    With a mirror, https://HOST/PATH is read at <mirror>/HOST/PATH.
    """
    sums: dict[str, str] = {}
    problems: list[Problem] = []
    with requests.Session() as session:
        session.mount("http", HTTPAdapter(max_retries=RETRIES))
        for file in files:
            try:
                sums[file.artifact.url] = _sum(session, file, mirror)
            except (SumsError, requests.RequestException) as error:
                problems.append(Problem(file.sums_url, _name(file.artifact), "", str(error), REMEDY))
    if problems:
        raise ProblemsError(problems)
    return sums


def _sum(session: requests.Session, file: PublishedFile, mirror: str) -> str:
    url = f"{mirror}/{file.sums_url.removeprefix('https://')}" if mirror else file.sums_url
    response = session.get(url, timeout=SECONDS)
    response.raise_for_status()
    return sum_of(file.artifact.url.rpartition("/")[2], response.text)


def _name(artifact: Artifact) -> str:
    return f"{artifact.name} {artifact.version}"
