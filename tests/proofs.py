"""Tests tell what they prove of a cell of docs/matrix.md, and the page is made of what passed: see tools/matrix.py."""

from collections.abc import Callable

import pytest

from recipe import load_catalog
from recipe.catalog import Architecture, minor_of
from tools.matrix import COMMAND, PAGE, PROGRAM, How, Proof, page

PROPERTY, PROVING = "proof", "proving"


@pytest.fixture
def proves(record_property: Callable[[str, object], None]) -> Callable[..., None]:
    """Call it last: what a test proved counts only when the test passes."""

    def prove(how: How, os: str, kubernetes: str, architecture: Architecture = "amd64", form: str = PROGRAM) -> None:
        catalog = load_catalog()
        minor = minor_of(kubernetes)
        entry = minor if minor in catalog.kubernetes else next(key for key in catalog.kubernetes if key.endswith("+"))
        record_property(PROPERTY, (how, form, os, architecture, entry))

    return prove


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--matrix", action="store_true", help=f"run only what proves a cell of {PAGE.name}, and write it")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    proving = [item for item in items if "proves" in getattr(item, "fixturenames", ())]
    for item in proving:
        item.user_properties.append((PROVING, item.nodeid))
    if config.getoption("--matrix"):
        config.hook.pytest_deselected(items=[item for item in items if item not in proving])
        items[:] = proving


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Collector(config), "proofs")


class Collector:
    """Gathers the proofs of all workers, and holds the page against them."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.proofs: set[Proof] = set()
        self.skipped: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        properties = dict(report.user_properties)
        if report.when == "call" and report.passed:
            self.proofs |= {Proof(*value) for name, value in report.user_properties if name == PROPERTY}
        elif report.skipped and PROVING in properties:
            self.skipped.append(properties[PROVING])

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """A machine that cannot run all of the proving tests (Packer, say) can neither write the page nor judge it."""
        text, writes = page(load_catalog(), self.proofs), self.config.getoption("--matrix")
        if exitstatus != pytest.ExitCode.OK or not (writes or self._is_whole()):
            return
        if self.skipped:
            self._tell(f"{PAGE} is left as it is: {', '.join(self.skipped)} did not run here")
        elif writes:
            PAGE.write_text(text)
        elif PAGE.read_text() != text:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
            self._tell(f"{PAGE} is stale: write it anew with {COMMAND}")

    def _is_whole(self) -> bool:
        chosen = (self.config.option.keyword, self.config.option.markexpr, self.config.option.deselect)
        return self.config.args == self.config.getini("testpaths") and not any(chosen)

    def _tell(self, text: str) -> None:
        self.config.get_terminal_writer().line(f"\n{text}", red=True)
