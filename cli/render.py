"""The recipe in one of its forms, for those who build without Pulumi."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import yaml

from clusters.capi import SCHEMES, install_image
from images.labels import content_labels
from images.names import image_name
from images.plan import image_digest, unlocked
from images.stackfile import FULL_VERSION, LOCATIONS, SERVER_TYPES, StackFile
from images.suggest import did_you_mean, full_version
from recipe import Catalog, Lock, Node, Recipe, render
from recipe.catalog import Architecture
from recipe.forms import (
    Form,
    ImageOrder,
    acceptance,
    cloud_init,
    image,
    packer,
    pre_kubeadm_commands,
    script,
    user_data,
)
from recipe.problems import Problem, ProblemsError
from recipe.tarball import SUFFIX, archive_name


@dataclass(frozen=True)
class Wanted:
    """What the command line asks for; options of the node come from a stack file, where one is named."""

    form: Form
    os: str
    kubernetes: str
    architecture: Architecture
    settings: StackFile | None
    url: str = ""


def render_form(wanted: Wanted, catalog: Catalog, lock: Lock) -> str:
    """The text of a form. Raises ProblemsError."""
    refuse_unknown(wanted, catalog, lock)
    node = _node(wanted, wanted.architecture)
    recipe = render(catalog, lock, node)
    missing = [item for item in recipe.artifacts if not item.sha256]
    if missing:
        problem = _problem("--kubernetes", wanted.kubernetes, *unlocked(wanted.kubernetes, missing, catalog, lock))
        raise ProblemsError([problem])
    order = _order(wanted, catalog, lock)
    texts: dict[Form, Callable[[], str]] = {
        "script": lambda: script(node, recipe),
        "acceptance": lambda: acceptance(node, recipe),
        "image": lambda: image(order),
        "cloud-init": lambda: cloud_init(node, recipe, order.mirror),
        "pre-kubeadm-commands": lambda: pre_kubeadm_commands(node, recipe, order.mirror),
        "packer": lambda: packer(node, order),
        "install-image": lambda: _install_image(wanted, catalog, node, order.name),
    }
    return texts[wanted.form]()


def doubt(form: Form, text: str) -> str:
    """What may not go well with a form, or nothing."""
    size = user_data(yaml.safe_load(text)) if form == "pre-kubeadm-commands" else None
    if not size or size.fits_control_plane:
        return ""
    return f"warning: {size}: take options out of the stack file, or keep this to workers"


def _install_image(wanted: Wanted, catalog: Catalog, node: Node, image: str) -> str:
    problems = []
    if not catalog.operating_systems[wanted.os].installimage:
        remedy = "choose one that recipe/catalog.yaml gives a name for installimage"
        problems.append(_problem("--os", wanted.os, "no tarball for installimage can be made of it", remedy))
    if not wanted.url.startswith(SCHEMES):
        remedy = "copy it to a web server, and write --url https://HOST/DIRECTORY"
        problems.append(_problem("--url", wanted.url, "not a URL that the tarball can be downloaded from", remedy))
    if problems:
        raise ProblemsError(problems)
    file = archive_name(catalog, wanted.os, wanted.architecture, image) + SUFFIX
    head = f"# Kubernetes {node.kubernetes} on {node.os}, {node.architecture}\n"
    place = "# HetznerBareMetalMachineTemplate: below spec.template.spec; partitions and swraid are yours to choose\n"
    section = {"installImage": install_image(wanted.url, file)}
    return head + place + yaml.safe_dump(section, sort_keys=False, width=1_000_000)


def _order(wanted: Wanted, catalog: Catalog, lock: Lock) -> ImageOrder:
    system, architecture, settings = catalog.operating_systems[wanted.os], wanted.architecture, wanted.settings
    recipes: dict[str, Recipe] = {name: render(catalog, lock, _node(wanted, name)) for name in catalog.architectures}
    return ImageOrder(
        name=image_name(wanted.os, wanted.kubernetes, image_digest(wanted.os, recipes)),
        base_image=system.image,
        architecture=catalog.architectures[architecture].hcloud,
        server_types=settings.server_types[architecture] if settings else SERVER_TYPES[architecture],
        locations=settings.locations if settings else LOCATIONS,
        ssh_port=settings.ssh_port if settings else 22,
        mirror=settings.mirror_for_servers if settings else "",
        labels=content_labels(wanted.os, system, wanted.kubernetes, architecture),
    )


def refuse_unknown(wanted: Wanted, catalog: Catalog, lock: Lock) -> None:
    """Raise ProblemsError where the catalogue has no such node."""
    problems = []
    if wanted.os not in catalog.operating_systems:
        remedy = did_you_mean(wanted.os, list(catalog.operating_systems))
        problems.append(_problem("--os", wanted.os, "not an operating system of recipe/catalog.yaml", remedy))
    problems += _unserved(catalog, lock, [wanted.kubernetes])
    if problems:
        raise ProblemsError(problems)


def refuse_unserved(catalog: Catalog, lock: Lock, versions: Sequence[str]) -> None:
    """Raise ProblemsError where a version is not a full one of a minor that the catalogue has."""
    problems = _unserved(catalog, lock, versions)
    if problems:
        raise ProblemsError(problems)


def _unserved(catalog: Catalog, lock: Lock, versions: Sequence[str]) -> list[Problem]:
    rule = "not a full version of a Kubernetes minor of recipe/catalog.yaml"
    one_of = f"use one of {', '.join(catalog.kubernetes)}"
    remedies = {
        item: one_of if FULL_VERSION.fullmatch(item) else full_version(item, catalog, lock)
        for item in versions
        if not FULL_VERSION.fullmatch(item) or not catalog.serves(item)
    }
    return [_problem("Kubernetes version", item, rule, remedy) for item, remedy in remedies.items()]


def _node(wanted: Wanted, architecture: Architecture) -> Node:
    os, kubernetes, settings = wanted.os, wanted.kubernetes, wanted.settings
    if settings is None:
        return Node(os, kubernetes, architecture)
    return Node(os, kubernetes, architecture, settings.node, settings.as_of, settings.verification, settings.kubeadm)


def _problem(option: str, value: str, rule: str, remedy: str) -> Problem:
    return Problem("./node-images", option, value, rule, remedy)
