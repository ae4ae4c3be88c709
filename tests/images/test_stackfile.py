"""A stack file is read with all of its problems at once, each with its place, rule and remedy."""

import re
from datetime import date
from pathlib import Path

import pytest
import yaml
from pulumi_hcloud.config.vars import _ExportableConfig
from pydantic.alias_generators import to_camel

from adapters.bash import syntax_error
from images.stackfile import PROVIDER_KEYS, StackFile, load_stack_file, parse_stack_file
from recipe.catalog import Catalog, load_catalog
from recipe.lock import load_lock, locked_versions
from recipe.problems import Problem, ProblemsError

LABEL = "stacks/Pulumi.test.yaml"
NEWEST = locked_versions(load_catalog(), load_lock(), "1.36")[-1]
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
            today=date(2026, 6, 1),
        )
    return caught.value.problems


def test_an_operating_system_past_its_end_is_taken(catalog: Catalog) -> None:
    """Previews and reports warn: a cluster that is still on it must be able to scale."""
    text = yaml.safe_dump({"config": {"node-images:images": [{"os": "ubuntu-22.04", "kubernetes": "1.36.4"}]}})
    assert parse_stack_file(text, catalog, LABEL, today=date(2029, 5, 1)).images


def test_a_setting_beside_config_is_told(catalog: Catalog) -> None:
    """The engine passes over it."""
    text = yaml.safe_dump({"config": {"node-images:images": GOOD_IMAGES}, "node-images:keepGenerations": 2})
    with pytest.raises(ProblemsError, match="node-images:keepGenerations = 2") as caught:
        parse_stack_file(text, catalog, LABEL)
    assert "write it below config:" in str(caught.value)


def test_the_settings_of_the_provider_are_those_of_its_sdk() -> None:
    settings = [name for name, value in vars(_ExportableConfig).items() if isinstance(value, property)]
    assert sorted(map(to_camel, settings)) == sorted(PROVIDER_KEYS)


def test_a_date_that_does_not_exist_hides_no_other_problem(catalog: Catalog) -> None:
    text = (
        f"config:\n  node-images:images: {GOOD_IMAGES}\n  node-images:asOf: 2026-99-99\n  node-images:maxParalel: 1\n"
    )
    with pytest.raises(ProblemsError, match=r"(?s)maxParalel.*2026-99-99|2026-99-99.*maxParalel"):
        parse_stack_file(text, catalog, LABEL)


def test_a_date_is_a_time_of_the_archive(catalog: Catalog) -> None:
    for written in ("2026-03-01", date(2026, 3, 1), "2026-03-01T01:00:00+01:00"):
        settings = parse(catalog, **{"node-images__images": GOOD_IMAGES, "node-images__asOf": written})
        assert settings.as_of == "20260301T000000Z"


def test_files_of_options_are_read(catalog: Catalog, tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "b.sh").write_text("say b")
    (tmp_path / "own" / "a.sh").write_text("say a")
    (tmp_path / "ca.pem").write_text("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n")
    (tmp_path / "debug.toml").write_text("version = 3")
    node = {"steps": {"after": "own"}, "caCertificates": ["ca.pem"], "containerd": ["debug.toml"]}
    text = yaml.safe_dump({"config": {"node-images:images": GOOD_IMAGES, "node-images:node": node}})
    options = parse_stack_file(text, catalog, LABEL, tmp_path).node
    assert [(file.name, file.text) for file in options.steps.after] == [("a.sh", "say a"), ("b.sh", "say b")]
    assert [options.ca_certificates[0].name, options.containerd[0].text] == ["ca.pem", "version = 3"]
    (tmp_path / "debug.toml").write_text("version = ")
    with pytest.raises(ProblemsError, match="not valid TOML"):
        parse_stack_file(text, catalog, LABEL, tmp_path)
    (tmp_path / "ca.pem").write_text(
        "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n-----BEGIN PRIVATE KEY-----"
    )
    with pytest.raises(ProblemsError, match="holds a private key"):
        parse_stack_file(text, catalog, LABEL, tmp_path)


def with_containerd(catalog: Catalog, minor: str, version: str) -> Catalog:
    entry = catalog.kubernetes[minor].model_copy(update={"containerd": version})
    return catalog.model_copy(update={"kubernetes": {**catalog.kubernetes, minor: entry}})


@pytest.mark.parametrize(
    ("versions", "said"),
    [
        (["1.36.4"], {}),
        (["1.36.4", "1.35.8"], {1: "containerd 2.2.9, which Kubernetes 1.35.8 gets, reads version 3 at most"}),
    ],
)
def test_a_drop_in_that_containerd_cannot_read_is_refused(
    catalog: Catalog, tmp_path: Path, versions: list[str], said: dict[int, str]
) -> None:
    for number, name in enumerate(("three", "four", "five"), start=3):
        (tmp_path / f"{name}.toml").write_text(f"version = {number}\n")
    said = {**said, 2: "version = 5 in it, and containerd"}
    node = {"containerd": ["three.toml", "four.toml", "five.toml"]}
    images = [{"os": "debian-13", "kubernetes": versions}]
    config = {"node-images:images": images, "node-images:sshPort": 0, "node-images:node": node}
    with pytest.raises(ProblemsError) as caught:
        parse_stack_file(yaml.safe_dump({"config": config}), with_containerd(catalog, "1.35", "2.2.9"), LABEL, tmp_path)
    *found, port = caught.value.problems
    assert port.key == "node-images:sshPort", "together with all other problems"
    assert [problem.key for problem in found] == [f"node-images:node.containerd[{number}]" for number in sorted(said)]
    for problem, number in zip(found, sorted(said), strict=True):
        assert said[number] in problem.rule
        assert problem.value == f"{node['containerd'][number]}"
        assert "write it in version " in problem.remedy


def test_flags_of_kubelet_are_taken_as_they_are(catalog: Catalog) -> None:
    arguments = {
        "eviction-hard": "memory.available<5%,nodefs.available<10%",
        "v": 2,
        "kube-api-qps": 1.5,
        "fail-swap-on": False,
        "cloud-provider": None,
        "resolv-conf": "",
        "volume-plugin-dir": "/a 'b' \"c\" \\ $d {{e}}",
    }
    settings = parse(
        catalog, **{"node-images__images": GOOD_IMAGES, "node-images__node": {"kubeletArguments": arguments}}
    )
    assert settings.node.kubelet_flags().splitlines() == [
        "--resolv-conf=",
        "--eviction-hard=memory.available<5%,nodefs.available<10%",
        "--fail-swap-on=false",
        "--kube-api-qps=1.5",
        "--v=2",
        "--volume-plugin-dir=/a 'b' \"c\" \\ $d {{e}}",
    ]


def test_a_password_in_a_url_is_not_shown(catalog: Catalog) -> None:
    for url in ("https://robot:secret@harbor.example.com", "https://robot:secret@harbor example"):
        (found,) = problems(catalog, images=GOOD_IMAGES, node={"registryMirrors": {"docker.io": [url]}})
        assert found.key == "node-images:node.registryMirrors.docker.io[0]"
        assert "secret" not in str(found)


def read_own_steps(catalog: Catalog, folder: Path, **steps: str) -> StackFile:
    config = {"node-images:images": GOOD_IMAGES, "node-images:sshPort": 0, "node-images:node": {"steps": steps}}
    return parse_stack_file(yaml.safe_dump({"config": config}), catalog, LABEL, folder, syntax=syntax_error)


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"10-a.sh": "if true; then\n"}, "not valid bash: 10-a.sh: line 2: syntax error: unexpected end of file"),
        ({"10-a.sh": "fi", "20-b.sh": "say b", "30-c.sh": "fi"}, "10-a.sh: line 1: syntax error .*; 30-c.sh: line 1"),
        (
            {"10-a.sh": "say a", "20-b": "say b", "notes.txt": ""},
            "20-b, notes.txt: not the name of a step, so it would",
        ),
        ({"10-a.sh": "say a", "20 b.sh": "say b"}, "20 b.sh: not the name of a step"),
        ({"10-a.sh": "say a", "10-a.sh~": "say a"}, "10-a.sh~: not the name of a step"),
        ({"20-b": "say b"}, "no directory with"),
    ],
)
def test_a_directory_of_own_steps_holds_steps_alone(
    catalog: Catalog, tmp_path: Path, files: dict[str, str], said: str
) -> None:
    (tmp_path / "own").mkdir()
    for name, text in {**files, ".gitkeep": ""}.items():
        (tmp_path / "own" / name).write_text(text)
    with pytest.raises(ProblemsError) as caught:
        read_own_steps(catalog, tmp_path, after="own")
    port, own = sorted(caught.value.problems, key=lambda problem: problem.key, reverse=True)
    assert (own.key, own.value) == ("node-images:node.steps.after", "own")
    assert re.search(said, own.rule)
    assert port.key == "node-images:sshPort", "together with all other problems"


def test_two_own_steps_have_two_names(catalog: Catalog, tmp_path: Path) -> None:
    for place in ("first", "last"):
        (tmp_path / place).mkdir()
        (tmp_path / place / "10-agent.sh").write_text("say on")
    with pytest.raises(ProblemsError, match=r"10-agent\.sh: a step before and another after"):
        read_own_steps(catalog, tmp_path, before="first", after="last")


def test_defaults_suit_hetzner_cloud(catalog: Catalog) -> None:
    settings = parse(catalog, **{"node-images__images": GOOD_IMAGES})
    assert settings.images[0].architectures == ["amd64"]
    assert (settings.ssh_port, settings.keep_generations, settings.max_parallel) == (22, 1, 2)
    assert settings.mirror == ""
    assert "cx22" not in settings.server_types["amd64"], "Hetzner no longer offers cx22"


@pytest.mark.parametrize(("written", "seconds"), [("90s", 90), ("30m", 1800), ("2h", 7200), (45, 45), ("45", 45)])
def test_a_length_of_time(catalog: Catalog, written: object, seconds: int) -> None:
    settings = parse(catalog, **{"node-images__images": GOOD_IMAGES, "node-images__timeouts": {"step": written}})
    assert settings.timeouts.step == seconds


def test_what_is_trusted_beside_the_lock_needs_no_mirror(catalog: Catalog) -> None:
    artifacts = {"unlocked": "published"}
    settings = parse(catalog, **{"node-images__images": GOOD_IMAGES, "node-images__artifacts": artifacts})
    assert settings.artifacts.unlocked == "published"
    assert (settings.mirror, settings.local_builds) == ("", False)


def test_one_version_needs_no_list(catalog: Catalog) -> None:
    settings = parse(catalog, **{"node-images__images": [{"os": "debian-13", "kubernetes": "1.36.4"}]})
    assert settings.images[0].kubernetes == ["1.36.4"]


def test_every_committed_stack_file_is_good(catalog: Catalog) -> None:
    files = sorted(Path("stacks").glob("Pulumi.*.yaml"))
    names = [file.stem.removeprefix("Pulumi.") for file in files]
    assert names == ["cluster", "dev", "prod", "sandbox"]
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
        (
            {"images": [{"os": "debian-13", "kubernetes": 1.36}]},
            "images[0].kubernetes[0]",
            "is a number",
            f'write "{NEWEST}"',
        ),
        (
            {"images": [{"os": "debian-13", "kubernetes": "v1.36.2"}]},
            "images[0].kubernetes[0]",
            "MAJOR.MINOR.PATCH",
            'write "1.36.2"',
        ),
        (
            {"images": [{"os": "debian-13", "kubernetes": "1.36"}]},
            "images[0].kubernetes[0]",
            "MAJOR.MINOR.PATCH",
            f'write "{NEWEST}", the newest of 1.36',
        ),
        (
            {"images": [{"os": "debian-13", "kubernetes": "latest"}]},
            "images[0].kubernetes[0]",
            "MAJOR.MINOR.PATCH",
            'write it like "1.36.4", of one of 1.34, 1.35, 1.36',
        ),
        ({"images": [{"os": "debian-13", "kubernetes": "1.20.1"}]}, "images[0].kubernetes[0]", "no components", "1.36"),
        (
            {"images": [{"os": "debian-13", "kubernetes": ["1.36.4", "1.36.4"]}]},
            "images",
            "declared 2 times",
            "keep one",
        ),
        ({"images": GOOD_IMAGES * 2}, "images", "declared 2 times", "keep one"),
        ({"images": []}, "images", "empty", "name at least one"),
        ({"images": [{"os": "debian-13"}]}, "images[0].kubernetes", "required", "stacks/Pulumi.dev.yaml"),
        ({"images": [{**GOOD_IMAGES[0], "arch": "arm64"}]}, "images[0].arch", "unknown key", "architectures"),
        (
            {"images": [{**GOOD_IMAGES[0], "architectures": ["x86"]}]},
            "images[0].architectures[0]",
            "'amd64' or 'arm64'",
            "",
        ),
        ({"imagse": 1}, "imagse", "unknown key", "did you mean images?"),
        ({"keepGenerations": -1}, "keepGenerations", "less than 0", ""),
        ({"sshPort": 70000}, "sshPort", "more than 65535", ""),
        ({"onFailure": "explode"}, "onFailure", "'release' or 'keep'", ""),
        ({"artifacts": {"unlocked": "yes"}}, "artifacts.unlocked", "'refused' or 'published'", ""),
        ({"timeouts": {"step": "soon"}}, "timeouts.step", "not a length of time", '"30m"'),
        ({"timeouts": {"step": True}}, "timeouts.step", "not a length of time", '"30m"'),
        ({"timeouts": {"step": 0}}, "timeouts.step", "less than 1", ""),
        ({"timeouts": {"steps": "1h"}}, "timeouts.steps", "unknown key", "did you mean step?"),
        ({"artifacts": {"mirror": "nowhere"}}, "artifacts.mirror", "not a URL", ""),
        (
            {"artifacts": {"mirror": "http://m", "localBuild": True}},
            "artifacts.localBuild",
            "unknown key",
            "localBuilds",
        ),
        ({"hcloud:endpoint": "127.0.0.1"}, "hcloud:endpoint", "not a URL", "http://127.0.0.1:8787/v1"),
        ({"hcloud:tokn": "short"}, "hcloud:tokn", "does not read it", "did you mean token?"),
        ({"hcloud:token": "short"}, "hcloud:token", "64 characters, this has 5", "--secret"),
        ({"node": {"extraPackage": ["x"]}}, "node.extraPackage", "unknown key", "did you mean extraPackages?"),
        ({"node": {"extraPackages": ["a b"]}}, "node.extraPackages[0]", "not a package name", "htop"),
        ({"node": {"modules": ["ip_vs; reboot"]}}, "node.modules[0]", "not a kernel module", "ip_vs"),
        ({"node": {"sysctls": {"somaxconn": 1}}}, "node.sysctls.somaxconn", "not a kernel setting", "net.core"),
        ({"node": {"sysctls": {"vm.swappiness": "1'; x"}}}, "node.sysctls.vm.swappiness", "without quotes", '"4096"'),
        ({"node": {"registryMirrors": {"docker.io": []}}}, "node.registryMirrors.docker.io", "empty", ""),
        ({"node": {"registryMirrors": {"docker.io": ["x"]}}}, "node.registryMirrors.docker.io[0]", "not a URL", ""),
        (
            {"node": {"registryMirrors": {"docker.io": ["https://robot@harbor.example.com/v2/proxy"]}}},
            "node.registryMirrors.docker.io[0]",
            "a user or password in it would stand",
            "where the credentials of a registry can live",
        ),
        (
            {"node": {"registryCertificates": {"r.example": "README.md"}}},
            "node.registryCertificates.r.example",
            "no certificate",
            "openssl",
        ),
        ({"node": {"containerLimits": {"nofile": "9:1"}}}, "node.containerLimits.nofile", "is above the one", "swap"),
        ({"node": {"containerLimits": {"nofile": "much"}}}, "node.containerLimits.nofile", "not a limit", "65536"),
        ({"node": {"containerLimits": {"files": 9}}}, "node.containerLimits.files", "'nofile'", "write one of these"),
        (
            {"node": {"kubeletArguments": {"eviction-hard": "a\nb"}}},
            "node.kubeletArguments.eviction-hard",
            "one line",
            "memory",
        ),
        ({"node": {"extraImages": ["Not An Image"]}}, "node.extraImages[0]", "not an image reference", "quay.io"),
        (
            {"node": {"kubeletArguments": {"--max-pods": 9}}},
            "node.kubeletArguments.--max-pods",
            "kubelet flag",
            "",
        ),
        ({"node": {"caCertificates": ["no/such.pem"]}}, "node.caCertificates[0]", "cannot be read", "seen from"),
        ({"node": {"caCertificates": ["README.md"]}}, "node.caCertificates[0]", "no certificate", "openssl x509"),
        ({"node": {"containerd": ["README.md"]}}, "node.containerd[0]", "end in .toml", "README.md.toml"),
        ({"node": {"steps": {"before": "no/such"}}}, "node.steps.before", "no directory with *.sh", "seen from"),
        ({"node": {"hardening": "stig"}}, "node.hardening", "'none' or 'cis'", ""),
        (
            {"node": {"hardening": "cis", "sysctls": {"kernel.yama.ptrace_scope": 2}}},
            "node",
            "cis sets kernel.yama.ptrace_scope = 1 (CIS 1.5.2), and sysctls says 2",
            "take one of the two out",
        ),
        ({"asOf": "yesterday"}, "asOf", "not a date", "2026-11-01"),
        ({"asOf": "2999-01-01"}, "asOf", "no package archive knows the future", "2026-06-01"),
        (
            {"images": [{"os": "rocky-10", "kubernetes": "1.36.4"}], "asOf": "2026-01-01"},
            "",
            "keeps no archive",
            "remove asOf",
        ),
        ({"forms": ["tarball"]}, "forms", "there always is one", "[snapshot, tarball]"),
        ({"forms": ["snapshot", "tarbal"]}, "forms[1]", "'snapshot' or 'tarball'", ""),
        ({"forms": "tarball"}, "forms", "not a list", ""),
        ({"tarballs": ""}, "tarballs", "empty", ""),
        ({"tarball": "x"}, "tarball", "unknown key", "did you mean tarballs?"),
        (
            {"images": [{"os": "rocky-10", "kubernetes": "1.36.4"}], "forms": ["snapshot", "tarball"]},
            "",
            "no tarball for installimage can be made of rocky-10",
            "remove tarball",
        ),
        ({"verification": "none"}, "verification", "'cluster' or 'join'", ""),
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


@pytest.mark.parametrize(
    ("settings", "key", "remedy"),
    [
        (
            {"images": [{**GOOD_IMAGES[0], "forms": ["snapshot"]}]},
            "images[0].forms",
            "it belongs one level up: write it as node-images:forms",
        ),
        (
            {"images": [{**GOOD_IMAGES[0], "keepGenerations": 2}]},
            "images[0].keepGenerations",
            "it belongs one level up: write it as node-images:keepGenerations",
        ),
        (
            {"kubernetes": "1.36.4"},
            "kubernetes",
            "it belongs below images: write it as node-images:images[].kubernetes",
        ),
        ({"boot": "2m"}, "boot", "it belongs below timeouts: write it as node-images:timeouts.boot"),
        ({"before": "own"}, "before", "it belongs below node.steps: write it as node-images:node.steps.before"),
        ({"node": {"after": "own"}}, "node.after", "it belongs below node.steps: write"),
        (
            {"node": {"steps": {"sysctls": {}}}},
            "node.steps.sysctls",
            "one level up: write it as node-images:node.sysctls",
        ),
        ({"node": {"steps": {"forms": []}}}, "node.steps.forms", "2 levels up: write it as node-images:forms"),
        (
            {"timeouts": {"mirror": "http://m"}},
            "timeouts.mirror",
            "below artifacts: write it as node-images:artifacts.",
        ),
        ({"timeouts": {"tarballs": "1h"}}, "timeouts.tarballs", "did you mean tarball?"),
    ],
)
def test_a_key_at_the_wrong_level_is_told_where_it_belongs(
    catalog: Catalog, settings: dict[str, object], key: str, remedy: str
) -> None:
    (found,) = problems(catalog, **settings)
    assert found.key == f"node-images:{key}"
    assert remedy in found.remedy


def test_a_key_without_the_projects_name_is_told_how_to_write_it(catalog: Catalog) -> None:
    text = yaml.safe_dump({"config": {"node-images:images": GOOD_IMAGES, "forms": ["snapshot"]}})
    with pytest.raises(ProblemsError, match="write it as node-images:forms"):
        parse_stack_file(text, catalog, LABEL)


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


def test_lengths_of_time_and_networks(catalog: Catalog) -> None:
    settings = parse(
        catalog,
        **{
            "node-images__images": [{**GOOD_IMAGES[0], "protect": True}],
            "node-images__timeouts": {"boot": "2m", "room": "1h", "action": 30},
            "node-images__sshFrom": ["203.0.113.7", "2001:db8::/32"],
            "node-images__reverify": 2,
        },
    )
    assert (settings.timeouts.boot, settings.timeouts.room, settings.timeouts.action) == (120, 3600, 30)
    assert settings.ssh_from == ["203.0.113.7/32", "2001:db8::/32"]
    assert (settings.images[0].protect, settings.reverify) == (True, "2")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"timeouts": {"boot": "soon"}}, "not a length of time"),
        ({"timeouts": {"boot": 0}}, "less than 1"),
        ({"timeouts": {"bot": 1}}, "did you mean boot?"),
        ({"sshFrom": ["here"]}, "not a network"),
        ({"sshFrom": ["203.0.113.7/24"]}, "has host bits set"),
    ],
)
def test_wrong_lengths_and_networks(catalog: Catalog, settings: dict[str, object], said: str) -> None:
    assert said in str(problems(catalog, **settings)[0])
