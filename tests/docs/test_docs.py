"""The documents are true: links lead somewhere, keys and defaults are the model's, every command is run by some test."""

import re
from pathlib import Path

import pytest
from pydantic_core import PydanticUndefined

from images.stackfile import ArtifactSettings, ImageSettings, StackFile, Timeouts
from recipe.kubeadm import KubeadmSettings
from recipe.options import NodeOptions, OwnSteps

OF_THE_PROJECT = [Path(name) for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")]
DOCUMENTS = [*OF_THE_PROJECT, Path("sandbox/README.md"), *sorted(Path("docs").rglob("*.md"))]
# Typed as a whole, command by command, by tests/e2e/test_tutorial.py.
TUTORIAL = Path("docs/tutorial.md")

# Each command of the documents, and the test file that runs it.
PROVED_BY = {
    r"make sandbox": "tests/e2e/test_main_job.py",
    r"make cluster": "tests/cluster",
    r"make test": ".ci/run",
    r"make setup": "tests/toolchain",
    r"make lint": "tests/lint",
    r"\.venv/bin/python -m pytest -n 0 tests/images/test_plan\.py( -k digest)?": ".ci/run",
    r"make clean": "tests/e2e/workspace.py",
    r"make clean-cache": "tests/toolchain",
    r'eval "\$\(make --silent sandbox-env\)"': "tests/e2e/test_main_job.py",
    r"hcloud image list --type snapshot( --selector '!managed-by')?": "tests/e2e/test_main_job.py",
    r"\./node-images render (cloud-init|pre-kubeadm-commands) --os debian-13 --kubernetes 1.36.4": "tests/cli/test_render.py",
    r"mkdir --parents image": "tests/docs",
    r"\./node-images render (image|script|acceptance|packer) --os debian-13 --kubernetes 1.36.4 --output image/[a-z.]+": (
        "tests/e2e/workspace.py"
    ),
    r"examples/curl/node-image.sh build image": "tests/forms/test_same_node.py",
    r"packer build image/node.pkr.hcl": "tests/e2e/test_main_job.py",
    r"examples/curl/node-image.sh verify image SNAPSHOT": "tests/e2e/test_main_job.py",
    r"\./node-images render install-image --os debian-13 --kubernetes 1.36.4 --stack prod --url \S+": (
        "tests/cli/test_render.py"
    ),
    r"\./node-images lock [\d.]+": "tests/cli/test_lock.py",
    r"\./node-images report --stack prod": "tests/cli/test_report.py",
    r"\./node-images report --preview preview.json --markdown": "tests/cli/test_report.py",
    r"\./node-images diff debian-13/\S+ debian-13/1.36.4 --stack prod( --format markdown)?": "tests/cli/test_diff.py",
    r"\./node-images new( prod --os .*)?": "tests/cli/test_new.py",
    r"\./node-images scan --stack prod( --scanner grype)?": "tests/cli/test_scan.py",
    r"pulumi new URL --generate-only": "tests/toolchain/test_template.py",
    r'eval "\$\(\./node-images completion bash\)"': "tests/cli/test_help.py",
    r"\./node-images completion (zsh|fish) .*": "tests/cli/test_help.py",
    r"\./node-images refresh --stack prod": "tests/cli/test_refresh.py",
    r"\./pulumiw preview --json --stack prod >preview.json": "tests/e2e/test_changes.py",
    r"\./node-images manifests --stack prod .*(bare-metal|--new-cluster).*": "tests/docs/test_interface.py",
    r"kubectl (apply|create|label) .*": "tests/cluster/test_apply.py",
    r"\./node-images manifests --stack prod .*": "tests/e2e/test_clusters.py",
    r"\./node-images catalogue --stack prod --output catalogue": "tests/e2e/test_clusters.py",
    r"\./pulumiw stack output --json --stack prod \| \./node-images manifests --exports - --format env": (
        "tests/e2e/test_clusters.py"
    ),
    r"\./pulumiw -C examples/cluster (stack init prod|up --stack prod|stack output manifests --stack prod)": (
        "tests/e2e/test_clusters.py"
    ),
    r"\./pulumiw preview": "tests/e2e/workspace.py",
    r"\./pulumiw up": "tests/e2e/workspace.py",
    r"\./pulumiw destroy": "tests/e2e/test_changes.py",
    r"\./pulumiw stack output snapshots --json( --stack staging)?": "tests/e2e/test_main_job.py",
    r"\./pulumiw stack init (dev|staging|prod)": "tests/e2e/test_real_account.py",
    r"\./pulumiw config set --secret hcloud:token --stack (dev|staging)": "tests/e2e/test_real_account.py",
    r"\./pulumiw preview --stack (dev|prod)": "tests/e2e/test_real_account.py",
    r"\./pulumiw up --stack (dev|staging|prod)": "tests/e2e/test_real_account.py",
    r"\./node-images artifacts --stack prod": "tests/cli/test_artifacts.py",
    r"(trivy sbom |grype sbom:)sboms/prod/\S+": "tests/scanners/test_scanners.py",
}


def commands(document: Path) -> list[str]:
    blocks = re.findall(r"^ *```sh\n(.*?)^ *```", document.read_text(), re.MULTILINE | re.DOTALL)
    lines = [line.partition("  #")[0].strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line]


WITH_COMMANDS = [path for path in DOCUMENTS if path.parent.name != "sandbox" and path != TUTORIAL]


@pytest.mark.parametrize("document", WITH_COMMANDS, ids=str)
def test_every_command_is_run_by_a_test(document: Path) -> None:
    for command in commands(document):
        proofs = [place for pattern, place in PROVED_BY.items() if re.fullmatch(pattern, command)]
        assert proofs, f"{document}: nothing runs `{command}`"
        assert Path(proofs[0]).exists(), proofs[0]


def test_no_proof_is_left_of_a_command_that_is_gone() -> None:
    said = {command for document in WITH_COMMANDS for command in commands(document)}
    assert [pattern for pattern in PROVED_BY if not any(re.fullmatch(pattern, command) for command in said)] == []


def prose(document: Path) -> str:
    return re.sub(r"^ *```.*?^ *```", "", document.read_text(), flags=re.MULTILINE | re.DOTALL)


def anchors(document: Path) -> set[str]:
    """What GitHub and GitLab make of the headings."""
    headings = re.findall(r"^#+ (.*)$", prose(document), re.MULTILINE)
    plain = [re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings]
    return {heading.strip().replace(" ", "-") for heading in plain}


def leads_somewhere(document: Path, link: str) -> bool:
    name, _, anchor = link.partition("#")
    target = document.parent / name if name else document
    return target.exists() and (not anchor or anchor in anchors(target))


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_links_lead_somewhere(document: Path) -> None:
    links = [link for link in re.findall(r"\]\(([^)\s]+)\)", prose(document)) if "://" not in link]
    assert [link for link in links if not leads_somewhere(document, link)] == []


def test_a_link_to_nowhere_is_found() -> None:
    assert leads_somewhere(TUTORIAL, "architecture.md#names-and-digests")
    assert not leads_somewhere(TUTORIAL, "architecture.md#names-and-numbers")
    assert not leads_somewhere(TUTORIAL, "nowhere.md")


def test_a_reader_of_the_readme_comes_to_every_page() -> None:
    seen: set[Path] = set()
    ahead = [Path("README.md")]
    while ahead:
        page = ahead.pop()
        seen.add(page.resolve())
        links = re.findall(r"\]\(([^)#\s]+\.md)", prose(page))
        ahead += [
            page.parent / link for link in links if "://" not in link and (page.parent / link).resolve() not in seen
        ]
    assert [page for page in DOCUMENTS if page.resolve() not in seen] == []


@pytest.mark.parametrize(
    ("model", "prefix"),
    [
        (StackFile, "node-images:"),
        (ImageSettings, "[]."),
        (ArtifactSettings, "artifacts."),
        (Timeouts, "timeouts."),
        (NodeOptions, "node."),
        (OwnSteps, "steps."),
        (KubeadmSettings, "kubeadm."),
    ],
)
def test_every_key_is_described(model: type, prefix: str) -> None:
    text = Path("docs/stack-file.md").read_text()
    for name, field in model.model_fields.items():
        key = field.alias or name
        if key in ("artifacts", "timeouts", "node", "steps", "kubeadm"):
            continue
        row = next((line for line in text.splitlines() if line.startswith("|") and f"{prefix}{key}`" in line), None)
        assert row, f"docs/stack-file.md does not describe {prefix}{key}"
        if isinstance(field.default, int | str) and field.default != "" and field.default is not PydanticUndefined:
            assert f"`{str(field.default).lower()}`" in row, f"{key}: the default is {field.default}"


def test_every_step_is_described() -> None:
    text = Path("docs/node.md").read_text()
    for file in Path("recipe/steps").glob("[0-9]*.sh"):
        assert f"`{file.stem.partition('-')[2].partition('.')[0]}`" in text, file


def test_every_dependency_is_explained() -> None:
    text = Path("docs/dependencies.md").read_text()
    names = re.findall(
        r"^([\w-]+)==", Path("requirements.txt").read_text() + Path("requirements-dev.txt").read_text(), re.M
    )
    assert [name for name in names if not name.startswith("types-") and not re.search(rf"\b{name}\b", text)] == []
