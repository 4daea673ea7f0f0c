"""`archiver demo --once --json DIR`, run twice as a user runs it: one object on stdout, and all that it claims."""

import hashlib
import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ingest.cameras.sei import continuity, read_marks
from tests.running import archiver, asked

ARCHIVER = Path(sys.executable).with_name("archiver")
WINDOW_S = 30
CUT_FRAMES = 6 * 25
NAMES = {
    *("captures", "other_sources_recorded", "search", "verify", "export", "vault_label"),
    *("retain_until", "retain_reason", "api", "home", "token_file"),
}


@dataclass(frozen=True)
class Run:
    """A demo that ended."""

    home: Path
    code: int
    out: str
    err: str

    @property
    def told(self) -> Mapping[str, Any]:
        told: Mapping[str, Any] = json.loads(self.out)
        return told

    @property
    def capture(self) -> Mapping[str, Any]:
        (capture,) = self.told["captures"]
        return dict(capture)


def run(home: Path) -> Run:
    done = subprocess.run(
        [ARCHIVER, "demo", "--once", "--json", home], cwd="/", capture_output=True, text=True, timeout=180, check=False
    )
    return Run(home, done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return run(tmp_path_factory.mktemp("demo") / "home")


@pytest.fixture(scope="module")
def second(first: Run) -> Run:
    return run(first.home)


def test_all_of_it_held(first: Run) -> None:
    """Exit code 0, one object on stdout with the contract's names."""
    assert first.code == 0, first.err
    assert set(first.told) >= NAMES
    assert first.told["verify"]["ok"] is True and first.told["verify"]["findings"] == []
    assert [check["number"] for check in first.told["verify"]["checks"]] == list(range(1, 14))
    assert first.told["search"]["hits"] == 1
    assert first.told["home"] == str(first.home)


def test_the_window_is_accounted_for_and_the_cut_is_stated(first: Run) -> None:
    """Two sources of room A; one of them was cut off, says so with its cause, and the seconds add up."""
    capture = first.capture
    assert capture["state"] == "sealed" and capture["expected_s"] == 2 * WINDOW_S
    assert round(capture["recorded_s"] + capture["missing_s"], 6) == capture["expected_s"]
    assert {one["source"]["name"] for one in capture["sources"]} == {"front", "table"}
    assert capture["segments"] > 4
    (gap,) = capture["gaps"]
    assert gap["cause"] in ("lost", "unreachable")
    length = datetime.fromisoformat(gap["end"]) - datetime.fromisoformat(gap["start"])
    assert timedelta(seconds=5) < length < timedelta(seconds=15)
    assert round(length.total_seconds(), 6) == capture["missing_s"]


def test_nothing_of_the_other_room_is_stored(first: Run) -> None:
    """Not by the demo's own word only: no object of the vault lies under that source."""
    sources = {one["name"]: one["id"] for one in asked("source", "list", home=first.home)["items"]}
    assert first.told["other_sources_recorded"] == 0
    stored = [str(path) for path in (first.home / "vault").rglob("*.mp4")]
    assert any(sources["front"] in path for path in stored) and any(sources["table"] in path for path in stored)
    assert not any(sources["other"] in path for path in stored)


def test_the_export_is_the_window_and_the_cut_stays_a_gap(first: Run) -> None:
    """By the marks in its pictures: none twice, those of the cut missing and no others, and each shown at its time."""
    export = first.told["export"]
    path = Path(export["path"])
    assert hashlib.sha256(path.read_bytes()).hexdigest() == export["sha256"]
    assert abs(export["duration_s"] - WINDOW_S) < 0.2
    marks = [mark for mark in read_marks(path) if mark.shown]
    found = continuity(marks)
    assert found.doubled == ()
    assert CUT_FRAMES - 3 <= len(found.lost) <= CUT_FRAMES * 2.5
    assert found.lost == tuple(range(found.lost[0], found.lost[-1] + 1))
    for mark in marks:
        taken_s = (mark.captured_at_us - marks[0].captured_at_us) / 1e6
        assert abs(mark.pts_seconds - marks[0].pts_seconds - taken_s) < 0.12


def test_it_is_kept_fifteen_years_and_says_why(first: Run) -> None:
    """By software, and not called more than that."""
    told = first.told
    assert datetime.fromisoformat(told["retain_until"]) > datetime.now(UTC) + timedelta(days=15 * 365)
    assert "15 years" in told["retain_reason"] and told["vault_label"] == "write-once by software"


def test_the_token_is_never_printed(first: Run) -> None:
    """Only where its file lies, which nobody else can read."""
    file = Path(first.told["token_file"])
    token = file.read_text().strip()
    assert token and file.stat().st_mode & 0o077 == 0
    assert token not in first.out + first.err and token not in (first.home / "archiver.log").read_text()


def test_nothing_is_left_running(first: Run) -> None:
    """No process of the machine works on that home any more."""
    lines = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
    assert lines and not any(str(first.home).encode() in line for line in lines)
    assert not (first.home / "api").exists()


def test_a_further_run_uses_the_rooms_again(first: Run, second: Run) -> None:
    """And the sources; it makes a project and a capture of its own, reports only that, and deletes nothing."""
    assert second.code == 0, second.err
    home = first.home
    assert len(asked("location", "list", home=home)["items"]) == 2
    assert len(asked("source", "list", home=home)["items"]) == 3
    assert len(asked("project", "list", home=home)["items"]) == 2
    captures = {one["id"]: one["state"] for one in asked("capture", "list", home=home)["items"]}
    assert captures == {first.capture["id"]: "sealed", second.capture["id"]: "sealed"}
    assert second.capture["project"] != first.capture["project"] and second.told["search"]["hits"] == 1
    assert Path(first.told["export"]["path"]).is_file()
    assert archiver("verify", "--all", home=home).code == 0


def test_a_home_with_other_captures_is_refused(tmp_path: Path) -> None:
    """Exit code 2, the argument named, and nothing changed: the demo never mixes with what is kept in earnest."""
    project = asked("project", "add", "--number", "ZFCG-1", "--title", "T", home=tmp_path)["id"]
    room = asked("location", "add", "--name", "R", home=tmp_path)["id"]
    add = ["source", "add", "rtsp://127.0.0.1:9/a", "--location", room, "--name", "S"]
    asked(*add, home=tmp_path)
    start = datetime.now(UTC) + timedelta(days=1)
    window = ["--from", start, "--to", start + timedelta(hours=1)]
    asked("capture", "book", "--project", project, "--location", room, *window, home=tmp_path)
    answer = archiver("demo", tmp_path, "--once", "--json")
    assert answer.code == 2 and "DIR" in answer.wrong
    assert not (tmp_path / "archiver.toml").exists()
    assert len(asked("source", "list", home=tmp_path)["items"]) == 1
