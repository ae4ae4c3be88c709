"""`./node-images manifests`: what clusters need to know of the images, in the form that their tools read."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import yaml

from cli.places import as_typed
from clusters.capi import (
    Cluster,
    ClusterError,
    Manifest,
    Pool,
    choose,
    machine_faults,
    manifests,
    tarball_files,
    to_yaml,
)
from images.disks import misfit
from images.exports import Exports, Image
from recipe.catalog import Architecture
from recipe.problems import Problem, ProblemsError, malformed

Form = Literal["yaml", "json", "env", "tfvars"]
MACHINES = r"(?P<type>[a-zA-Z0-9_-]*)(?::(?P<replicas>\d+))?"
POOL = re.compile(rf"(?P<name>[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)={MACHINES}")
CONTROL_PLANE = "control-plane"
"""The name of its pool."""
FIELDS = "write what goes below spec.template.spec of the machine template, such as `installImage: {swraid: 1}`"


def render_names(exports: Exports, form: Literal["env", "tfvars"]) -> str:
    """The name of each declared image, for shells or for Terraform."""
    if form == "env":
        return "".join(f"{_variable(key)}={name}\n" for key, name in exports.snapshots.items())
    lines = (f"  {json.dumps(key)} = {json.dumps(name)}\n" for key, name in exports.snapshots.items())
    return f"node_images = {{\n{''.join(lines)}}}\n"


def render_manifests(
    exports: Exports, cluster: Cluster, os: str, kubernetes: str, form: Literal["yaml", "json"]
) -> str:
    """The manifests of a cluster. Without `os` and `kubernetes` its image is the only one that there is.

    Raises ProblemsError.
    """
    if not cluster.pools:
        rule = "nothing to write manifests of"
        remedy = "name the machines, such as: --control-plane cpx32 --workers workers=cx33:3 or metal=bare-metal:3"
        raise ProblemsError([_problem("--control-plane, --workers", "", rule, remedy)])
    documents = _documents(exports, cluster, os, kubernetes)
    if form == "yaml":
        return to_yaml(documents)
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": documents}, indent=2) + "\n"


def parse_pools(
    control_plane: str, workers: Sequence[str], machines: Sequence[str], architecture: Architecture
) -> tuple[Pool | None, list[Pool]]:
    """The control plane of the command line, where it names one, and its workers, each with what its file adds.

    Raises ProblemsError, or ClusterError where a type is none.
    """
    pools = [*_control_plane(control_plane), *_workers(workers)]
    added = _machines(machines, {pool.name: pool for pool in pools})
    whole = [replace(pool, machine=added.get(pool.name, {}), architecture=architecture) for pool in pools]
    return (whole[0], whole[1:]) if control_plane else (None, whole)


def _control_plane(text: str) -> list[Pool]:
    """Written `TYPE[:REPLICAS]`."""
    if not text:
        return []
    match = re.fullmatch(MACHINES, text)
    if not match:
        rule, remedy = "not machines of a control plane", "write it TYPE or TYPE:REPLICAS, such as cpx32:3"
        raise ProblemsError([_problem("--control-plane", text, rule, remedy)])
    return [_pool(CONTROL_PLANE, match)]


def _pool(name: str, match: re.Match[str]) -> Pool:
    return Pool(name, match["type"], int(match["replicas"]) if match["replicas"] else None)


def _workers(texts: Sequence[str]) -> list[Pool]:
    """Written `NAME=TYPE[:REPLICAS]`."""
    found = [(text, POOL.fullmatch(text)) for text in texts]
    wrong = [text for text, match in found if not match]
    if wrong:
        rule, remedy = "not a pool of workers", "write it NAME=TYPE or NAME=TYPE:REPLICAS, such as workers=cx33:3"
        raise ProblemsError([_problem("--workers", text, rule, remedy) for text in wrong])
    return [_pool(match["name"], match) for _, match in found if match]


def _machines(texts: Sequence[str], pools: Mapping[str, Pool]) -> dict[str, Mapping[str, Any]]:
    """By pool. Written `POOL=FILE`."""
    named = [text.partition("=") for text in texts]
    remedy = f"write it POOL=FILE, with one of the pools {', '.join(pools)}"
    wrong = [
        _problem("--machine", f"{name}{sign}{file}", "not a pool and a file for it", remedy)
        for name, sign, file in named
        if name not in pools or not file
    ]
    if wrong:
        raise ProblemsError(wrong)
    return {name: _fields(as_typed(file), pools[name]) for name, _, file in named}


def _fields(file: Path, pool: Pool) -> Mapping[str, Any]:
    try:
        fields = yaml.safe_load(file.read_text())
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # also of a 32nd day, and of what is no text
        raise malformed(str(file), error) from error
    if not isinstance(fields, dict):
        raise ProblemsError([_problem("--machine", str(file), "not the fields of a machine", FIELDS)])
    # Dates, which YAML knows and Kubernetes does not, are text.
    plain = dict(json.loads(json.dumps(fields, default=str)))
    if faults := machine_faults(plain, bare_metal=pool.is_bare_metal):
        raise ProblemsError([Problem(str(file), fault.place, "", fault.rule, fault.remedy) for fault in faults])
    return plain


def _documents(exports: Exports, cluster: Cluster, os: str, kubernetes: str) -> list[Manifest]:
    systems = {key.partition("/")[0] for key in exports.snapshots}
    os = os or (systems.pop() if len(systems) == 1 else "")
    versions = [key.partition("/")[2] for key in exports.snapshots if key.startswith(f"{os}/")]
    kubernetes = kubernetes or (versions[0] if len(versions) == 1 else "")
    missing = [option for option, value in (("--os", os), ("--kubernetes", kubernetes)) if not value]
    if missing:
        there = ", ".join(sorted(exports.snapshots)) or "none yet"
        rule = f"the stack has more images than one, or none: {there}"
        raise ProblemsError([_problem(item, "", rule, "say which, such as debian-13 and 1.36") for item in missing])
    earlier = [item.name for item in exports.earlier]
    records = [*exports.images, *exports.earlier]
    tarballs = tarball_files(item.model_dump() for item in records)
    try:
        image = choose(exports.snapshots, earlier, os, kubernetes, tarballs)
        _refuse_unfit(cluster.pools, next(item for item in records if item.name == image.name))
        return manifests(cluster, image)
    except ClusterError as error:
        problem = _problem("--os, --kubernetes", f"{os}, {kubernetes}", error.rule, error.remedy)
        raise ProblemsError([problem]) from error


def _refuse_unfit(pools: Sequence[Pool], image: Image) -> None:
    """Raise ProblemsError where Hetzner Cloud makes no server of a pool's type from the image."""
    unfit = [(pool, why) for pool in pools if not pool.is_bare_metal and (why := misfit(pool.type, image))]
    if unfit:
        raise ProblemsError([_problem(f"pool {pool.name}", pool.type, *why) for pool, why in unfit])


def _variable(key: str) -> str:
    return "NODE_IMAGE_" + re.sub(r"[^A-Z0-9]", "_", key.upper())


def _problem(option: str, value: str, rule: str, remedy: str) -> Problem:
    return Problem("./node-images manifests", option, value, rule, remedy)
