"""A small checkout with a toolchain that is fake: an engine that only tells how it was called."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from toolchain.layout import CHECKOUT, toolchain_key

ENGINE = """#!/usr/bin/env python3
import json, os, sys
told = {name: value for name, value in os.environ.items() if name.startswith("PULUMI_") or name in ("PATH", "NO_PROXY")}
with open(os.environ["HOME"] + "/engine-calls", "a") as file:
    file.write(" ".join(sys.argv[1:]) + "\\n")
print(json.dumps({"arguments": sys.argv[1:], "environment": told, "folder": os.getcwd()}))
"""
# Set-up that makes ready what the test prepared, and leaves a trace.
SETUP = """#!/bin/sh
echo "$@" >> "{trace}"
mkdir -p "$(dirname "{ready}")"
[ -e "{ready}" ] || mv "{prepared}" "{ready}"
ln -sfn "{virtualenv}" "{checkout}/.venv"
"""


def executable(file: Path, text: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    file.chmod(0o755)
    return file


def copy_of_checkout(target: Path) -> Path:
    """Copy what set-up and ./pulumiw are made of."""
    for name in ("pulumiw", "Makefile", "Pulumi.yaml", "requirements.lock", ".gitignore"):
        target.mkdir(parents=True, exist_ok=True)
        shutil.copy2(CHECKOUT / name, target / name)
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(CHECKOUT / "toolchain", target / "toolchain", ignore=ignored)
    return target


@dataclass
class Called:
    """How the engine was called."""

    arguments: list[str]
    environment: dict[str, str]
    folder: str

    def __getattr__(self, name: str) -> str | None:
        return self.environment.get(f"PULUMI_{name.upper()}")


@dataclass
class FakeCheckout:
    """The checkout, and the user who works in it: with a home and a cache of their own, and no settings."""

    folder: Path
    home: Path
    way: str = "3"

    @property
    def cache(self) -> Path:
        return self.home / "the cache"

    @property
    def ready(self) -> Path:
        return self.cache / "toolchain" / toolchain_key(self.folder)

    @property
    def setup_calls(self) -> list[str]:
        trace = self.home / "setup-calls"
        return trace.read_text().splitlines() if trace.exists() else []

    @property
    def engine_calls(self) -> list[str]:
        return (self.home / "engine-calls").read_text().splitlines()

    def prepare(self) -> None:
        """Lay a toolchain aside that the (fake) set-up puts into its place."""
        prepared = self.home / "prepared"
        engine = executable(prepared / "bin" / "pulumi", ENGINE)
        virtualenv = self.home / "virtual env"
        (virtualenv / "bin").mkdir(parents=True, exist_ok=True)
        own = self.way != "1"
        settings = {
            "way": self.way,
            "description": "a fake",
            "engine": self.ready / "bin" / engine.name,
            "binaries": self.ready / "bin" if own else "",
            "plugins": self.ready / "plugins" if own else "",
            "virtualenv": virtualenv,
        }
        (prepared / "settings.sh").write_text("".join(f"{name}='{value}'\n" for name, value in settings.items()))
        executable(
            self.folder / "toolchain/run",
            SETUP.format(
                trace=self.home / "setup-calls",
                ready=self.ready,
                prepared=prepared,
                virtualenv=virtualenv,
                checkout=self.folder,
            ),
        )

    def environment(self, **more: str) -> dict[str, str]:
        path = "/usr/bin:/bin"
        return {"PATH": path, "HOME": str(self.home), "NODE_IMAGES_CACHE": str(self.cache), **more}

    def pulumi(self, *words: str, folder: Path | None = None, script: Path | None = None, **variables: str) -> Called:
        result = subprocess.run(
            [script or self.folder / "pulumiw", *words],
            cwd=folder or self.folder,
            env=self.environment(**variables),
            capture_output=True,
            text=True,
        )
        assert result.returncode == 0, result.stderr
        told: dict[str, Any] = json.loads(result.stdout)
        return Called(**told)


@pytest.fixture
def checkout(tmp_path: Path) -> FakeCheckout:
    home = tmp_path / "home"
    home.mkdir()
    fake = FakeCheckout(copy_of_checkout(tmp_path / "a check out"), home)
    fake.prepare()
    return fake


@pytest.fixture
def only_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH with nothing on it but what a test puts there."""
    folder = tmp_path / "path"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.delenv("GOTOOLCHAIN", raising=False)
    for name in [name for name in os.environ if name.startswith("PULUMI_")]:
        monkeypatch.delenv(name)
    return folder
