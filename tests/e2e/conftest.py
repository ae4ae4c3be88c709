"""Workspaces for whole modules: making one costs seconds, and a story needs its state."""

from collections.abc import Iterator

import pytest

from tests.e2e.workspace import Workspace, close_workspace, prepare_workspace, start_workspace, use_small_recipe


@pytest.fixture(scope="module")
def fresh_clone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """Nothing runs yet; a blank in its path, as users have them."""
    made = prepare_workspace(tmp_path_factory.mktemp("node images"))
    yield made
    close_workspace(made)


@pytest.fixture(scope="module")
def workspace(fresh_clone: Workspace) -> Workspace:
    """Sandbox and mirror run, and the stack is there."""
    start_workspace(fresh_clone)
    return fresh_clone


@pytest.fixture(scope="module")
def small(fresh_clone: Workspace) -> Workspace:
    use_small_recipe(fresh_clone)
    start_workspace(fresh_clone)
    return fresh_clone
