"""`./node-images manifests`: what clusters need to know of the images, in the form that their tools read.

The manifests are those of the example of cluster code: examples/cluster/capi.py makes both.
"""

import json
import re
from collections.abc import Sequence
from typing import Literal

from examples.cluster.capi import Cluster, ClusterError, Manifest, Pool, choose, manifests, to_yaml
from images.exports import Exports
from recipe.problems import Problem, ProblemsError

Form = Literal["yaml", "json", "env", "tfvars"]
POOL = re.compile(r"(?P<name>[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)=(?P<type>[a-z0-9]+)(?::(?P<replicas>\d+))?")


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
        remedy = "name the machines, such as: --control-plane cpx32 --workers workers=cx33:3"
        raise ProblemsError([_problem("--control-plane, --workers", "", rule, remedy)])
    documents = _documents(exports, cluster, os, kubernetes)
    if form == "yaml":
        return to_yaml(documents)
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": documents}, indent=2) + "\n"


def parse_pools(texts: Sequence[str]) -> list[Pool]:
    """Pools of the command line, `NAME=TYPE[:REPLICAS]`. Raises ProblemsError."""
    found = [(text, POOL.fullmatch(text)) for text in texts]
    wrong = [text for text, match in found if not match]
    if wrong:
        rule, remedy = "not a pool of workers", "write it NAME=TYPE or NAME=TYPE:REPLICAS, such as workers=cx33:3"
        raise ProblemsError([_problem("--workers", text, rule, remedy) for text in wrong])
    return [
        Pool(match["name"], match["type"], int(match["replicas"]) if match["replicas"] else None)
        for _, match in found
        if match
    ]


def _documents(exports: Exports, cluster: Cluster, os: str, kubernetes: str) -> list[Manifest]:
    if not os and not kubernetes and len(exports.snapshots) == 1:
        os, _, kubernetes = next(iter(exports.snapshots)).partition("/")
    missing = [option for option, value in (("--os", os), ("--kubernetes", kubernetes)) if not value]
    if missing:
        there = ", ".join(sorted(exports.snapshots)) or "none yet"
        rule = f"the stack has more images than one, or none: {there}"
        raise ProblemsError([_problem(item, "", rule, "say which, such as debian-13 and 1.36") for item in missing])
    try:
        image = choose(exports.snapshots, [item.name for item in exports.earlier], os, kubernetes)
    except ClusterError as error:
        rule, _, remedy = str(error).partition(". ")
        raise ProblemsError([_problem("--os, --kubernetes", f"{os}, {kubernetes}", rule, remedy)]) from error
    return manifests(cluster, image)


def _variable(key: str) -> str:
    return "NODE_IMAGE_" + re.sub(r"[^A-Z0-9]", "_", key.upper())


def _problem(option: str, value: str, rule: str, remedy: str) -> Problem:
    return Problem("./node-images manifests", option, value, rule, remedy)
