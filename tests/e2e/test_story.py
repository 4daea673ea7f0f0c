"""One window over seven cameras, recorded by the real installation, then looked at from every side: by the marks in the
pictures, by the command line, by a search for secrets, by a rebuild. One recording serves all.
"""

import base64
import io
import json
import shutil
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import av
import pytest

from api import cli
from archiver import sidecar
from archiver.adapters.catalogue.catalogue import SqlCatalogue
from archiver.copies import PendingError
from archiver.playback import Media
from archiver.timeline import Interval
from archiver.times import from_us
from archiver.values import Capture
from archiver.vocabulary import GapCause
from ingest.cameras.background import BackgroundFarm
from ingest.cameras.codecs import AudioCodec, VideoCodec
from ingest.cameras.digest import Login
from ingest.cameras.farm import CameraSpec, FarmOptions
from ingest.cameras.faults import FaultKind
from ingest.cameras.sei import Mark, read_marks
from tests.catalogue_facts import new_id
from tests.catalogue_rows import Rows, fact_rows
from tests.installation import SMALL, House, family, house, until

USER, PASSWORD = "viewer-quux7", "Pa55-w0rd:xyzzy"
SKEW_S = 3600
FRAME = timedelta(milliseconds=40)
WINDOW_S = 24.0
CUT_AT_S, CUT_S = 8.0, 4.0
CAMERAS = {
    "plain": (VideoCodec.H264, AudioCodec.AAC),
    "cut": (VideoCodec.H264, AudioCodec.PCMU),
    "hevc": (VideoCodec.H265, AudioCodec.AAC),
    "hevc-g711": (VideoCodec.H265, AudioCodec.PCMU),
    "mute": (VideoCodec.H264, AudioCodec.NONE),
    "skewed": (VideoCodec.H264, AudioCodec.AAC),
    "unreported": (VideoCodec.H264, AudioCodec.AAC),
    "microphone": (VideoCodec.NONE, AudioCodec.AAC),
}

pytestmark = pytest.mark.xdist_group("story")  # one recording serves all


@dataclass(frozen=True)
class Story:
    """The house, its sealed capture, and what its processes showed to others while they ran."""

    house: House
    capture: Capture
    seen: bytes
    token: str

    def source(self, name: str) -> str:
        return self.house.sources[name]

    def gaps(self, name: str) -> list[Interval]:
        stated = self.house.statements(self.capture.id)
        return [gap.span for each in stated if each.source == self.source(name) for gap in each.gaps]


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    specs = [CameraSpec(name, *codecs, SMALL) for name, codecs in CAMERAS.items()]
    options = FarmOptions(login=Login(USER, PASSWORD))
    with BackgroundFarm(specs, options) as farm:
        urls = {**farm.urls}
        urls["skewed"] += f"?skew={SKEW_S}"
        urls["unreported"] += "?no_reports="
        settings = pytest.MonkeyPatch()
        settings.setenv("ARCHIVER_INGEST__PRE_ROLL_S", "15")  # eight starts at once on a busy machine take their time
        with house(tmp_path_factory.mktemp("story") / "home", urls) as made:
            made.start()
            made.one("recorder")
            capture = made.book(WINDOW_S, lead_s=2)
            wait_s = (capture.window.start - datetime.now(capture.window.start.tzinfo)).total_seconds()
            farm.fault("cut", FaultKind.REFUSE, after_s=wait_s + CUT_AT_S, seconds=CUT_S)
            until(lambda: len(made.role("ffmpeg")) == len(CAMERAS), 30)
            seen = b"".join(_shown(pid) for each in made.processes for pid in [each.pid, *family(each.pid)])
            sealed = made.sealed(capture.id, WINDOW_S + 60)
            token = (made.home / "token").read_text().strip()
            yield Story(made, sealed, seen, token)
        settings.undo()


def _shown(pid: int) -> bytes:
    """What every process of the machine can read of another."""
    parts = []
    for name in ("cmdline", "environ"):
        try:
            parts.append(Path(f"/proc/{pid}/{name}").read_bytes())
        except OSError:
            continue
    return b"\0".join(parts)


def test_every_frame_is_there_once_and_in_its_place(story: Story) -> None:
    """Judged by the pictures' own marks: nothing is lost outside stated gaps, doubled, or moved; a camera whose clock
    is an hour wrong and one without sender reports stand as right as any other.
    """
    judged = {each.stated.source: each for each in story.house.judged(story.capture)}
    assert len(judged) == len(CAMERAS)
    for name in CAMERAS:
        if name != "microphone":
            judged[story.source(name)].judge()


def test_only_the_cut_is_missing_and_says_why(story: Story) -> None:
    """Every other source is complete to the microsecond; the cut one says since when, till when, and what was seen."""
    for each in story.house.judged(story.capture):
        if each.stated.source != story.source("cut"):
            assert each.missing_s == 0, each.stated
            continue
        (gap,) = each.stated.gaps
        assert gap.cause in (GapCause.LOST, GapCause.UNREACHABLE) and "refused" in gap.evidence
        begun = story.capture.window.start + timedelta(seconds=CUT_AT_S)
        assert abs(gap.span.start - begun) < timedelta(seconds=1.5)
        assert timedelta(seconds=CUT_S - 1) < gap.span.length < timedelta(seconds=CUT_S + 6)


def exported(story: Story, out: Path, name: str, start: datetime, end: datetime) -> list[Mark]:
    """What `archiver export` wrote of a source, by the marks of the pictures that a player shows."""
    words = ["export", story.capture.id, "--source", story.source(name), "--out", str(out)]
    words += ["--from", start.isoformat(), "--to", end.isoformat(), "--home", str(story.house.home), "--json"]
    assert cli.main(words) == 0
    (path,) = out.parent.glob(f"{out.stem}.*")
    return [mark for mark in read_marks(path) if mark.shown]


@pytest.mark.parametrize("name", ["plain", "hevc", "cut", "hevc-g711", "mute"])
@pytest.mark.parametrize(("first_s", "last_s"), [(2.36, 5.0), (0.0, WINDOW_S), (1.0, 21.7)])
def test_an_export_is_exactly_what_was_asked_for(
    story: Story, tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str, first_s: float, last_s: float
) -> None:
    """It begins and ends within two frames of `from` and `to`, has every frame between, and a gap stays a gap."""
    start = story.capture.window.start + timedelta(seconds=first_s)
    end = story.capture.window.start + timedelta(seconds=last_s)
    marks = exported(story, tmp_path / "part.mp4", name, start, end)
    capfd.readouterr()
    assert abs(from_us(marks[0].captured_at_us) - start) <= 2 * FRAME
    assert abs(from_us(marks[-1].captured_at_us) + FRAME - end) <= 2 * FRAME
    numbers = [mark.number for mark in marks]
    assert len(set(numbers)) == len(numbers)
    absent = set(range(numbers[0], numbers[-1] + 1)) - set(numbers)
    gaps = story.gaps(name)
    missing = sum((gap.length for gap in gaps if start < gap.start < end), timedelta())
    assert abs(len(absent) * FRAME - missing) <= 3 * FRAME
    for mark in marks:
        shown = mark.pts_seconds - marks[0].pts_seconds
        taken = (mark.captured_at_us - marks[0].captured_at_us) / 1e6
        assert abs(shown - taken) < 0.1


@pytest.mark.parametrize("name", ["hevc", "hevc-g711"])
def test_a_browser_gets_every_picture_of_h265(story: Story, name: str) -> None:
    """The seal has a copy made in H.264 and AAC, whose pictures stand where the original's do."""
    playback, capture = story.house.ready.playback, story.capture

    def copied() -> Media | None:
        try:
            return playback.browser(capture.organisation, capture.id, story.source(name))
        except PendingError:
            return None

    copy = until(copied, 60)
    original = playback.media(capture.organisation, capture.id, story.source(name))
    assert copy.copy and copy.codecs.startswith("avc1") and copy.codecs.endswith("mp4a.40.2")
    assert copy.span == original.span
    expected, shown = pictures(original), pictures(copy)
    assert len(shown) == len(expected) >= WINDOW_S * 25 - 1
    assert max(abs(one - other) for one, other in zip(expected, shown, strict=True)) < 0.001


def pictures(media: Media) -> list[float]:
    """When each is shown, in seconds of the file."""
    with av.open(io.BytesIO(b"".join(media.rope.read(media.store)))) as container:
        return [float(frame.pts * frame.time_base) for frame in container.decode(video=0)]


def test_a_wrong_camera_clock_is_reported_and_moves_nothing(story: Story, capsys: pytest.CaptureFixture[str]) -> None:
    """The sidecar states the camera's claim beside the host's time; where it sends no reports nothing is claimed."""
    claims = {}
    for name in ("skewed", "unreported", "plain"):
        (*_, last) = story.house.segments(story.source(name))
        side = sidecar.parse(b"".join(story.house.ready.vault.read(last.key.removesuffix("mp4") + "json")))
        claims[name] = side.camera
    assert claims["unreported"] is None
    assert claims["plain"] is not None and abs(claims["plain"].offset_us) < 500_000
    assert claims["skewed"] is not None and abs(abs(claims["skewed"].offset_us) / 1e6 - SKEW_S) < 1


def forms(secret: str) -> set[bytes]:
    """How it could be written down."""
    texts = {secret, urllib.parse.quote(secret), urllib.parse.quote(secret, safe="")}
    return {text.encode() for text in texts} | {base64.b64encode(secret.encode()).rstrip(b"=")[:-1]}


def test_no_secret_is_written_or_shown_anywhere(story: Story) -> None:
    """Neither a camera's login nor the rest of its address, nor the token, is in an argument or environment of any
    process, a log, an event, the database, the spool, the vault or an export; the token's file is the one exception.
    """
    secrets = {form for secret in (USER, PASSWORD, f"skew={SKEW_S}", story.token) for form in forms(secret)}
    places = {str(path): path.read_bytes() for path in story.house.home.rglob("*") if path.is_file()}
    places["/proc"] = story.seen
    assert len(places) > 100 and len(story.seen) > 1000
    found = {(where, form) for where, data in places.items() for form in secrets if form in data}
    assert found == {(str(story.house.home / "token"), story.token.encode())}


def test_the_command_line_shows_the_same_capture(story: Story, capsys: pytest.CaptureFixture[str]) -> None:
    """Seconds that add up, sources by name, and until when it is kept and why."""
    assert cli.main(["capture", "show", story.capture.id, "--home", str(story.house.home), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["state"] == "sealed"
    assert shown["expected_s"] == len(CAMERAS) * WINDOW_S
    assert round(shown["recorded_s"] + shown["missing_s"], 6) == shown["expected_s"]
    assert {one["source"]["name"] for one in shown["sources"]} == set(CAMERAS)
    assert shown["retain_until"] >= "2041" and "15 years" in shown["retain_reason"]


def facts_of(home: Path) -> Rows:
    catalogue = SqlCatalogue(f"sqlite:///{home / 'catalogue.db'}", new_id)
    rows = fact_rows(catalogue)
    catalogue.close()
    return rows


def test_a_copied_home_verifies_without_its_catalogue(
    story: Story, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Elsewhere, with nothing but the vault and the keys; a flipped bit there is one finding."""
    story.house.close()
    copy = tmp_path / "copy"
    for part in ("vault", "keys"):
        shutil.copytree(story.house.home / part, copy / part)
    assert cli.main(["verify", story.capture.id, "--home", str(copy), "--json"]) == 0
    capsys.readouterr()
    victim = copy / "vault" / "objects" / story.house.segments(story.source("plain"))[1].key
    data = bytearray(victim.read_bytes())
    data[len(data) // 2] ^= 1
    victim.chmod(0o600)
    victim.write_bytes(data)
    assert cli.main(["verify", story.capture.id, "--home", str(copy), "--json"]) == 1
    findings = json.loads(capsys.readouterr().out)["findings"]
    assert [finding["code"] for finding in findings] == ["SEGMENT_DIGEST"]


def test_a_lost_catalogue_is_rebuilt_from_the_vault(
    story: Story, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same facts, row for row; what is in no vault is named; everything verifies."""
    story.house.close()
    copy = tmp_path / "copy"
    shutil.copytree(story.house.home, copy)
    before = facts_of(copy)
    for path in copy.glob("catalogue.db*"):
        path.unlink()
    assert cli.main(["rebuild", "--home", str(copy), "--json"]) == 0
    rebuilt = json.loads(capsys.readouterr().out)
    assert rebuilt["segments"] == sum(len(story.house.segments(source)) for source in story.house.sources.values())
    assert facts_of(copy) == before
    assert cli.main(["verify", "--all", "--home", str(copy), "--json"]) == 0
    assert any("token" in gone or "address" in gone for gone in rebuilt["gone"])
