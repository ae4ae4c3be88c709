"""A stack file is read with all of its problems at once, each with its place, rule and remedy."""

from pathlib import Path

import pytest
import yaml

from images.stackfile import StackFile, load_stack_file, parse_stack_file
from recipe.catalog import Catalog
from recipe.problems import Problem, ProblemsError

LABEL = "stacks/Pulumi.test.yaml"
GOOD_IMAGES = [{"os": "debian-13", "kubernetes": ["1.36.4"]}]


def parse(catalog: Catalog, **config: object) -> StackFile:
    keys = {key.replace("__", ":"): value for key, value in config.items()}
    return parse_stack_file(yaml.safe_dump({"config": keys}), catalog, LABEL)


def problems(catalog: Catalog, **settings: object) -> tuple[Problem, ...]:
    config = {"images": GOOD_IMAGES, **settings}
    with pytest.raises(ProblemsError) as caught:
        parse_stack_file(
            yaml.safe_dump({"config": {k if ":" in k else f"node-images:{k}": v for k, v in config.items()}}),
            catalog,
            LABEL,
        )
    return caught.value.problems


def test_defaults_suit_hetzner_cloud(catalog: Catalog) -> None:
    settings = parse(catalog, **{"node-images__images": GOOD_IMAGES})
    assert settings.images[0].architectures == ["amd64"]
    assert (settings.ssh_port, settings.keep_generations, settings.max_parallel) == (22, 1, 2)
    assert settings.mirror is None
    assert "cx22" not in settings.server_types["amd64"], "Hetzner no longer offers cx22"


def test_one_version_needs_no_list(catalog: Catalog) -> None:
    settings = parse(catalog, **{"node-images__images": [{"os": "debian-13", "kubernetes": "1.36.4"}]})
    assert settings.images[0].kubernetes == ["1.36.4"]


def test_every_committed_stack_file_is_good(catalog: Catalog) -> None:
    files = sorted(Path("stacks").glob("Pulumi.*.yaml"))
    assert [file.name for file in files] == ["Pulumi.dev.yaml", "Pulumi.prod.yaml", "Pulumi.sandbox.yaml"]
    for file in files:
        assert load_stack_file(file, catalog).images


@pytest.mark.parametrize(
    ("settings", "key", "rule", "remedy"),
    [
        (
            {"images": [{"os": "debian-31", "kubernetes": "1.36.4"}]},
            "images[0].os",
            "not an operating system",
            "debian-13",
        ),
        ({"images": [{"os": "debian-13", "kubernetes": 1.36}]}, "images[0].kubernetes[0]", "is a number", '"1.36.0"'),
        (
            {"images": [{"os": "debian-13", "kubernetes": "v1.36.4"}]},
            "images[0].kubernetes[0]",
            "MAJOR.MINOR.PATCH",
            "1.36.4",
        ),
        (
            {"images": [{"os": "debian-13", "kubernetes": "1.36"}]},
            "images[0].kubernetes[0]",
            "MAJOR.MINOR.PATCH",
            "1.36.4",
        ),
        ({"images": [{"os": "debian-13", "kubernetes": "1.20.1"}]}, "images[0].kubernetes[0]", "no components", "1.36"),
        (
            {"images": [{"os": "debian-13", "kubernetes": ["1.36.4", "1.36.4"]}]},
            "images",
            "declared 2 times",
            "keep one",
        ),
        ({"images": GOOD_IMAGES * 2}, "images", "declared 2 times", "keep one"),
        ({"images": []}, "images", "at least 1 item", "docs/stack-file.md"),
        ({"images": [{"os": "debian-13"}]}, "images[0].kubernetes", "required", "stacks/Pulumi.dev.yaml"),
        ({"images": [{**GOOD_IMAGES[0], "arch": "arm64"}]}, "images[0].arch", "unknown key", "architectures"),
        (
            {"images": [{**GOOD_IMAGES[0], "architectures": ["x86"]}]},
            "images[0].architectures[0]",
            "'amd64' or 'arm64'",
            "",
        ),
        ({"imagse": 1}, "imagse", "unknown key", "did you mean images?"),
        ({"keepGenerations": -1}, "keepGenerations", "greater than or equal to 0", ""),
        ({"sshPort": 70000}, "sshPort", "less than or equal to 65535", ""),
        ({"onFailure": "explode"}, "onFailure", "'release' or 'keep'", ""),
        ({"artifacts": {"mirror": "nowhere"}}, "artifacts.mirror", "valid URL", ""),
        (
            {"artifacts": {"mirror": "http://m", "localBuild": True}},
            "artifacts.localBuild",
            "unknown key",
            "localBuilds",
        ),
        ({"hcloud:endpoint": "127.0.0.1"}, "hcloud:endpoint", "not a URL", "http://127.0.0.1:8787/v1"),
        ({"hcloud:token": "short"}, "hcloud:token", "64 characters, this has 5", "--secret"),
        ({"nodeimages:images": 1}, "nodeimages:images", "unknown key", "did you mean node-images?"),
    ],
)
def test_a_mistake_is_named_with_rule_and_remedy(
    catalog: Catalog, settings: dict[str, object], key: str, rule: str, remedy: str
) -> None:
    found = problems(catalog, **settings)
    assert [problem.key.removeprefix("node-images:") for problem in found] == [key]
    assert found[0].file == LABEL
    assert rule in found[0].rule
    assert remedy in found[0].remedy


def test_all_problems_come_at_once(catalog: Catalog) -> None:
    found = problems(catalog, images=[{"os": "x", "kubernetes": 1.3}], sshPort=0, typo=1)
    assert len(found) == 4


def test_a_token_is_never_shown(catalog: Catalog) -> None:
    assert "hunter2" not in str(ProblemsError(problems(catalog, **{"hcloud:token": "hunter2"})))


@pytest.mark.parametrize("text", ["", "config:", "config: [1]", "[]", "images: 1", "{", "config:\n\t- x"])
def test_a_file_that_is_no_stack_file(catalog: Catalog, text: str) -> None:
    with pytest.raises(ProblemsError, match=LABEL):
        parse_stack_file(text, catalog, LABEL)


def test_a_missing_file(catalog: Catalog, tmp_path: Path) -> None:
    with pytest.raises(ProblemsError, match="no readable stack file"):
        load_stack_file(tmp_path / "Pulumi.none.yaml", catalog)
