"""All images of a stack: load what it declares, look at what is there, and declare both to the engine."""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pulumi
from pulumi import Output
from pulumi.output import contains_unknowns

from components.cloud import Cloud, CloudError, check_local_mirror
from components.failure import FailurePolicy
from components.node_image import EarlierImage, NodeImage, Site
from components.tarball import check_tarballs
from images.plan import ImagePlan, Plan, Tarballs, lanes, make_plan
from images.retention import ExistingSnapshot, earlier_to_keep
from images.stackfile import load_stack_file
from recipe import load_catalog, load_lock
from recipe.problems import ProblemsError


@dataclass(frozen=True)
class Environment:
    """A stack's plan with the snapshots of earlier builds that stay."""

    plan: Plan
    earlier: Sequence[ExistingSnapshot]
    site: Site


def load_environment(stack: str) -> Environment:
    """Read the stack file and the API. Raises pulumi.RunError, which shows as a message without a traceback."""
    label = f"stacks/Pulumi.{stack}.yaml"
    try:
        catalog = load_catalog()
        settings = load_stack_file(Path(label), catalog, today=date.today())
        plan = make_plan(stack, settings, catalog, load_lock(local_builds=settings.local_builds), label)
        cloud = Cloud.from_settings(_setting)
        _name_endpoint_of_environment(cloud.endpoint)
        earlier = earlier_to_keep(plan, cloud.snapshots(stack))
        check_local_mirror(settings.mirror)
        check_tarballs(plan)
    except (ProblemsError, CloudError) as error:
        raise pulumi.RunError(str(error)) from error
    failures = FailurePolicy(cloud, stack, keep_servers=plan.keep_failed_builders)
    return Environment(plan, earlier, Site(plan.ssh_port, plan.mirror, plan.sboms, failures))


def declare(environment: Environment) -> Output[list[dict[str, Any]]]:
    """Declare every image; returns their records for the exports, known once all of them are published."""
    for item in environment.earlier:
        _declare_earlier(item, environment.plan.tarballs)
    builds = [build for image in environment.plan.images for build in image.builds]
    waits_for = lanes([build.key for build in builds], environment.plan.max_parallel)
    today = datetime.now(UTC).strftime("%Y%m%d")
    made: dict[str, NodeImage] = {}
    for build in builds:
        after = [made[waits_for[build.key]].finished] if build.key in waits_for else []
        made[build.key] = NodeImage(build, environment.site, today, after)
    records = [_record(image, made, environment) for image in environment.plan.images]
    return Output.all(*records).apply(_all_published, run_with_unknowns=True)


def _all_published(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """With --continue-on-error the engine would store the unknown exports of images that failed. Then export nothing."""
    if contains_unknowns(records) and not pulumi.runtime.is_dry_run():
        raise pulumi.RunError("not every image was published: the exports stay as they were")
    return records


def _declare_earlier(item: ExistingSnapshot, tarballs: Tarballs | None) -> None:
    if item.in_use:
        pulumi.log.info(
            f"snapshot {item.id} ({item.image}) stays: a server was created from it, or it is an earlier build"
        )
    EarlierImage(item, tarballs)


def _record(image: ImagePlan, made: dict[str, NodeImage], environment: Environment) -> Output[dict[str, Any]]:
    published = {build.architecture: made[build.key].published for build in image.builds}
    reports = {build.architecture: made[build.key].report for build in image.builds}
    inventories = {build.architecture: made[build.key].inventory for build in image.builds}
    first = next(iter(published.values()))
    return Output.all(
        name=first.name,
        os=image.os,
        kubernetes=image.kubernetes,
        snapshots={architecture: item.snapshot_id.apply(int) for architecture, item in published.items()},
        sizes={architecture: item.size_gb for architecture, item in published.items()},
        tests={architecture: report.apply(_report) for architecture, report in reports.items()},
        components=dict(image.components),
        manifests={
            architecture: inventory.apply(lambda item: dict(item.manifest))
            for architecture, inventory in inventories.items()
        },
        sboms={build.architecture: made[build.key].sbom.path for build in image.builds},
        tarballs={build.architecture: item.record for build in image.builds if (item := made[build.key].tarball)},
        digest=image.digest,
        inputs=dict(image.inputs),
        created=first.created.apply(lambda moment: datetime.fromisoformat(moment).isoformat()),
        generations=sorted({item.image for item in environment.earlier if item.key == image.key}),
    )


def _report(text: str | None) -> dict[str, Any]:
    return dict(json.loads(text)) if text else {}


def _name_endpoint_of_environment(endpoint: str) -> None:
    """What a shell was once told must not decide in silence where a token goes and images are made."""
    if os.environ.get("HCLOUD_ENDPOINT") == endpoint and not _setting("hcloud:endpoint"):
        pulumi.log.warn(
            f"the API is {endpoint}, from HCLOUD_ENDPOINT of your environment; unset it for Hetzner Cloud itself"
        )


def _setting(key: str) -> str | None:
    namespace, _, name = key.partition(":")
    return pulumi.Config(namespace).get(name)
