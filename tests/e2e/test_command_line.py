"""The command line as scripts rely on it: exit codes, one JSON document, flags anywhere, times, secret addresses."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import typer.main

from api.cli import app
from config.settings import load
from config.wiring import Installation
from ingest.cameras.background import BackgroundFarm
from ingest.cameras.codecs import AudioCodec, VideoCodec
from ingest.cameras.farm import CameraSpec
from tests.installation import CHECKOUT, SMALL
from tests.running import Answer, archiver, asked

FAR = datetime.now(UTC).replace(microsecond=0) + timedelta(days=30)


@dataclass(frozen=True)
class Desk:
    """A home with a project, a room, a source that is away, and a window booked far ahead."""

    home: Path
    project: str
    location: str
    source: str
    capture: str

    def book(self, *words: object, start: object = FAR, end: object = FAR + timedelta(hours=1)) -> Answer:
        place = ["--project", self.project, "--location", self.location]
        return archiver("capture", "book", *place, "--from", start, "--to", end, *words, "--json", home=self.home)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    home = tmp_path_factory.mktemp("desk") / "home"
    project = asked("project", "add", "--number", "ZFCG-2026-1", "--title", "云服务采购", home=home)["id"]
    location = asked("location", "add", "--name", "开标一室", home=home)["id"]
    add = ["source", "add", "-", "--location", location, "--name", "front"]
    source = asked(*add, home=home, typed="rtsp://u:p@127.0.0.1:9/x\n")["id"]
    made = Desk(home, project, location, source, "")
    booked = Desk(home, project, location, source, made.book().document["id"])
    _store_events(home)
    return booked


def _store_events(home: Path) -> None:
    """What a worker does now and then, and at its end."""
    ready = Installation(load(home))
    ready.custody.store_certificate()
    ready.custody.store()
    ready.close()


# ------------------------------------------------------------------ exit codes


@pytest.mark.parametrize(
    ("words", "field"),
    [
        (["capture", "book", "--project", "P", "--location", "L", "--from", "soon", "--to", "later"], "from"),
        (["project", "add", "--number", "", "--title", "T"], "number"),
        (["project", "add", "--number", "N", "--title", "T" * 201], "title"),
        (["source", "add", "not an address", "--location", "L", "--name", "N"], "url"),
        (["source", "add", "-", "--location", "L", "--name", "N"], "url"),
        (["source", "add", "rtsp://127.0.0.1/", "--location", "L", "--name", "N"], "location"),
        (["search", "--from", "2026-11-24T10:00", "--to", "2026-11-24T09:00"], "to"),
        (["search", "--cursor", "nonsense"], "cursor"),
        (["retention", "policy", "--years", "14", "--basis", "wish"], "years"),
        (["verify"], "what"),
        (["export", "C", "--out", "/"], "out"),
    ],
)
def test_bad_input_is_2_and_names_the_field(desk: Desk, words: list[str], field: str) -> None:
    """With what is allowed."""
    answer = archiver(*words, "--json", home=desk.home)
    assert answer.code == 2
    assert answer.wrong[field] and answer.wrong[field] in answer.err


@pytest.mark.parametrize(
    ("start", "end", "field"),
    [
        (FAR, FAR, "end"),
        (FAR, FAR + timedelta(hours=25), "end"),
        (FAR - timedelta(days=60), FAR - timedelta(days=59), "end"),
        (FAR + timedelta(days=400), FAR + timedelta(days=400, hours=1), "start"),
    ],
)
def test_a_window_that_cant_be_recorded_is_2(desk: Desk, start: datetime, end: datetime, field: str) -> None:
    """Empty, too long, over, or too far ahead."""
    answer = desk.book(start=start, end=end)
    assert answer.code == 2 and list(answer.wrong) == [field]


@pytest.mark.parametrize("words", [["project", "add", "--number", "N"], ["nonsense"], ["capture", "nonsense"], []])
def test_bad_usage_is_2(desk: Desk, words: list[str]) -> None:
    """A missing option, an unknown command or none: the message says which, and where to read on."""
    answer = archiver(*words, "--json", home=desk.home)
    assert answer.code == 2
    assert answer.document["error"]["code"] == "INVALID_INPUT" and "--help" in answer.err


def test_a_setting_that_is_not_allowed_is_2(tmp_path: Path) -> None:
    """Named by section and key; nothing is kept for less than 15 years, whatever is configured."""
    (tmp_path / "archiver.toml").write_text("[retention]\nminimum_years = 14\n[ingest]\nsegments = 3\n")
    answer = archiver("project", "list", "--json", home=tmp_path)
    assert answer.code == 2
    assert set(answer.wrong) == {"retention.minimum_years", "ingest.segments"}


@pytest.mark.parametrize(
    "words",
    [
        ["project", "show"],
        ["project", "end", "--date", "2026-11-24", "--basis", "acceptance", "--document", "D", "--signer", "S"],
        ["source", "test"],
        ["source", "remove"],
        ["capture", "show"],
        ["capture", "stop"],
        ["capture", "cancel"],
        ["capture", "extend", "--to", "2030-01-01T10:00"],
        ["export", "--out", "out.mp4"],
        ["verify"],
        ["retention", "explain"],
        ["token", "revoke"],
    ],
)
@pytest.mark.parametrize("id", ["01kagb8s3j0z9v7qk5r2n4m6p8", "nonsense"])
def test_what_is_not_there_is_3(desk: Desk, words: list[str], id: str) -> None:
    """An id of nothing, and what is no id at all."""
    answer = archiver(*words, id, "--json", home=desk.home)
    assert answer.code == 3 and answer.document["error"]["code"] == "NOT_FOUND"


@pytest.mark.parametrize(
    ("address", "why"),
    [("rtsp://8.8.8.8/x", "networks"), ("http://127.0.0.1/x", "rtsp://"), ("file:///etc/passwd", "rtsp://")],
)
def test_a_refused_address_is_4(desk: Desk, address: str, why: str) -> None:
    """Outside the networks that may be recorded from, or of another scheme. It isn't repeated."""
    answer = archiver("source", "add", address, "--location", desk.location, "--name", "n", "--json", home=desk.home)
    assert answer.code == 4 and answer.document["error"]["code"] == "ADDRESS_REFUSED"
    assert why in answer.wrong["url"] and address not in answer.out + answer.err


def test_what_the_state_forbids_is_4(desk: Desk) -> None:
    """A window that was taken back can't be made longer, nor one stopped that has not begun."""
    id = desk.book().document["id"]
    assert archiver("capture", "stop", id, home=desk.home).code == 4
    assert asked("capture", "cancel", id, home=desk.home)["state"] == "cancelled"
    later = archiver("capture", "extend", id, "--to", FAR + timedelta(hours=2), "--json", home=desk.home)
    assert later.code == 4 and later.document["error"]["code"] == "CONFLICT"


def test_a_camera_that_is_away_is_5(desk: Desk) -> None:
    """`source test` says what is the matter, without the address."""
    answer = archiver("source", "test", desk.source, "--json", home=desk.home)
    assert answer.code == 5
    assert answer.document["ok"] is False and answer.document["problem"]
    assert "u:p@" not in answer.out + answer.err


@pytest.fixture
def broken(desk: Desk, tmp_path: Path) -> Iterator[Path]:
    """A copy of the home, to break."""
    copy = tmp_path / "copy"
    shutil.copytree(desk.home, copy)
    yield copy


def test_a_vault_that_is_away_is_5(broken: Path) -> None:
    """Where its folder was there is none: nothing passes for verified, and the doctor says which check fails."""
    shutil.rmtree(broken / "vault")
    (broken / "vault").write_bytes(b"")
    answer = archiver("verify", "--all", "--json", home=broken)
    assert answer.code == 5 and answer.document["error"]["code"] == "VAULT_UNAVAILABLE"
    doctor = archiver("doctor", "--json", home=broken)
    assert doctor.code == 1
    assert [one["name"] for one in doctor.document["checks"] if not one["ok"] and not one["warning"]] == ["vault"]


def test_a_catalogue_that_is_away_is_5(broken: Path) -> None:
    """It is never silently replaced by an empty one: the answer says how to bring it back."""
    for path in broken.glob("catalogue.db*"):
        path.unlink()
    answer = archiver("capture", "list", "--json", home=broken)
    assert answer.code == 5 and answer.document["error"]["code"] == "CATALOGUE_UNAVAILABLE"
    assert "archiver rebuild" in answer.err and not list(broken.glob("catalogue.db*"))


def test_a_key_that_others_can_read_is_1(broken: Path) -> None:
    """The doctor names it, and the command that mends it."""
    token = broken / "token"
    token.chmod(0o644)
    answer = archiver("doctor", "--json", home=broken)
    (bad,) = [one for one in answer.document["checks"] if not one["ok"] and not one["warning"]]
    assert answer.code == 1 and str(token) in bad["mend"]


# ------------------------------------------------------------------ flags and shapes


def commands(group: Any, *before: str) -> Iterator[list[str]]:
    """The words of every command there is."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, *before, name)
        else:
            yield [*before, name]


@pytest.mark.parametrize("words", list(commands(typer.main.get_command(app))), ids=" ".join)
def test_every_command_takes_json_last(words: list[str]) -> None:
    """Even what it can't understand is then answered by one JSON document on stdout."""
    answer = archiver(*words, "--no-such-option", "--json")
    assert answer.code == 2 and "--no-such-option" in answer.document["error"]["message"]


LISTS = ["project", "location", "source", "capture", "token"]


@pytest.mark.parametrize("words", [*([name, "list"] for name in LISTS), ["search"], ["retention", "due"]])
def test_lists_have_one_shape(desk: Desk, words: list[str]) -> None:
    """`{items, next}`, and a page's `next` leads on."""
    assert set(asked(*words, home=desk.home)) == {"items", "next"}


def test_a_page_leads_to_the_next(desk: Desk) -> None:
    """Every item once, by the cursor of the page before."""
    for number in range(3):
        asked("project", "add", "--number", number, "--title", "T", home=desk.home)
    seen, cursor = [], []
    while True:
        page = asked("project", "list", "--limit", 2, *cursor, home=desk.home)
        seen += [one["id"] for one in page["items"]]
        if not page["next"]:
            break
        cursor = ["--cursor", page["next"]]
    whole = asked("project", "list", home=desk.home)
    assert seen == [one["id"] for one in whole["items"]] and len(set(seen)) == len(seen) >= 4


def test_home_may_stand_anywhere(desk: Desk) -> None:
    """Before, between and after the words, with a blank or an equals sign."""
    at = str(desk.home)
    for words in (
        ["--home", at, "location", "list", "--json"],
        ["location", "--home", at, "--json", "list"],
        ["--json", "location", "list", f"--home={at}"],
    ):
        assert [one["id"] for one in archiver(*words).document["items"]] == [desk.location]


def test_a_capture_is_shown_with_all_its_names(desk: Desk) -> None:
    """The contract's shape; nothing is expected yet of a window that has not begun."""
    shown = asked("capture", "show", desk.capture, home=desk.home)
    names = {"id", "project", "location", "state", "window", "expected_s", "recorded_s", "missing_s", "gaps"}
    assert names | {"retain_until", "retain_reason", "sources"} <= set(shown)
    assert shown["state"] == "booked" and shown["gaps"] == []
    (source,) = shown["sources"]
    assert source["source"] == {"id": desk.source, "name": "front"}
    assert {"expected_s", "recorded_s", "missing_s", "gaps"} <= set(source)


def test_a_time_without_an_offset_is_the_archives(desk: Desk) -> None:
    """Shanghai's wall clock by default; what is printed carries an offset."""
    wall = FAR.replace(tzinfo=None)
    window = desk.book(start=wall.isoformat(), end=(wall + timedelta(hours=1)).isoformat()).document["window"]
    given = datetime.fromisoformat(window["start"])
    assert given.tzinfo is not None and given == FAR - timedelta(hours=8)


def test_a_wall_clock_time_that_is_two_moments_is_refused(tmp_path: Path) -> None:
    """When clocks are set back an hour comes twice: nobody guesses which was meant."""
    (tmp_path / "archiver.toml").write_text('[archive]\ntime_zone = "Europe/Berlin"\n')
    answer = archiver("search", "--from", "2026-10-25T02:30", "--to", "2026-10-25T04:00", "--json", home=tmp_path)
    assert answer.code == 2 and "from" in answer.wrong


def test_a_search_may_name_one_end_of_time(desk: Desk) -> None:
    """From then on, or until then."""
    later, earlier = FAR - timedelta(minutes=1), FAR - timedelta(days=1)
    found = asked("search", "--from", later, home=desk.home)
    assert desk.capture in {one["capture"] for one in found["items"]}
    assert asked("search", "--to", earlier, home=desk.home)["items"] == []


# ------------------------------------------------------------------ addresses


@pytest.fixture(scope="module")
def camera() -> Iterator[str]:
    with BackgroundFarm([CameraSpec("cam", VideoCodec.H264, AudioCodec.PCMU, SMALL)]) as farm:
        yield farm.urls["cam"]


def test_an_address_is_typed_and_shown_without_its_secrets(desk: Desk, camera: str) -> None:
    """From standard input, without a warning; what is shown ends behind the port; the test says what comes."""
    add = ["source", "add", "-", "--location", desk.location, "--name", "typed", "--json"]
    added = archiver(*add, home=desk.home, typed=f"{camera}\n")
    assert added.code == 0 and "warning" not in added.err
    assert added.document["address"] == f"rtsp://127.0.0.1:{camera.rpartition(':')[2].partition('/')[0]}/…"
    tested = asked("source", "test", added.document["id"], home=desk.home)
    assert tested == {"ok": True, "codecs": ["h264", "pcm_mulaw"], "problem": None}
    removed = asked("source", "remove", added.document["id"], home=desk.home)
    assert removed["removed"] is True
    assert "typed" not in {one["name"] for one in asked("source", "list", home=desk.home)["items"]}


@pytest.mark.parametrize(
    ("address", "warned"),
    [
        ("rtsp://user:pass@127.0.0.1:9/a", True),
        ("rtsp://127.0.0.1:9/a?key=1", True),
        ("rtsp://127.0.0.1:9/a", False),
    ],
)
def test_a_password_in_an_argument_is_taken_with_a_warning(desk: Desk, address: str, warned: bool) -> None:
    """Every process of the machine could read it; the warning doesn't say it again."""
    answer = archiver("source", "add", address, "--location", desk.location, "--name", "n", "--json", home=desk.home)
    assert answer.code == 0 and ("warning" in answer.err) is warned
    assert "pass@" not in answer.out + answer.err and "key=1" not in answer.out + answer.err


# ------------------------------------------------------------------ the program


def test_data_is_on_stdout_and_the_rest_on_stderr(desk: Desk) -> None:
    """As a real process: a script may read stdout to its end as JSON, whatever is told beside it."""
    words = [sys.executable, "-m", "api", "token", "create", "--name", "portal", "--json"]
    environment = {**os.environ, "ARCHIVER_HOME": str(desk.home)}
    done = subprocess.run(words, cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and json.loads(done.stdout)["token"]
    assert "keep this token" in done.stderr and json.loads(done.stdout)["token"] not in done.stderr
