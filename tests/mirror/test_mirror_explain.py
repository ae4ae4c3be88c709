"""What the go command says becomes an error that names the remedy. The texts are the command's own, as seen."""

import pytest

from mirror.gobuild import explain
from mirror.programs import plan
from tests.mirror.doubles import GOSS

SEEN = {
    "write /tmp/go-build1/b001/_pkg_.a: no space left on device": ("disk is full", "free some"),
    "go: module k8s.io/x requires go >= 1.27.0 (running go 1.26.8; GOTOOLCHAIN=local)": ("too old", "GOTOOLCHAIN=auto"),
    'Get "https://p/x/@v/v0.4.9.info": dial tcp 127.0.0.1:9: connect: connection refused': (
        "does not answer",
        "GOPROXY",
    ),
    "module lookup disabled by GOPROXY=off": ("does not answer", "GOPROXY"),
    "reading https://p/goss/@v/v0.4.9.info: 503 Service Unavailable": ("does not answer", "same command again"),
    "verifying go.mod: reading https://p/sumdb/s/lookup/goss@v0.4.9: 404 Not Found": (
        "cannot be verified",
        "another version",
    ),
    "reading https://p/goss/@v/v0.4.9.info: 403 Forbidden": ("not served", "another version"),
    "reading https://p/goss/@v/v0.4.9.info: 410 Gone": ("not served", "another version"),
    'cgo: C compiler "gcc" not found: exec: "gcc": executable file not found in $PATH': (
        "no C compiler",
        "apt-get install gcc",
    ),
    "fatal error: seccomp.h: No such file or directory": ("library is missing", "libseccomp-dev"),
    "/usr/bin/ld: cannot find -lseccomp": ("library is missing", "libseccomp-dev"),
    "x.go:1: undefined: y": ("go build failed", "undefined: y"),
}


@pytest.mark.parametrize("output", SEEN)
def test_an_error_names_the_program_the_cause_and_the_remedy(output: str) -> None:
    (build,), _ = plan([GOSS])
    text = str(explain(output, build))
    assert text.startswith("goss 0.4.9 amd64: ")
    assert output in text
    for part in SEEN[output]:
        assert part in text


def test_of_a_long_output_the_end_is_shown() -> None:
    (build,), _ = plan([GOSS])
    text = str(explain("\n".join(f"line {n}" for n in range(100)), build))
    assert "line 99" in text
    assert "line 87" not in text
