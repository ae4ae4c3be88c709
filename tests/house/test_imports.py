"""Who may import what: the walls of the house."""

import ast
import sys
from pathlib import Path

import pytest

PURE = {"yaml", "pydantic", "pydantic_core"}
ALLOWED = {
    "images": PURE | {"images", "recipe"},
    "recipe": PURE | {"recipe", "cyclonedx", "packageurl"},
    "components": {
        "components", "adapters", "images", "recipe", "pulumi", "pulumi_hcloud", "pulumi_command", "cryptography", "requests",
        "asyncssh",
    },
    "adapters": {"adapters", "images", "recipe", "hcloud", "requests", "urllib3"},
    "cli": {
        "cli", "clusters", "adapters", "images", "recipe", "hcloud", "typer", "rich", "yaml", "jinja2",
    },
    "clusters": {"clusters", "yaml"},
    "examples": {"capi", "pulumi", "pulumi_command", "yaml"},
    "sandbox": {
        "sandbox", "asyncssh", "starlette", "uvicorn", "httpx", "hcloud", "cryptography", "yaml", "pydantic", "qemu", "rich",
        "typer",
    },
    "mirror": {"mirror", "toolchain", "tools", "images", "recipe", "starlette", "uvicorn", "httpx", "yaml", "rich"},
    "toolchain": {"toolchain"},
    "tools": {"tools", "adapters", "mirror", "toolchain", "images", "recipe", "hcloud", "requests", "yaml", "rich"},
}  # fmt: skip
NOT_PURE = {"asyncio", "datetime.now", "http", "os", "requests", "socket", "subprocess", "time", "urllib"}


def imported(file: Path) -> set[str]:
    nodes = list(ast.walk(ast.parse(file.read_text())))
    plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    return plain | {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}


def sources(folder: str) -> list[Path]:
    return sorted(Path(folder).rglob("*.py"))


@pytest.mark.parametrize("folder", list(ALLOWED))
def test_a_folder_imports_only_what_it_may(folder: str) -> None:
    assert sources(folder)
    foreign = {
        f"{file}: {name}"
        for file in sources(folder)
        for name in imported(file)
        if (top := name.partition(".")[0]) not in ALLOWED[folder] and top not in sys.stdlib_module_names
    }
    assert foreign == set()


@pytest.mark.parametrize("folder", ["images", "recipe"])
def test_decisions_know_no_network_process_or_clock(folder: str) -> None:
    assert {f"{file}: {name}" for file in sources(folder) for name in imported(file) & NOT_PURE} == set()


def test_the_manifests_can_be_copied_anywhere() -> None:
    foreign = imported(Path("clusters/capi.py")) - set(sys.stdlib_module_names) - {"collections.abc"}
    assert foreign == {"yaml"}


def test_the_example_has_the_manifests_of_the_product() -> None:
    """It is copied as a directory, so it has them as a file."""
    ours, copy = Path("clusters/capi.py"), Path("examples/cluster/capi.py")
    assert copy.read_text() == ours.read_text(), f"run: cp {ours} {copy}"


def test_the_program_only_loads_declares_and_exports() -> None:
    lines = Path("__main__.py").read_text().splitlines()
    assert len(lines) < 40
    assert {name.partition(".")[0] for name in imported(Path("__main__.py"))} <= {
        "pulumi",
        "components",
        "images",
        "recipe",
    }


def test_data_leaves_by_the_program_alone() -> None:
    own = set(ALLOWED) - {"examples"}
    exporting = [file for folder in own for file in sources(folder) if "pulumi.export(" in file.read_text()]
    assert exporting == []
