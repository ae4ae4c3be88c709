"""Which host of dynamic resources is an orphan, on a made-up /proc."""

from pathlib import Path

from tools.orphans import orphans

ROOT = Path("/home/me/node images")


def process(proc: Path, pid: int, parent: int, name: str, *arguments: str) -> None:
    folder = proc / str(pid)
    folder.mkdir()
    (folder / "cmdline").write_text("\0".join(arguments))
    (folder / "comm").write_text(f"{name}\n")
    (folder / "status").write_text(f"Name:\t{name}\nPPid:\t{parent}\n")


def test_only_a_host_of_this_checkout_without_an_engine_is_an_orphan(tmp_path: Path) -> None:
    host = [f"{ROOT}/.venv/bin/python", "-u", "-m", "pulumi.dynamic", "127.0.0.1:1"]
    process(tmp_path, 1, 0, "init", "init")
    process(tmp_path, 10, 1, "pulumi", "pulumi", "up")
    process(tmp_path, 11, 10, "sh", "pulumi-resource-pulumi-python")
    process(tmp_path, 12, 11, "python", *host)
    process(tmp_path, 20, 1, "sh", "pulumi-resource-pulumi-python")
    process(tmp_path, 21, 20, "python", *host)
    process(tmp_path, 30, 1, "python", "/home/you/.venv/bin/python", "-u", "-m", "pulumi.dynamic", "127.0.0.1:1")
    process(tmp_path, 31, 1, "python", f"{ROOT}/.venv/bin/python", "-m", "sandbox")
    process(
        tmp_path,
        40,
        1,
        "pulumi-resource",
        f"{ROOT}/.pulumi/home/plugins/resource-hcloud-v1/pulumi-resource-hcloud",
        "x",
    )
    process(
        tmp_path,
        41,
        10,
        "pulumi-resource",
        f"{ROOT}/.pulumi/home/plugins/resource-hcloud-v1/pulumi-resource-hcloud",
        "x",
    )
    assert sorted(orphans(ROOT, tmp_path)) == [21, 40]
