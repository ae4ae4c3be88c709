"""What may happen around a run: processes are killed, people do things by hand. Each act has a name."""

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import httpx
from hcloud import APIException
from hcloud.images import BoundImage
from hcloud.servers import BoundServer

from images.labels import CAPH_IMAGE_NAME
from tests.scenarios.world import World

ACTS: dict[str, Callable[[World], None]] = {}
PUBLIC_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl somebody"


def act(world: World, name: str) -> None:
    """Do it during a run. What it is about may be gone, or locked, by then: so be it."""
    with suppress(APIException, httpx.HTTPStatusError, ProcessLookupError):
        ACTS[name](world)


def named(name: str) -> Callable[[Callable[[World], None]], Callable[[World], None]]:
    """Register an act."""

    def register(function: Callable[[World], None]) -> Callable[[World], None]:
        ACTS[name] = function
        return function

    return register


# --- kill -9 ---


@named("kill the engine")
def kill_engine(world: World) -> None:
    assert world.process is not None
    os.kill(world.process.pid, signal.SIGKILL)


def kill_plugin(sign: str) -> Callable[[World], None]:
    def kill(world: World) -> None:
        for pid, command in world.processes_of_run().items():
            if sign in command:
                os.kill(pid, signal.SIGKILL)

    return kill


PLUGINS = {"hcloud": "pulumi-resource-hcloud", "command": "pulumi-resource-command", "dynamic": "pulumi.dynamic"}
for plugin, sign in PLUGINS.items():
    ACTS[f"kill the {plugin} plugin"] = kill_plugin(sign)


@named("kill the sandbox")
def kill_sandbox(world: World) -> None:
    world.kill_sandbox()
    world.start_sandbox()


@named("break SSH")
def break_ssh(world: World) -> None:
    for server in world.hand.servers.get_all():
        world.control("POST", f"/servers/{server.name}/hang_up")


# --- by hand ---


def servers(world: World) -> list[BoundServer]:
    return world.hand.servers.get_all(label_selector="managed-by=node-images")


def snapshots(world: World) -> list[BoundImage]:
    return world.hand.images.get_all(type=["snapshot"], label_selector="managed-by=node-images")


def relabel(item: Any, **changes: str | None) -> None:
    labels = {**(item.labels or {}), **{key.replace("_", "-"): value for key, value in changes.items()}}
    item.update(labels={key: value for key, value in labels.items() if value is not None})


def on_servers(name: str, do: Callable[[BoundServer], Any]) -> None:
    def to_each(world: World) -> None:
        for server in servers(world):
            do(server)

    ACTS[name] = to_each


def on_snapshots(name: str, do: Callable[[BoundImage], Any]) -> None:
    def to_each(world: World) -> None:
        for image in snapshots(world):
            do(image)

    ACTS[name] = to_each


on_servers("delete the server", lambda server: server.delete())
on_servers("power the server off", lambda server: server.power_off())
on_servers("reboot the server", lambda server: server.reboot())
on_servers("take the server's labels", lambda server: server.update(labels={}))
on_servers("rename the server", lambda server: server.update(name="renamed"))
on_snapshots("delete the snapshot", lambda image: image.delete())
on_snapshots("take the snapshot's name", lambda image: relabel(image, caph_image_name=None))
on_snapshots("give the snapshot another name", lambda image: relabel(image, caph_image_name="mine"))
on_snapshots("take the snapshot's labels", lambda image: image.update(labels={}))
on_snapshots("change the snapshot's digest", lambda image: relabel(image, digest="0" * 32))
on_snapshots("describe the snapshot", lambda image: image.update(description="what a nice image"))
on_snapshots("protect the snapshot", lambda image: image.change_protection(delete=True))
on_snapshots("unprotect the snapshot", lambda image: image.change_protection(delete=False))


@named("delete the key")
def delete_key(world: World) -> None:
    for key in world.hand.ssh_keys.get_all(label_selector="managed-by=node-images"):
        key.delete()


@named("take the key's labels")
def unlabel_key(world: World) -> None:
    for key in world.hand.ssh_keys.get_all(label_selector="managed-by=node-images"):
        key.update(labels={})


@named("detach and delete the firewall")
def delete_firewall(world: World) -> None:
    for firewall in world.hand.firewalls.get_all(label_selector="managed-by=node-images"):
        for action in firewall.remove_from_resources(firewall.applied_to):
            action.wait_until_finished()
        firewall.delete()


@named("lose the state")
def lose_state(world: World) -> None:
    for command in (["rm", "--force", "--yes", "--preserve-config", "sandbox"], ["select", "--create", "sandbox"]):
        result = world.workspace.pulumi("stack", *command)
        assert result.returncode == 0, result.stderr


@named("make a rival")
def make_rival(world: World) -> None:
    """Somebody's snapshot with the name of ours."""
    (ours,) = snapshots(world)
    name = (ours.labels or {})[CAPH_IMAGE_NAME]
    server = foreign_server(world, "somebody", "debian-13")
    image = server.create_image("somebody's", type="snapshot", labels={CAPH_IMAGE_NAME: name})
    image.action.wait_until_finished()
    world.foreign.add("somebody's")


@named("delete the rival")
def delete_rival(world: World) -> None:
    for image in world.hand.images.get_all(type=["snapshot"]):
        if image.description == "somebody's":
            image.delete()


@named("run a node from the snapshot")
def run_node(world: World) -> None:
    (ours,) = snapshots(world)
    foreign_server(world, "node", ours.id)


@named("take the server's name")
def take_server_name(world: World) -> None:
    """A server of somebody else, named as the builder will be."""
    foreign_server(world, world.builder, "debian-13")


@named("delete what has no labels")
def delete_unlabelled(world: World) -> None:
    """As people have to: what lacks the labels is not the program's to delete."""
    for item in [*world.hand.servers.get_all(), *world.hand.ssh_keys.get_all()]:
        if not item.labels:
            item.delete()
            world.foreign.discard(item.name)


@named("take the key's name")
def take_key_name(world: World) -> None:
    world.hand.ssh_keys.create(world.builder, PUBLIC_KEY)
    world.foreign.add(world.builder)


@named("look for the key")
def look_for_key(world: World) -> None:
    assert world.hand.ssh_keys.get_by_name(world.builder), "somebody's key was deleted"


def foreign_server(world: World, name: str, image: str | int | None) -> BoundServer:
    client = world.hand
    found = (
        client.images.get_by_id(image)
        if isinstance(image, int)
        else client.images.get_by_name_and_architecture(str(image), "x86")
    )
    made = client.servers.create(name, client.server_types.get_by_name("cx23"), image=found)
    for action in (made.action, *made.next_actions):
        action.wait_until_finished()
    world.foreign.add(name)
    return made.server
