"""A real HTTP server that plays the hosts of the projects that publish files, as a mirror would serve them."""

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from recipe import Catalog
from recipe.render import published_files


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None: ...


@dataclass
class Publisher:
    """`url` is the base of the mirror, `folder` what it serves, as HOST/PATH."""

    url: str
    folder: Path

    def file(self, url: str) -> Path:
        return self.folder / url.removeprefix("https://")


def sum_of_test(url: str) -> str:
    """The sum that this publisher gives for a file."""
    return hashlib.sha256(url.encode()).hexdigest()


@contextmanager
def publishing(folder: Path, catalog: Catalog, *versions: str) -> Iterator[Publisher]:
    """Publishes the checksum file of everything that Kubernetes versions need, as each project writes it."""
    for item in published_files(catalog, {}, versions):
        file = folder / item.sums_url.removeprefix("https://")
        file.parent.mkdir(parents=True, exist_ok=True)
        name, digest = item.artifact.url.rpartition("/")[2], sum_of_test(item.artifact.url)
        with file.open("a") as stream:
            stream.write(digest if "dl.k8s.io" in item.sums_url else f"{digest}  {name}\n")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield Publisher(f"http://127.0.0.1:{server.server_port}", folder)
    server.shutdown()
    thread.join()
    server.server_close()
