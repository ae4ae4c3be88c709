"""Whether the hosts of files and packages give them to a server: some refuse the addresses of some of Hetzner's servers."""

import shlex
from collections.abc import Mapping, Sequence
from contextlib import suppress

from components.ssh import run

SECONDS = 60

ASK = r"""
ask() {
    local answer
    answer=$(curl --silent --location --range 0-0 --max-filesize 1 --connect-timeout 5 --max-time 20 --output /dev/null \
        --write-out '%{http_code}' "$1")
    [ "$answer" != 403 ] || echo "$1"
}
suite=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
for url in "$@" $(apt-get --print-uris update 2>/dev/null | sed -n "s/^'\(http[^']*\)'.*/\1/p"); do
    case $url in */) url=${url}dists/$suite/InRelease ;; esac
    ask "$url" &
done
wait
"""
"""Prints each URL that is answered with 403. One that ends with / is an archive of packages."""


def refusing(host: str, port: int, keys: Mapping[str, str], urls: Sequence[str]) -> list[str]:
    """Those of the URLs, and of the server's own package sources, that refuse it. What does not answer is no refusal."""
    if not urls:
        return []
    printed = bytearray()
    with suppress(TimeoutError):
        run(host, port, keys, f"bash -s -- {shlex.join(urls)}", ASK, printed.extend, SECONDS)
        return sorted(set(printed.decode().split()))
    return []


def refused(address: str, urls: Sequence[str], fate: str) -> str:
    """A warning for people."""
    return (
        f"warning: {', '.join(urls)} answered 403 to the build server at {address}. Its host may refuse that address: some of "
        f"Hetzner's are taken for those of another country. {fate}"
    )
