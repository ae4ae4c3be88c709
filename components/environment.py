"""All images of a stack: load what it declares, look at what is there, and declare both to the engine."""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, TypeVar

import pulumi
from pulumi import Input, Output
from pulumi.output import contains_unknowns
from pulumi.runtime.config import CONFIG, is_config_secret

from adapters.bash import syntax_error
from adapters.checksums import published_sums
from adapters.hetzner.cloud import Cloud
from adapters.hetzner.errors import CloudError
from adapters.hetzner.holdings import Holdings
from components.build_server import Site
from components.failure import FailurePolicy
from components.mirror import check_local_mirror
from components.node_image import AdoptedImage, EarlierImage, NodeImage
from components.state import read_state
from components.tarball import check_tarballs
from images.accepted import SystemImage, refused_images, refused_places, refused_values
from images.adoption import Adoption, adoptions
from images.capacity import Offer, disks_of, server_warnings, snapshot_warnings, stock_warnings
from images.disks import exceeds, large_images
from images.exports import written
from images.given import Given
from images.logins import problems_of_logins
from images.outlook import outlook
from images.plan import Build, ImagePlan, Plan, lanes, make_plan, unlocked_files
from images.promotion import ambiguous_names
from images.retention import earlier_to_keep, why_kept
from images.snapshot import Snapshot
from images.stackfile import LOGINS, PROJECT, StackFile, load_stack_file
from recipe import Catalog, Lock, load_catalog, load_lock
from recipe.problems import Problem, ProblemsError
from recipe.support import support_warnings

T = TypeVar("T")

OWN_WORDS = "NODE_IMAGES_OWN_WORDS"
"""Set by ./pulumiw (cli/run.py), which tells from the engine's events what a run does to images."""


@dataclass(frozen=True)
class Environment:
    """A stack's plan with the snapshots of earlier builds that stay."""

    plan: Plan
    earlier: Sequence[Snapshot]
    found: Mapping[str, Adoption]
    site: Site


def load_environment(stack: str) -> Environment:
    """Read the stack file and the API. Raises pulumi.RunError, which shows as a message without a traceback."""
    label = f"stacks/Pulumi.{stack}.yaml"
    try:
        catalog = load_catalog()
        settings = load_stack_file(Path(label), catalog, today=date.today(), syntax=syntax_error, given=_given())
        _refuse(problems_of_logins(_setting(f"{PROJECT}:{LOGINS}") or "{}", label))
        check_local_mirror(settings.mirror)
        lock = with_published_sums(load_lock(local_builds=settings.local_builds), settings, catalog)
        plan = make_plan(stack, settings, catalog, lock, label)
        _refuse(refused_values(plan, label))
        cloud = Cloud.from_settings(_setting)
        _name_endpoint_of_environment(cloud.endpoint)
        there = cloud.holdings(stack)
        existing = there.snapshots
        state = read_state()
        found = adoptions(plan, [item for item in existing if not exceeds(plan, item)], state)
        to_build = [build for image in plan.images for build in image.builds if build.key not in found]
        offers: list[Offer] = _told(cloud.offers, []) if to_build else []
        images: frozenset[SystemImage] = _told(cloud.system_images, frozenset()) if to_build else frozenset()
        _refuse(
            [
                *ambiguous_names(plan, there.named_images, label),
                *refused_places(to_build, offers, label),
                *refused_images(to_build, images),
            ]
        )
        check_tarballs(plan)
    except (ProblemsError, CloudError) as error:
        raise pulumi.RunError(str(error)) from error
    told = [] if os.environ.get(OWN_WORDS) else [outlook(plan, to_build, existing, state.names)]
    for line in [*told, *why_kept(plan, existing), *_advice(plan, to_build)]:
        pulumi.log.info(line)
    large = large_images(plan, {key: item.snapshot for key, item in found.items()}, disks_of(offers))
    ends = support_warnings(catalog, [(image.os, image.kubernetes) for image in plan.images], date.today())
    for line in [*ends, *there.orphans(state), *_warnings(plan, there, to_build, offers), *large]:
        pulumi.log.warn(line)
    return Environment(plan, earlier_to_keep(plan, existing), found, _site(plan, cloud))


def _site(plan: Plan, cloud: Cloud) -> Site:
    failures = FailurePolicy(cloud, plan.stack, keep_servers=plan.keep_failed_builders, patience=plan.timeouts.room)
    logins = pulumi.Config(PROJECT).get_secret(LOGINS) or ""
    return Site(plan.ssh_port, plan.mirror, plan.sboms, plan.ssh_from, plan.timeouts, failures, logins)


def with_published_sums(lock: Lock, settings: StackFile, catalog: Catalog) -> Lock:
    """The lock, and where the stack file allows it, what publishers say of files that it lacks. Each of them is reported."""
    unlocked = unlocked_files(settings, catalog, lock)
    sums = published_sums(unlocked, settings.mirror)
    for file in unlocked:
        url = file.artifact.url
        pulumi.log.warn(f"{url} is not in recipe/lock.yaml: taken as {file.sums_url} has it now, sha256 {sums[url]}")
    return {**lock, **sums}


def _warnings(plan: Plan, there: Holdings, to_build: Sequence[Build], offers: Sequence[Offer]) -> list[str]:
    """What a preview tells of the world around it; none of it stops a run."""
    return [
        *(stock_warnings(to_build, offers) if offers else []),
        *snapshot_warnings(len(there.all_snapshots), len(to_build)),
        *server_warnings(len(to_build), plan.max_parallel, plan.test_servers),
    ]


def _advice(plan: Plan, to_build: Sequence[Build]) -> list[str]:
    if not to_build or plan.ssh_from:
        return []
    return ["build servers take SSH from everywhere, by key alone: name your network in node-images:sshFrom"]


def _told(ask: Callable[[], T], otherwise: T) -> T:
    """What the API tells; `otherwise`, and a warning, where it does not answer."""
    try:
        return ask()
    except CloudError as error:
        pulumi.log.warn(str(error))
        return otherwise


def _refuse(problems: Sequence[Problem]) -> None:
    if problems:
        raise ProblemsError(problems)


def declare(environment: Environment) -> Output[list[dict[str, Any]]]:
    """Declare every image; returns their records for the exports, known once all of them are published."""
    for item in environment.earlier:
        EarlierImage(item, environment.plan.tarballs)
    builds = [build for image in environment.plan.images for build in image.builds]
    waits_for = lanes([build.key for build in builds], environment.plan.max_parallel)
    today = datetime.now(UTC).strftime("%Y%m%d")
    made: dict[str, NodeImage | AdoptedImage] = {}
    for build in builds:
        before = made[waits_for[build.key]].finished if build.key in waits_for else None
        made[build.key] = _declare(build, environment, today, _turn(before, environment.site))
    records = [_record(image, made, environment) for image in environment.plan.images]
    return Output.all(*records).apply(_all_published, run_with_unknowns=True)


def _all_published(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The records as they are exported, but for those that a preview does not know all of.

    With --continue-on-error the engine would store the unknown exports of images that failed. Then export nothing.
    """
    if contains_unknowns(records) and not pulumi.runtime.is_dry_run():
        raise pulumi.RunError("not every image was published: the exports stay as they were")
    return [record if contains_unknowns(record) else written(record) for record in records]


def _turn(before: pulumi.Resource | None, site: Site) -> Input[Sequence[pulumi.Resource]]:
    """When a build may begin: after the one before it in its lane, or, where a failed image stops no other, after its failure."""
    if before is None:
        return []
    if not site.failures.go_on:
        return [before]

    async def succeeded_or_failed() -> Sequence[pulumi.Resource]:
        await before.urn.future(with_unknowns=True)
        return []

    return Output.from_input(succeeded_or_failed())


def _declare(
    build: Build, environment: Environment, today: str, after: Input[Sequence[pulumi.Resource]]
) -> NodeImage | AdoptedImage:
    """In full where the state has the records of the build, or there is something to build; else only what was found."""
    found = environment.found.get(build.key)
    if found is None or found.built_here:
        return NodeImage(build, environment.site, today, after, found)
    return AdoptedImage(build, found, environment.site, after)


def _record(
    image: ImagePlan, made: dict[str, NodeImage | AdoptedImage], environment: Environment
) -> Output[dict[str, Any]]:
    published = {build.architecture: made[build.key].published for build in image.builds}
    reports = {build.architecture: made[build.key].report for build in image.builds}
    manifests: dict[str, Output[str]] = {build.architecture: made[build.key].manifest for build in image.builds}
    sboms = {build.architecture: bill for build in image.builds if (bill := made[build.key].sbom)}
    first = next(iter(published.values()))
    # Beside the outputs: the SDK would make one of each word in them.
    known = {
        "name": image.name,
        "os": image.os,
        "kubernetes": image.kubernetes,
        "components": dict(image.components),
        "digest": image.digest,
        "inputs": dict(image.inputs),
        "generations": sorted({item.image for item in environment.earlier if item.key == image.key}),
    }
    return Output.all(
        snapshots={architecture: item.snapshot_id.apply(int) for architecture, item in published.items()},
        sizes={architecture: item.size_gb for architecture, item in published.items()},
        disks={build.architecture: _disk(build, made, environment) for build in image.builds},
        tests={architecture: report.apply(_report) for architecture, report in reports.items()},
        manifests=Output.all(**manifests).apply(_manifests),
        sboms={architecture: item.path for architecture, item in sboms.items()},
        tarballs={build.architecture: item.record for build in image.builds if (item := made[build.key].tarball)},
        created=first.created,
    ).apply(lambda told: {**told, **known}, run_with_unknowns=True)


def _disk(build: Build, made: Mapping[str, NodeImage | AdoptedImage], environment: Environment) -> Input[int]:
    """Of a snapshot that was there already as the API told it, as states of older programs do not have it."""
    found = environment.found.get(build.key)
    if found:
        return found.snapshot.disk_gb
    return made[build.key].published.disk_gb.apply(int)


def _manifests(texts: Mapping[str, str]) -> dict[str, Any]:
    """By architecture; an image that was adopted as it is has told nothing of what is on it."""
    return {architecture: json.loads(text) for architecture, text in texts.items() if text}


def _report(text: str | None) -> dict[str, Any]:
    return dict(json.loads(text)) if text else {}


def _name_endpoint_of_environment(endpoint: str) -> None:
    """What a shell was once told must not decide in silence where a token goes and images are made."""
    if os.environ.get("HCLOUD_ENDPOINT") == endpoint and not _setting("hcloud:endpoint"):
        pulumi.log.warn(
            f"the API is {endpoint}, from HCLOUD_ENDPOINT of your environment; unset it for Hetzner Cloud itself"
        )


def _given() -> Given:
    """Of the settings that the engine gives to the program, ours."""
    ours = {key: str(value) for key, value in CONFIG.get().items() if key.startswith(f"{PROJECT}:")}
    return Given(ours, [key for key in ours if is_config_secret(key)])


def _setting(key: str) -> str | None:
    namespace, _, name = key.partition(":")
    return pulumi.Config(namespace).get(name)
