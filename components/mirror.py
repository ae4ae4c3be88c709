"""The artifact mirror, where it is on this machine."""

import requests

from adapters.hetzner.errors import CloudError, is_local


def check_local_mirror(url: str | None) -> None:
    """Raise CloudError where the artifact mirror is on this machine and does not answer: every step would fail later."""
    if url is None or not is_local(url):
        return
    try:
        requests.head(url, timeout=10)
    except requests.RequestException as error:
        raise CloudError(
            f"the artifact mirror {url} does not answer ({type(error).__name__}).\n"
            "    Start it (make sandbox-start), or correct artifacts.mirror in the stack file"
        ) from error
