"""One Hetzner Cloud project, with all that builds ask of it."""

from adapters.hetzner.holdings import Holdings, holdings
from adapters.hetzner.publication import Publication
from adapters.hetzner.servers import Servers


class Cloud(Servers, Publication):
    """Servers that come and go, and the snapshots that stay."""

    def holdings(self, stack: str) -> Holdings:
        """What the project has now. Raises CloudError when the API does not answer or refuses."""
        with self.in_words(of_lists=True):
            return holdings(self.client, stack)
