"""A cluster whose node image comes from the stack of the node images: manifests for Cluster API Provider Hetzner.

With `kubeconfig` they are applied with kubectl; without it they are the output `manifests`.
"""

import json
from collections.abc import Mapping
from typing import Any

import pulumi
from capi import (
    BARE_METAL_TEMPLATE,
    CLOUD_TEMPLATE,
    Cluster,
    ClusterError,
    Manifest,
    Pool,
    check_interface,
    choose,
    manifests,
    rollover,
    tarball_files,
    to_yaml,
)
from pulumi_command import local

APPLY = "kubectl apply --server-side --force-conflicts --field-manager=node-images --filename=-"
DELETE = "kubectl delete --ignore-not-found --namespace={namespace} {kind} {name}"

EXPORTS = ("interface", "snapshots", "images", "earlier")

config = pulumi.Config()


def pool(settings: Mapping[str, Any]) -> Pool:
    """A pool as Pulumi.yaml describes it."""
    return Pool(
        name=settings["name"],
        type=settings["type"],
        replicas=settings.get("replicas"),
        machine=settings.get("machine", {}),
        architecture=settings.get("architecture", "amd64"),
    )


def cluster_of_config() -> Cluster:
    """The cluster as Pulumi.yaml describes it."""
    control_plane = config.get_object("control-plane")
    return Cluster(
        name=config.require("cluster"),
        workers=[pool(item) for item in config.get_object("workers") or []],
        control_plane=pool(control_plane) if control_plane else None,
        namespace=config.get("namespace") or "default",
        api=config.get("api") or "v1beta2",
        tarballs_url=config.get("tarballs-url") or "",
    )


def rendered(exports: Mapping[str, Any]) -> dict[str, Any]:
    """What this program makes of the exports of the images' stack."""
    try:
        check_interface(exports["interface"])
        earlier = exports["earlier"]
        image = choose(
            exports["snapshots"],
            [item["name"] for item in earlier],
            config.require("os"),
            config.require("kubernetes"),
            tarball_files([*exports["images"], *earlier]),
        )
        return {
            "image": image.name,
            "manifests": manifests(cluster_of_config(), image),
            "rollover": rollover(image, earlier),
        }
    except ClusterError as error:
        raise pulumi.RunError(str(error)) from error


def apply(documents: list[Manifest], kubeconfig: str) -> None:
    """One command for each manifest: its change is seen in the preview, and a template that goes is deleted last."""
    templates: list[pulumi.Resource] = []
    for document in documents:
        kind, metadata = document["kind"], document["metadata"]
        is_template = kind in (CLOUD_TEMPLATE, BARE_METAL_TEMPLATE)
        command = local.Command(
            f"{kind}/{metadata['name']}",
            create=APPLY,
            update=APPLY,
            # Only what machines no longer need: what runs is never deleted from here. Which dedicated servers still run from
            # an image nobody tells.
            delete=DELETE.format(kind=kind, **metadata) if kind == CLOUD_TEMPLATE else None,
            stdin=json.dumps(document),
            environment={"KUBECONFIG": kubeconfig},
            opts=pulumi.ResourceOptions(depends_on=[] if is_template else templates),
        )
        templates += [command] if is_template else []


images = pulumi.StackReference(config.require("images-stack"))
result = pulumi.Output.all(**{name: images.get_output(name) for name in EXPORTS}).apply(rendered)

kubeconfig = config.get("kubeconfig")
if kubeconfig:
    result.apply(lambda found: apply(found["manifests"], str(kubeconfig)))

pulumi.export("image", result["image"])
pulumi.export("manifests", result["manifests"].apply(to_yaml))
pulumi.export("rollover", result["rollover"])
