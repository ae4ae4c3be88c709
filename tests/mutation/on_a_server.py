"""The rounds on a server booted from an image: in each, exactly the items that are broken fail."""

import json
import shlex
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.mutation.rounds import HELPERS, Document, break_of, items_of, must_fail, rounds_of, script

BUILDER = {
    "BUILDER_NAME": "node-image-mutation-builder",
    "BUILDER_MACHINE_ID": "0123456789abcdef" * 2,
    "BUILDER_HOST_KEY": "ssh-ed25519 AAAAbuilderhost",
    "BUILDER_LOGIN_KEY": "ssh-ed25519 AAAAbuilderlogin",
}
"""A builder that this server must not resemble."""

TESTS = "/run/mutation/tests.json"
RUN_GOSS = f"PATH=/run/mutation/bin:$PATH bash /run/node-image/ask.sh {TESTS}"

# Units that a container cannot have count as failed there, and are left out of the item; here nothing is to be left out.
# Images cannot be pulled and containers not run, so crictl has them. What a container's kernel says is what was set. kubelet
# alone is really started, and must end at what a container lacks.
STAND_INS = r"""
item=99999
systemctl reset-failed
cat /etc/modules-load.d/*.conf | sed 's/$/ 16384 0/' >$home/lsmod
cat /etc/sysctl.d/9?-*.conf >$home/sysctl
cat /etc/audit/rules.d/*.rules >$home/auditctl
fake systemd-detect-virt '*' '
    if tr "\0" " " </proc/$PPID/cmdline | grep --quiet kubelet.sh; then /usr/bin/systemd-detect-virt "$@"; else exit 1; fi'
fake lsmod '' 'cat /run/mutation/lsmod'
fake sysctl '--values *' 'sed --quiet "s|^$2 = ||p" /run/mutation/sysctl'
fake auditctl -l 'cat /run/mutation/auditctl'
fake swapon '--show --noheadings' ''
fake findmnt '* SOURCE /' 'echo /dev/sda1'
fake lsblk '*' 'case "$*" in *PKNAME*) echo sda ;; *) echo 40000000000 ;; esac'
fake df '--block-size=1 *' 'printf "%s\n" 1B-blocks 39000000000'
has() { item=$((item - 1)); fake crictl "$@"; }
has 'inspecti --quiet *' ''
has 'inspecti --output json *' "echo '{\"status\": {\"pinned\": true}}'"
has '--timeout * runp *' 'echo pod'
has 'create *' 'echo container'
has 'start *' ''
has 'inspect *' "echo '{\"status\": {\"state\": \"CONTAINER_RUNNING\"}}'"
has 'rmp *' ''
"""


@dataclass(frozen=True)
class Server:
    """A server that answers to SSH as root."""

    address: str
    port: int
    key: Path

    def run(self, text: str) -> subprocess.CompletedProcess[str]:
        options = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"]
        command = ["ssh", "-i", str(self.key), "-p", str(self.port), *options, f"root@{self.address}"]
        # The whole script is read before it runs, so that nothing in it can swallow the rest.
        return subprocess.run(
            [*command, 'exec bash -c "$(cat)" </dev/null'], input=text, capture_output=True, text=True, timeout=600
        )


def exported(variables: Mapping[str, str]) -> str:
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in variables.items())


def prepare(server: Server, document: Document) -> None:
    """The document and the stand-ins, after the acceptance script itself has run: it brought goss and the variables."""
    tests = f"{STAND_INS}\ncat >{TESTS} <<'EOF'\n{json.dumps(document, indent=1)}\nEOF\n"
    result = server.run(f"{HELPERS.read_text()}\n{tests}")
    assert result.returncode == 0, result.stderr


def failing(server: Server, text: str, document: Document) -> set[str]:
    """The items that fail when the script runs, which prints goss's report; every item must have been asked."""
    result = server.run(exported(BUILDER) + text)
    assert result.returncode == 0, result.stderr
    results = json.loads(result.stdout)["results"]
    asked = dict.fromkeys(items_of(document), True)
    for found in results:
        asked[f"{found['resource-type'].lower()} {found['resource-id']}"] &= found["successful"]
    assert len({(found["resource-type"], found["resource-id"]) for found in results}) == len(asked)
    return {item for item, passed in asked.items() if not passed}


def mutate(server: Server, document: Document) -> int:
    """All rounds. Returns their number."""
    prepare(server, document)
    rounds = rounds_of([break_of(item) for item in items_of(document)])
    assert failing(server, RUN_GOSS, document) == set(), "nothing is broken yet"
    for number, broken in enumerate(rounds):
        failed, wanted = failing(server, script(broken, RUN_GOSS), document), must_fail([item for item, _ in broken])
        blind = sorted(f"{item.item}: passes in spite of: {text}" for item, text in broken if item.item not in failed)
        assert blind == [], f"round {number}: {blind}"
        assert sorted(failed - wanted) == [], f"round {number}: they fail though nobody broke them"
    assert failing(server, RUN_GOSS, document) == set(), "all is mended again"
    return len(rounds)
