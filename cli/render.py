"""The recipe in one of its forms, for those who build without Pulumi."""

from collections.abc import Sequence
from dataclasses import dataclass

from images.labels import content_labels
from images.plan import image_digest, image_name
from images.stackfile import FULL_VERSION, LOCATIONS, SERVER_TYPES, StackFile
from recipe import Catalog, Lock, Node, Recipe, render
from recipe.catalog import Architecture
from recipe.forms import Form, ImageOrder, acceptance, cloud_init, image, packer, pre_kubeadm_commands, script
from recipe.problems import Problem, ProblemsError


@dataclass(frozen=True)
class Wanted:
    """What the command line asks for; options of the node come from a stack file, where one is named."""

    form: Form
    os: str
    kubernetes: str
    architecture: Architecture
    settings: StackFile | None


def render_form(wanted: Wanted, catalog: Catalog, lock: Lock) -> str:
    """The text of a form. Raises ProblemsError."""
    refuse_unknown(wanted, catalog)
    node = _node(wanted, wanted.architecture)
    recipe = render(catalog, lock, node)
    unlocked = [item for item in recipe.artifacts if not item.sha256]
    if unlocked:
        rule = "recipe/lock.yaml has no sha256 of its files, and nothing unverified goes onto a node"
        raise ProblemsError(
            [_problem("--kubernetes", wanted.kubernetes, rule, f"add it: ./node-images lock {wanted.kubernetes}")]
        )
    order = _order(wanted, catalog, lock)
    match wanted.form:
        case "script":
            return script(node, recipe)
        case "acceptance":
            return acceptance(node, recipe)
        case "image":
            return image(order)
        case "cloud-init":
            return cloud_init(node, recipe, order.mirror)
        case "pre-kubeadm-commands":
            return pre_kubeadm_commands(node, recipe, order.mirror)
        case "packer":
            return packer(node, order)


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
        mirror=settings.mirror if settings else "",
        labels=content_labels(wanted.os, system, wanted.kubernetes, architecture),
    )


def refuse_unknown(wanted: Wanted, catalog: Catalog) -> None:
    """Raise ProblemsError where the catalogue has no such node."""
    problems = []
    if wanted.os not in catalog.operating_systems:
        known = ", ".join(catalog.operating_systems)
        problems.append(
            _problem("--os", wanted.os, "not an operating system of recipe/catalog.yaml", f"use one of {known}")
        )
    problems += _unserved(catalog, [wanted.kubernetes])
    if problems:
        raise ProblemsError(problems)


def refuse_unserved(catalog: Catalog, versions: Sequence[str]) -> None:
    """Raise ProblemsError where a version is not a full one of a minor that the catalogue has."""
    problems = _unserved(catalog, versions)
    if problems:
        raise ProblemsError(problems)


def _unserved(catalog: Catalog, versions: Sequence[str]) -> list[Problem]:
    rule = "not a full version of a Kubernetes minor of recipe/catalog.yaml"
    remedy = f"write it like 1.36.4, of one of {', '.join(catalog.kubernetes)}"
    wrong = [item for item in versions if not FULL_VERSION.fullmatch(item) or not catalog.serves(item)]
    return [_problem("Kubernetes version", item, rule, remedy) for item in wrong]


def _node(wanted: Wanted, architecture: Architecture) -> Node:
    os, kubernetes, settings = wanted.os, wanted.kubernetes, wanted.settings
    if settings is None:
        return Node(os, kubernetes, architecture)
    return Node(os, kubernetes, architecture, settings.node, settings.as_of, settings.verification)


def _problem(option: str, value: str, rule: str, remedy: str) -> Problem:
    return Problem("./node-images", option, value, rule, remedy)
