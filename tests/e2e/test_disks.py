"""An image that was built on a larger disk, as the small types were sold out: told, and built again small, under its name."""

from tests.e2e.workspace import Workspace

SMALL, LARGE = 40, 80


def disk(small: Workspace) -> int:
    (record,) = small.output("images")
    found: int = record["disks"]["amd64"]
    return found


def test_an_image_of_a_large_disk_is_told_and_built_again_small(small: Workspace) -> None:
    small.declare("1.36.4")
    small.configure(serverTypes={"amd64": ["cx23", "cx33"]})
    small.sell_out("cx23")
    small.settle()
    before = small.snapshots()
    assert disk(small) == LARGE
    small.sell_out()
    small.configure(serverTypes={"amd64": ["cx23"]})
    told = small.pulumi("preview").stdout
    assert f"has a disk of {LARGE} GB, as its build server had, so no cx23 can be made of it" in " ".join(told.split())
    refused = small.run("./node-images", "manifests", "--workers", "w=cx23")
    assert refused.returncode == 1
    assert "this type has 40 GB: no server is made" in " ".join(refused.stderr.split())
    assert "80 GB disk: boots on" in " ".join(small.run("./node-images", "summary").stdout.split())

    small.configure(maxDisk=SMALL, serverTypes={"amd64": ["cx33", "cx23"]})
    report = small.run("./node-images", "report", "--markdown").stdout
    assert "built again" in report
    assert "its disk of 80 GB is larger than maxDisk: 40" in report
    small.settle()
    assert disk(small) == SMALL
    after = small.snapshots()
    assert (after.keys(), [*after.values()] != [*before.values()]) == (before.keys(), True)
    small.nothing_left_over()
    small.unchanged()
    assert small.run("./node-images", "manifests", "--workers", "w=cx23").returncode == 0


def test_a_limit_that_no_declared_type_keeps_is_told_in_the_preview(small: Workspace) -> None:
    small.declare("1.36.3")
    small.configure(serverTypes={"amd64": ["cx33"]}, maxDisk=SMALL)
    result = small.pulumi("preview")
    assert result.returncode != 0
    assert "node-images:maxDisk = 40" in result.stdout + result.stderr
