"""The control plane beside the API, for tests and the command line: facts, speed, conditions, faults, requests. No token."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from sandbox import VERSION
from sandbox.api.http import Body, body_of, cloud_of, json_of, no_content, path_id, projects_of, reply
from sandbox.cloud import Cloud
from sandbox.errors import CloudError, invalid_input, not_found
from sandbox.machines.answer import Answer
from sandbox.machines.base_images import BASE_IMAGES
from sandbox.resources import answers, tokens
from sandbox.resources.faults.kinds import KINDS, described, fault_of
from sandbox.resources.faults.models import shape
from sandbox.settings import Speed


class SpeedBody(Body):
    """``instant`` or ``realistic``."""

    speed: str


async def health(request: Request) -> Response:
    """Who answers here."""
    settings = cloud_of(request).settings
    return reply(version=VERSION, pid=os.getpid(), settings=settings.model_dump(mode="json"))


async def facts(request: Request) -> Response:
    """What ``status`` shows, of all projects."""
    projects = projects_of(request)
    clouds, first = projects.all.values(), projects.first
    return reply(
        servers=[server_facts(cloud, server.id) for cloud in clouds for server in cloud.servers.all],
        snapshots=[snapshot_facts(cloud, image.id) for cloud in clouds for image in cloud.images.snapshots],
        base_images=[base_image_facts(first, name) for name in BASE_IMAGES],
        actions=[
            {"id": task.id, "command": task.command, "progress": task.progress}
            for cloud in clouds
            for task in running_actions(cloud)
        ],
        speed=projects.shared.speed,
        faults=len(first.faults.active),
    )


def running_actions(cloud: Cloud) -> list[Any]:
    """Actions in flight."""
    return [action for action in cloud.actions.all if action.status == "running"]


def server_facts(cloud: Cloud, server_id: int) -> dict[str, Any]:
    """One server with its machine."""
    server, machine = cloud.servers.get(server_id), cloud.machines.facts(server_id)
    return {
        "id": server.id,
        "name": server.name,
        "project": cloud.project,
        "status": server.status,
        "address": server.address,
        "image": server.image.name or server.image.description,
        "pid": machine.pid,
        "accelerator": machine.accelerator,
        "console": str(machine.console) if machine.console else None,
    }


def snapshot_facts(cloud: Cloud, image_id: int) -> dict[str, Any]:
    """One snapshot."""
    image = cloud.images.get(image_id)
    return {"id": image.id, "description": image.description, "status": image.status, "size": image.image_size}


def base_image_facts(cloud: Cloud, name: str) -> dict[str, Any]:
    """One base image: made, being made, or not yet."""
    state = cloud.base_images.making.get(name) or (
        "cached" if cloud.base_images.path(name).exists() else "made on first use"
    )
    return {"name": name, "state": state}


async def prepare(request: Request) -> Response:
    """Make a base image now; returns at once, ``facts`` shows the progress."""
    cloud, name = cloud_of(request), request.path_params["name"]
    if name not in BASE_IMAGES:
        raise invalid_input(("name", f"'{name}' is not one of: {', '.join(BASE_IMAGES)}"))

    async def work(report: Any) -> None:
        await cloud.machines.prepare(name, lambda percent, _doing: report(percent))

    action = cloud.actions.run("prepare_base_image", work)
    return reply(202, action=action.id)


async def prepared(request: Request) -> Response:
    """How far a preparation is."""
    action = cloud_of(request).actions.get(int(request.path_params["id"]))
    message = action.error.message if action.error else ""
    return reply(status=action.status, progress=action.progress, error=message)


async def set_speed(request: Request) -> Response:
    """For actions that start from now on and those that run."""
    body = await body_of(request, SpeedBody)
    if body.speed not in list(Speed):
        raise invalid_input(("speed", f"'{body.speed}' is not one of: {', '.join(Speed)}"))
    projects_of(request).set_speed(Speed(body.speed))
    return reply(speed=body.speed)


async def wipe(request: Request) -> Response:
    """Delete everything at once: of all projects, or of the one that ``project`` names."""
    await projects_of(request).wipe(request.query_params.get("project"))
    return no_content()


async def hang_up(request: Request) -> Response:
    """Break all SSH connections to a server, known by its name."""
    name, clouds = request.path_params["name"], projects_of(request).all.values()
    found = [(cloud, server) for cloud in clouds for server in cloud.servers.all if server.name == name]
    if not found:
        raise not_found("server", name)
    for cloud, server in found:
        cloud.machines.hang_up(server.id)
    return no_content()


class TokenBody(Body):
    """What a token opens."""

    project: str
    read_only: bool = False


async def create_token(request: Request) -> Response:
    """A token for a project, which need not be there yet. The only answer with the token itself."""
    body = await body_of(request, TokenBody)
    record, text = projects_of(request).tokens.create(body.project, read_only=body.read_only)
    return reply(201, token=text, **tokens.shape(record))


async def list_tokens(request: Request) -> Response:
    """Those that were made, without the tokens themselves."""
    return reply(tokens=[tokens.shape(token) for token in projects_of(request).tokens.valid])


async def delete_token(request: Request) -> Response:
    """From now on it opens nothing."""
    projects_of(request).tokens.revoke(path_id(request))
    return no_content()


async def list_faults(request: Request) -> Response:
    """Those not used up, and those that are, with what they hit."""
    faults = cloud_of(request).faults
    return reply(faults=[shape(order) for order in faults.active], spent=[shape(order) for order in faults.spent])


async def list_kinds(request: Request) -> Response:  # noqa: ARG001
    """Every kind with its parameters, and its variants for a runner to enumerate."""
    return reply(kinds=[described(kind) for kind in KINDS])


async def add_fault(request: Request) -> Response:
    """Order one; see ``resources.faults.kinds``."""
    content = await json_of(request)
    with as_invalid_input():
        fault = fault_of(content)
    return reply(201, fault=shape(cloud_of(request).faults.order(fault)))


async def clear_faults(request: Request) -> Response:
    """Forget all."""
    cloud_of(request).faults.clear()
    return no_content()


async def show_conditions(request: Request) -> Response:
    """Quotas, capacity, rate limit, prices."""
    return reply(conditions=cloud_of(request).conditions.now.model_dump(mode="json"))


async def change_conditions(request: Request) -> Response:
    """Replace the parts that are given."""
    content, conditions = await json_of(request), cloud_of(request).conditions
    with as_invalid_input():
        conditions.set(conditions.now.changed(content))
    return await show_conditions(request)


async def reset_conditions(request: Request) -> Response:
    """As they were at the start."""
    cloud_of(request).conditions.reset()
    return await show_conditions(request)


async def list_requests(request: Request) -> Response:
    """The last requests to the API, oldest first; ``since`` an id."""
    since = request.query_params.get("since", "0")
    if not since.isdigit():
        raise invalid_input(("since", f"'{since}' is not the id of a request"))
    entries = cloud_of(request).journal.entries(int(since))
    return reply(requests=[entry.model_dump(mode="json") for entry in entries])


async def clear_requests(request: Request) -> Response:
    """Forget them."""
    cloud_of(request).journal.clear()
    return no_content()


async def list_answers(request: Request) -> Response:
    """The rules for SSH on instant machines."""
    return reply(answers=[answers.shape(rule) for rule in cloud_of(request).answers.rules])


async def add_answer(request: Request) -> Response:
    """One more; see ``machines.answer.Answer``."""
    content = await json_of(request)
    with as_invalid_input():
        answer = Answer.model_validate(content)
    return reply(201, answer=answers.shape(cloud_of(request).answers.set(answer)))


async def clear_answers(request: Request) -> Response:
    """Forget the rules and what was asked."""
    cloud_of(request).answers.clear()
    return no_content()


async def list_asked(request: Request) -> Response:
    """The commands that instant machines were given since the start, oldest first."""
    return reply(commands=[asked.model_dump(mode="json") for asked in cloud_of(request).answers.asked])


@contextmanager
def as_invalid_input() -> Iterator[None]:
    """What a model refuses, as the API words it."""
    try:
        yield
    except (ValueError, TypeError) as error:
        raise CloudError("invalid_input", str(error)) from error


CONTROL_ROUTES = [
    ("GET", "/health", health),
    ("GET", "/facts", facts),
    ("DELETE", "/project", wipe),
    ("POST", "/servers/{name}/hang_up", hang_up),
    ("GET", "/tokens", list_tokens),
    ("POST", "/tokens", create_token),
    ("DELETE", "/tokens/{id:int}", delete_token),
    ("POST", "/base_images/{name}", prepare),
    ("GET", "/preparations/{id:int}", prepared),
    ("PUT", "/speed", set_speed),
    ("GET", "/faults", list_faults),
    ("GET", "/faults/kinds", list_kinds),
    ("POST", "/faults", add_fault),
    ("DELETE", "/faults", clear_faults),
    ("GET", "/conditions", show_conditions),
    ("PUT", "/conditions", change_conditions),
    ("DELETE", "/conditions", reset_conditions),
    ("GET", "/answers", list_answers),
    ("POST", "/answers", add_answer),
    ("DELETE", "/answers", clear_answers),
    ("GET", "/answers/asked", list_asked),
    ("GET", "/requests", list_requests),
    ("DELETE", "/requests", clear_requests),
]
