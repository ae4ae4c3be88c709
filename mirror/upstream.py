"""Fetch files from the hosts that publish them, and check each against its published sum."""

import hashlib
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from mirror.errors import MirrorError, MismatchError, UnavailableError
from mirror.store import Artifact, Store

REMEMBER_SECONDS = 60.0
TIMEOUT = httpx.Timeout(15.0, connect=4.0)
TRIES = 3


class Upstream:
    """Downloads into a store. Safe to use from several threads.

    base: another mirror to ask instead of the hosts themselves, with the same paths under <base>/<host>/<path>.
    """

    def __init__(self, store: Store, base: str | None = None) -> None:
        self._store = store
        self._base = base.rstrip("/") if base else None
        self._client = httpx.Client(timeout=TIMEOUT, follow_redirects=True, trust_env=base is None)
        self._silent_until: dict[str, float] = {}
        self._stopping = threading.Event()

    def fetch(self, url: str, published: str) -> Artifact:
        """Download `url` and keep it if it has the published sum.

        Raises UnavailableError where the host does not answer or does not have it, MismatchError where the sum differs.
        """
        target = f"{self._base}/{url.removeprefix('https://')}" if self._base else url
        host = urlsplit(target).netloc
        self._refuse_silent(host)
        with self._store.workdir() as work:
            part = work / "part"
            try:
                digest = self._try_download(target, part)
            except (httpx.ConnectError, httpx.TimeoutException) as error:
                self._silent_until[host] = time.monotonic() + REMEMBER_SECONDS
                raise UnavailableError(f"{url}: {host} does not answer ({error or type(error).__name__})") from None
            except httpx.HTTPError as error:
                raise UnavailableError(f"{url}: download broke off ({error or type(error).__name__})") from None
            if digest != published:
                raise MismatchError(
                    f"{url}: not the published file\n  expected sha256 {published}\n  got      sha256 {digest}",
                    f"it was thrown away; if {host} is right, correct the line in the lock",
                )
            return self._store.keep(part, url, "upstream")

    def stop(self) -> None:
        """End running downloads."""
        self._stopping.set()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _refuse_silent(self, host: str) -> None:
        if time.monotonic() < self._silent_until.get(host, 0.0):
            raise UnavailableError(f"{host} did not answer a moment ago")

    def _try_download(self, target: str, part: Path) -> str:
        # A line that breaks once is no reason to compile for minutes.
        for _ in range(TRIES - 1):
            try:
                return self._download(target, part)
            except (httpx.RemoteProtocolError, httpx.ReadError):
                continue
        return self._download(target, part)

    def _download(self, target: str, part: Path) -> str:
        digest = hashlib.sha256()
        with (
            self._client.stream("GET", target, headers={"accept-encoding": "identity"}) as response,
            part.open("wb") as file,
        ):
            if response.status_code != httpx.codes.OK:
                raise UnavailableError(f"{target}: answered {response.status_code} {response.reason_phrase}")
            for chunk in response.iter_bytes(1 << 20):
                if self._stopping.is_set():
                    raise MirrorError(f"{target}: interrupted")
                file.write(chunk)
                digest.update(chunk)
        return digest.hexdigest()
