"""The bill of materials: valid CycloneDX, complete, and the same for the same image. tests/scanners asks scanners."""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from recipe.gossfile import INVENTORY
from recipe.render import library
from recipe.sbom import Module, Program, System, read_inventory, sbom
from tests.scanners.inventories import COMPONENTS, SYSTEMS, inventory

TEXT = inventory("debian-13")


def components(text: str) -> dict[str, Any]:
    return {item["bom-ref"]: item for item in json.loads(sbom("name", read_inventory(text)))["components"]}


def properties(component: Any) -> dict[str, str]:
    return {item["name"].rpartition(":")[2]: item["value"] for item in component.get("properties", [])}


def test_an_inventory_is_read() -> None:
    found = read_inventory(TEXT)
    assert found.system == System("debian", "13")
    assert [(item.name, str(item.version)) for item in found.packages][:2] == [
        ("bash", "5.2.37-2+b5"),
        ("dmsetup", "2:1.02.205-2"),
    ]
    assert found.programs[-1] == Program(
        "/usr/local/bin/runc",
        "go1.26.5",
        Module("github.com/opencontainers/runc", "v1.4.3"),
        (Module("golang.org/x/net", "v0.43.0"),),
    )


def test_a_line_that_nobody_knows_is_an_error() -> None:
    with pytest.raises(ValueError, match="no known kind: jq"):
        read_inventory("{}\n---\njq 1.7 amd64\n")


@pytest.mark.parametrize("of", SYSTEMS)
def test_it_is_valid_and_names_everything(of: str) -> None:
    text = sbom(f"{of}-kube-1.36.4-0a1b2c3d", read_inventory(inventory(of)))
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    document = json.loads(text)
    names = {item["name"] for item in document["components"]}
    assert {*COMPONENTS, "/usr/local/bin/my-agent", of.partition("-")[0]} <= names
    assert {line.split("|")[1] for line in SYSTEMS[of].splitlines() if line[:3] in ("deb", "rpm")} <= names
    assert document["metadata"]["component"]["version"] == "a" * 64


def test_only_the_operating_system_is_one() -> None:
    """trivy takes any of several: it read the name of the image as that of a system."""
    document = json.loads(sbom("name", read_inventory(TEXT)))
    everything = [document["metadata"]["component"], *document["components"]]
    (system,) = [item for item in everything if item["type"] == "operating-system"]
    assert (system["name"], system["version"]) == ("debian", "13")
    parts = {item["ref"]: item.get("dependsOn", []) for item in document["dependencies"]}
    assert parts["debian-13"] == sorted(ref for ref in components(TEXT) if ref.startswith("deb:"))


@pytest.mark.parametrize(
    ("of", "reference", "purl", "source"),
    [
        (
            "debian-13",
            "deb:dmsetup:amd64@2:1.02.205-2",
            "pkg:deb/debian/dmsetup@2:1.02.205-2?arch=amd64&distro=debian-13&upstream=lvm2%402.03.31-2",
            {"SrcName": "lvm2", "SrcVersion": "2.03.31", "SrcRelease": "2"},
        ),
        (
            "debian-13",
            "deb:lvm2:amd64@2.03.31-2",
            "pkg:deb/debian/lvm2@2.03.31-2?arch=amd64&distro=debian-13",
            {},
        ),
        (
            "debian-13",
            "deb:linux-image-6.12.57+deb13-amd64:amd64@6.12.57-1",
            "pkg:deb/debian/linux-image-6.12.57%2Bdeb13-amd64@6.12.57-1?arch=amd64&distro=debian-13&upstream=linux",
            {"SrcName": "linux", "SrcVersion": "6.12.57", "SrcRelease": "1"},
        ),
        (
            "ubuntu-24.04",
            "deb:linux-image-6.8.0-50-generic:amd64@6.8.0-50.51",
            "pkg:deb/ubuntu/linux-image-6.8.0-50-generic@6.8.0-50.51?arch=amd64&distro=ubuntu-24.04&upstream=linux",
            {"SrcName": "linux", "SrcVersion": "6.8.0", "SrcRelease": "50.51"},
        ),
        (
            "rocky-9",
            "rpm:openssl-libs:x86_64@1:3.5.1-4.el9",
            "pkg:rpm/rocky/openssl-libs@3.5.1-4.el9?arch=x86_64&distro=rocky-9.6&epoch=1&upstream=openssl-3.5.1-4.el9.src.rpm",
            {"SrcName": "openssl", "SrcVersion": "3.5.1", "SrcRelease": "4.el9", "SrcEpoch": "1"},
        ),
        (
            "rocky-9",
            "rpm:gpg-pubkey:(none)@350d275d-6279464b",
            "pkg:rpm/rocky/gpg-pubkey@350d275d-6279464b?distro=rocky-9.6",
            {},
        ),
    ],
)
def test_a_package_names_its_source(of: str, reference: str, purl: str, source: dict[str, str]) -> None:
    found = components(inventory(of))[reference]
    assert found["purl"] == purl
    assert properties(found) == source


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("linux-signed-arm64|6.1.140+1~bpo11+1", "linux@6.1.140-1~bpo11%2B1"),
        ("linux-signed-aws-6.14|6.14.0-1007.7", "linux-aws-6.14@6.14.0-1007.7"),
    ],
)
def test_a_signed_kernel_is_that_of_its_source(source: str, expected: str) -> None:
    text = inventory("ubuntu-24.04", f"os|ubuntu|24.04\ndeb|kernel|1|amd64|{source}")
    assert components(text)["deb:kernel:amd64@1"]["purl"].endswith(f"&upstream={expected.replace('@', '%40')}")


def test_a_stream_is_named() -> None:
    found = components(inventory("rocky-9"))["rpm:nodejs:x86_64@1:22.16.0-1.module+el9.6.0"]
    assert properties(found)["Modularitylabel"] == "nodejs:22:9060020250602085132:rhel9"
    assert "rpmmod=nodejs:22:9060020250602085132:rhel9" in found["purl"]


def test_programs_are_told_with_their_modules() -> None:
    found = components(TEXT)
    assert found["runc"]["hashes"] == [{"alg": "SHA-256", "content": "b" * 64}]
    assert properties(found["runc"]) == {"Type": "gobinary", "file": "/usr/local/bin/runc"}
    assert {ref for ref in found if ref.startswith("runc:")} == {
        "runc:stdlib@v1.26.5",
        "runc:github.com/opencontainers/runc@v1.4.3",
        "runc:golang.org/x/net@v0.43.0",
    }
    assert found["runc:golang.org/x/net@v0.43.0"]["purl"] == "pkg:golang/golang.org/x/net@v0.43.0"
    assert found["runc:stdlib@v1.26.5"]["cpe"] == "cpe:2.3:a:golang:go:1.26.5:-:*:*:*:*:*:*"


def test_a_program_that_does_not_know_its_version_has_that_of_its_component() -> None:
    found = components(TEXT)
    assert {ref for ref in found if ref.startswith(("kubelet:k8s.io", "containerd:github", "cni-plugins:github"))} == {
        "kubelet:k8s.io/kubernetes@v1.36.4",
        "kubelet:k8s.io/apimachinery@v0.36.4",
        "kubelet:k8s.io/client-go@v0.36.4",
        "containerd:github.com/containerd/containerd/v2@v2.3.4",
        "cni-plugins:github.com/containernetworking/plugins@v1.9.1",
    }
    assert "kubelet:stdlib@v1.26.4" in found, "without the experiments of its compiler"
    assert "kubelet:golang.org/x/net@v0.51.0" in found, "the module that took the other's place"


def test_a_module_without_a_version_is_not_told() -> None:
    assert {ref for ref in components(TEXT) if "my-agent" in ref} == {
        "/usr/local/bin/my-agent",
        "/usr/local/bin/my-agent:stdlib@v1.26.5",
    }


def test_the_same_image_gives_the_same_text() -> None:
    found = read_inventory(TEXT)
    assert sbom("name", found) == sbom("name", read_inventory(TEXT))
    assert sbom("name", found) != sbom("other", found)
    assert sbom("name", found) != sbom("name", read_inventory(TEXT.replace("v0.43.0", "v0.44.0")))


@pytest.fixture(scope="module")
def go_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A program of two modules, one of them in the place of another."""
    folder = tmp_path_factory.mktemp("program")
    (folder / "library").mkdir()
    (folder / "library" / "go.mod").write_text("module example.com/library\n\ngo 1.22\n")
    (folder / "library" / "library.go").write_text('package library\n\nconst Greeting = "hello"\n')
    (folder / "go.mod").write_text(
        "module example.com/agent\n\ngo 1.22\n\nrequire example.com/library v1.2.3\n\n"
        "replace example.com/library => ./library\n"
    )
    (folder / "main.go").write_text(
        'package main\n\nimport "example.com/library"\n\nfunc main() { println(library.Greeting) }\n'
    )
    (folder / "bin").mkdir()
    environment = {**os.environ, "GOFLAGS": "-mod=mod", "GOWORK": "off", "CGO_ENABLED": "0"}
    subprocess.run(["go", "build", "-o", "bin/agent", "."], cwd=folder, env=environment, check=True)
    (folder / "bin" / "script").write_text("#!/bin/sh\n")
    (folder / "bin" / "script").chmod(0o755)
    (folder / "bin" / "link").symlink_to("agent")
    return folder / "bin" / "agent"


def told(tmp_path: Path, folder: Path, before: str = "") -> str:
    (tmp_path / "manifest.json").write_text("{}\n")
    environment = {**os.environ, "MANIFEST_FILE": str(tmp_path / "manifest.json"), "PROGRAM_FOLDERS": str(folder)}
    script = f"{library()}\n{before}\n{INVENTORY.read_text()}"
    done = subprocess.run(["bash", "-c", script], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_server_reads_a_program_as_go_does(go_program: Path, tmp_path: Path) -> None:
    found = told(tmp_path, go_program.parent)
    expected = subprocess.run(["go", "version", "-m", go_program], capture_output=True, text=True, check=True).stdout
    version = expected.splitlines()[0].rpartition(" ")[2]
    modules = re.findall(r"^\t((?:mod|dep|=>)\t[^\t\n]+\t[^\t\n]+)", expected, re.MULTILINE)
    lines = found.splitlines()
    at = lines.index(f"program\t{go_program}\t{version}")
    assert lines[at + 1 :] == modules
    (program,) = read_inventory(found).programs
    assert program.modules == (Module("example.com/library", "(devel)"),)


def test_the_server_tells_its_packages(tmp_path: Path) -> None:
    """Of this machine, as dpkg has them: installed, with their source."""
    found = read_inventory(told(tmp_path, tmp_path))
    shown = "${Package} ${Version} ${source:Package} ${source:Version} ${db:Status-Status}\n"
    query = ["dpkg-query", "--show", "--showformat", shown]
    lines = subprocess.run(query, capture_output=True, text=True, check=True).stdout.splitlines()
    installed = [line.removesuffix(" installed") for line in lines if line.endswith(" installed")]
    told_of = [f"{item.name} {item.version} {item.source.name} {item.source.version}" for item in found.packages]
    assert sorted(map(_without_kernel, told_of)) == sorted(map(_without_kernel, installed))


def _without_kernel(line: str) -> str:
    """The source of a signed kernel is told as another."""
    return "a kernel" if line.startswith("linux-image") else line


RPM = r"""
command() {{ [[ $2 != dpkg-query ]]; }}
rpm() {{
    case "$*" in
        *--list*) echo {owned} ;;
        *) printf 'rpm\tbash\t0:5.1.8-9.el9\tx86_64\tbash-5.1.8-9.el9.src.rpm\t(none)\n' ;;
    esac
}}
"""


def test_what_a_package_brought_is_not_told_again(go_program: Path, tmp_path: Path) -> None:
    folder = go_program.parent
    others = read_inventory(told(tmp_path, folder, RPM.format(owned="/usr/bin/bash")))
    assert [program.file for program in others.programs] == [str(go_program)]
    found = read_inventory(told(tmp_path, folder, RPM.format(owned=go_program)))
    assert found.programs == ()
    assert [(item.kind, item.name, str(item.version)) for item in found.packages] == [("rpm", "bash", "5.1.8-9.el9")]
