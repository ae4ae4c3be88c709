"""Workspaces for whole modules: making one costs seconds, and a story needs its state."""

from collections.abc import Iterator

import pytest

from tests.e2e.workspace import Workspace, close_workspace, open_workspace, use_small_recipe


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    made = open_workspace(tmp_path_factory.mktemp("node images"))
    yield made
    close_workspace(made)


@pytest.fixture(scope="module")
def small(workspace: Workspace) -> Workspace:
    use_small_recipe(workspace)
    return workspace
