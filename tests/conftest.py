"""What every test stands on: no sockets in unit tests, and an honest list of what could not run."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
import pytest_socket

UNIT = Path(__file__).parent / "unit"
IN_CI = os.environ.get("CI") == "true"
CURE = "`make system-packages` (root, Debian) brings the programs that these tests need"

hypothesis.settings.register_profile("archiver", deadline=None, print_blob=True)
hypothesis.settings.load_profile("archiver")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip what needs a program that is not there, and, unless asked for by -m, what belongs to the long suite."""
    long_asked = "slow" in (config.option.markexpr or "")
    for item in items:
        missing = [mark.args[0] for mark in item.iter_markers("needs") if shutil.which(mark.args[0]) is None]
        if missing:
            item.add_marker(pytest.mark.skip(reason=f"not run: {', '.join(missing)} not found"))
    if not long_asked:
        long = [item for item in items if item.get_closest_marker("slow")]
        config.hook.pytest_deselected(items=long)
        items[:] = [item for item in items if not item.get_closest_marker("slow")]


@pytest.fixture(autouse=True)
def no_sockets_in_unit_tests(request: pytest.FixtureRequest) -> Iterator[None]:
    if not request.path.is_relative_to(UNIT):
        yield
        return
    pytest_socket.disable_socket(allow_unix_socket=True)
    yield
    pytest_socket.enable_socket()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    skipped = terminalreporter.stats.get("skipped", [])
    if skipped:
        terminalreporter.section(f"{len(skipped)} tests not run")
        terminalreporter.write_line(CURE)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """In CI a test that was not run is a failure."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if IN_CI and reporter is not None and reporter.stats.get("skipped") and session.exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
