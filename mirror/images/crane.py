"""Put images together and move them between registries, by go-containerregistry's own command."""

from collections.abc import Mapping
from pathlib import Path

from mirror.children import Children
from mirror.errors import MirrorError, UnavailableError
from mirror.images.recipes import PATH, Recipe


class Crane:
    """The command. folder: where it runs."""

    def __init__(self, program: Path, folder: Path, children: Children) -> None:
        self._program = program
        self._folder = folder
        self._children = children

    def assemble(self, layer: Path, recipe: Recipe, arch: str, labels: Mapping[str, str], target: str) -> str:
        """Push an image of one layer under the name `target`; return its digest."""
        self._run("append", "--oci-empty-base", f"--new_layer={layer}", f"--new_tag={target}")
        options = [f"--label={name}={value}" for name, value in labels.items()]
        options += [f"--entrypoint={word}" for word in recipe.entrypoint]
        options += [f"--cmd={word}" for word in recipe.command]
        options += [f"--user={recipe.user}", f"--env=PATH={PATH}", "--workdir=/", f"--set-platform=linux/{arch}"]
        return self._run("mutate", target, *options, f"--tag={target}").rpartition("@")[2]

    def publish(self, sources: list[str], target: str) -> None:
        """Give a tag to an index of these images, copied from wherever they are."""
        manifests = [f"--manifest={source}" for source in sources]
        self._run("index", "append", *manifests, f"--tag={target}")

    def digest(self, name: str, arch: str, seconds: float) -> str:
        """Ask a registry for the digest of an image. Raises UnavailableError where it does not say."""
        try:
            return self._run("digest", f"--platform=linux/{arch}", name, seconds=seconds)
        except MirrorError as error:
            raise UnavailableError(error.message) from None

    def manifest(self, name: str) -> str:
        """Return the manifest of an image, as JSON."""
        return self._run("manifest", name)

    def _run(self, *arguments: str, seconds: float | None = None) -> str:
        ended = self._children.run([self._program, *arguments], self._folder, seconds=seconds)
        if ended.code == 0:
            return ended.output.strip()
        words = (ended.errors.strip().splitlines() or [f"exit code {ended.code}"])[-1]
        reason = f"no answer within {seconds:.0f} s" if ended.code == -9 and seconds else words.removeprefix("Error: ")
        raise MirrorError(f"crane {' '.join(arguments[:1])}: {reason}")
