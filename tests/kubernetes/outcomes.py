"""What was tried and what came of it, and the page that says so. Pure, but for the two files, the clock and the commit."""

import subprocess
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import yaml
from pydantic import BaseModel, TypeAdapter

from recipe.gossfile import Level

HERE = Path(__file__).parent
OUTCOMES = HERE / "outcomes.yaml"
BROKEN = HERE.parent / "mutation" / "images.yaml"
PAGE = Path("docs/ran-kubernetes.md")
JOIN = "join "
"""How the name of a trial in which a second server joins begins."""
FORM = "form: "
"""How the name of a trial of another form than the program's own begins."""
READY = "ready: "
"""How the name begins under which `python -m benchmarks ready` records its figures."""
FORMS = {
    "script": "built by `examples/curl/node-image.sh`, and tested on a server of the snapshot before it got its name",
    "packer": "built by Packer, and tested by `node-image.sh verify` on a server of the snapshot before it got its name",
    "cloud-init": "installed at the first boot of a container, whose disk then booted and ran kubeadm",
    "pre-kubeadm-commands": "the same",
    "tarball": "written to a disk as installimage does, which then booted through GRUB and ran kubeadm",
}
"""Form -> how it comes to a node."""


class Outcome(BaseModel):
    """One trial. `level`: the one that its tests had to reach. `seconds`: what the export `tests` says of the booted server.

    `problem`: empty where it came out as it must.
    """

    name: str
    date: str
    commit: str
    accelerator: str
    minutes: float
    level: Level = "cluster"
    seconds: dict[str, float] = {}
    problem: str = ""

    @classmethod
    def now(cls, began: float, **facts: Any) -> Self:
        """Of a trial of the present commit that ends now, and that began at this time of the monotonic clock."""
        commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True)
        return cls(
            date=datetime.now(UTC).date().isoformat(),
            commit=commit.stdout.strip(),
            minutes=round((time.monotonic() - began) / 60, 1),
            **facts,
        )

    @property
    def form(self) -> str:
        """The one that it is of; empty where it is of none."""
        return self.name.removeprefix(FORM) if self.name.startswith(FORM) else ""

    @property
    def image(self) -> bool:
        """Whether it is of a sound image, which nothing disturbed, on one server."""
        return ":" not in self.name and not self.name.startswith(JOIN)


class BrokenImage(BaseModel):
    """An image that is broken on purpose; see tests/mutation/images.yaml."""

    name: str
    node: dict[str, Any] = {}
    step: str = ""
    where: str
    fails: list[str]
    said: str


def broken_images() -> list[BrokenImage]:
    """All of them."""
    return TypeAdapter(list[BrokenImage]).validate_python(yaml.safe_load(BROKEN.read_text()))


def known() -> list[Outcome]:
    """What was recorded so far."""
    found = yaml.safe_load(OUTCOMES.read_text()) if OUTCOMES.exists() else []
    return TypeAdapter(list[Outcome]).validate_python(found or [])


def record(outcome: Outcome) -> None:
    """In the place of an earlier one of the same name."""
    kept = {**{item.name: item for item in known()}, outcome.name: outcome}
    rows = [item.model_dump(exclude_defaults=True) for _, item in sorted(kept.items())]
    OUTCOMES.write_text(yaml.safe_dump(rows, sort_keys=False, width=120))
    PAGE.write_text(page(list(kept.values())))


def page(outcomes: Sequence[Outcome]) -> str:
    """docs/ran-kubernetes.md."""
    by_name = {item.name: item for item in sorted(outcomes, key=lambda item: item.name)}
    images = [item for item in by_name.values() if item.image]
    broken = [by_name[f"broken: {image.name}"] for image in broken_images() if f"broken: {image.name}" in by_name]
    joins = [item for name, item in by_name.items() if name.startswith(JOIN)]
    head = "| Image | Published after | SSH | kubelet | Ready | Service by name | after a restart | With | When |"
    rows = [_row(item) for item in images] or ["| none yet | | | | | | | | |"]
    forms = [by_name[FORM + form] for form in FORMS if FORM + form in by_name]
    quick = [item for name, item in by_name.items() if name.startswith(READY)]
    troubles = [item for name, item in by_name.items() if name.startswith("trouble: ")]
    return "\n".join(
        [
            "# Which images have run Kubernetes",
            "",
            "Made by `python -m tests.kubernetes`; what is not here was not tried to its end. Each image was built in a",
            "container of the sandbox, and proved at the level `cluster` ([recipe.md](recipe.md#how-far-the-tests-go)) on a",
            "server of its snapshot with a kernel of its own; where `boot` stands, at that level alone. Seconds are those of",
            "[the export](exports.md#the-seconds-of-a-test); where a processor is emulated (tcg) they are about ten times those",
            "of a real server, and other work on the machine adds to them: rows of one page cannot be compared.",
            "",
            head,
            "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
            *rows,
            "",
            "A second server of the same snapshot joined the cluster of the first one (level `join`):",
            "",
            "| Image | Published after | kubeadm join until Ready | With | When |",
            "| --- | --- | --- | --- | --- |",
            *([_join_row(item) for item in joins] or ["| none yet | | | | |"]),
            "",
            "Nodes of the other [forms](forms.md), with kernels of their own. What installs its packages at the first boot did",
            "so in a container: an emulated processor needs half an hour for it, as in the next table. Ready is in seconds since",
            "`kubeadm init` (script, Packer), or since the server was asked for or switched on:",
            "",
            "| Form | How it came to a node | Ready | Result | With | When |",
            "| --- | --- | --- | --- | --- | --- |",
            *([_form_row(item) for item in forms] or ["| none yet | | | | | |"]),
            "",
            "From the creation of a server until it is a Ready node of a new cluster: one of the snapshot, and one of the stock",
            "image with [`preKubeadmCommands`](forms.md#prekubeadmcommands), in turns, on kernels of their own",
            "(`python -m benchmarks ready`):",
            "",
            "| Image | Snapshot: SSH | Ready | Stock image: SSH | Ready | Ratio | With | When |",
            "| --- | --- | --- | --- | --- | --- | --- | --- |",
            *([_quick_row(item) for item in quick] or ["| none yet | | | | | | | |"]),
            "",
            "Images that were broken on purpose ([images.yaml](../tests/mutation/images.yaml)), and were not published:",
            "",
            "| What was broken | Refused after | When |",
            "| --- | --- | --- |",
            *_short_rows(broken),
            "",
            "In these trials a first `up` is disturbed while its tests use a cluster",
            "([troubles.py](../tests/kubernetes/troubles.py)). It must end by itself, a second one at the level `boot` must",
            "publish the image, and nothing may be left over:",
            "",
            "| What was done | Result | When |",
            "| --- | --- | --- |",
            *_short_rows(troubles),
            "",
        ]
    )


def _row(item: Outcome) -> str:
    figures = [f"{item.seconds[key]:.0f} s" if key in item.seconds else "-" for key in _FIGURES]
    cells = [item.name, _result(item), *figures, item.accelerator, item.date]
    return f"| {' | '.join(cells)} |"


def _join_row(item: Outcome) -> str:
    figure = f"{item.seconds['join']:.0f} s" if "join" in item.seconds else "-"
    return f"| {item.name.removeprefix(JOIN)} | {_result(item)} | {figure} | {item.accelerator} | {item.date} |"


def _form_row(item: Outcome) -> str:
    figures = ", ".join(
        f"{name} {figure:.0f} s" if name != "ready" else f"{figure:.0f} s" for name, figure in item.seconds.items()
    )
    cells = [item.form, FORMS[item.form], figures or "-", _result(item), item.accelerator, item.date]
    return f"| {' | '.join(cells)} |"


def _quick_row(item: Outcome) -> str:
    figures = [f"{item.seconds[key]:.0f} s" for key in ("image ssh", "image ready", "stock ssh", "stock ready")]
    ratio = f"{item.seconds['stock ready'] / item.seconds['image ready']:.1f} x"
    cells = [item.name.removeprefix(READY), *figures, ratio, item.accelerator, item.date]
    return f"| {' | '.join(cells)} |"


def _short_rows(items: Sequence[Outcome]) -> list[str]:
    rows = [f"| {item.name.partition(': ')[2]} | {_result(item)} | {item.date} |" for item in items]
    return rows or ["| none was tried yet | | |"]


_FIGURES = ("ssh", "kubelet", "ready", "cluster", "restart")


def _result(item: Outcome) -> str:
    level = "" if item.level == "cluster" else f", {item.level}"
    return f"**no**: {item.problem}" if item.problem else f"{item.minutes:.0f} min{level}"


def cell(os: str, kubernetes: str, architecture: str = "amd64") -> str:
    """The name of a trial of an image."""
    return f"{os} {kubernetes} {architecture}"


def joined(os: str, kubernetes: str) -> str:
    """The name of a trial in which a second server joins."""
    return JOIN + cell(os, kubernetes)


def quickness(os: str, kubernetes: str) -> str:
    """The name under which the figures of `python -m benchmarks ready` are kept."""
    return READY + cell(os, kubernetes)


def node(broken: BrokenImage | None, registry: str, level: Level = "cluster") -> Mapping[str, Any]:
    """node-images:node of a trial: where it makes a cluster, the images of the control plane are on it, from this registry."""
    ours = {"preloadImages": level != "boot", "registryMirrors": {"registry.k8s.io": [registry]}}
    theirs = broken.node if broken else {}
    return {**ours, **theirs, **({"steps": {"after": "own/broken"}} if broken and broken.step else {})}
