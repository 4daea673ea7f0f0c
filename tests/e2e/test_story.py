"""One window over seven cameras, recorded by the real installation, then looked at from every side: by the marks in the
pictures, by the command line, by a search for secrets, by a rebuild. One recording serves all.
"""

import io
import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import av
import pytest

from api import cli
from archiver import sidecar
from archiver.adapters.catalogue.catalogue import SqlCatalogue
from archiver.copies import PendingError
from archiver.playback import Media
from archiver.timeline import Interval
from archiver.times import from_us, to_text
from archiver.values import Capture
from archiver.vocabulary import GapCause
from ingest.cameras.background import BackgroundFarm
from ingest.cameras.codecs import AudioCodec, VideoCodec
from ingest.cameras.digest import Login
from ingest.cameras.farm import CameraSpec, FarmOptions
from ingest.cameras.faults import FaultKind
from ingest.cameras.sei import read_marks
from tests import leaks
from tests.catalogue_facts import new_id
from tests.catalogue_rows import Rows, fact_rows
from tests.installation import SLACK, SMALL, House, house, until
from tests.running import api_of, asked

USER, PASSWORD = "viewer-quux7", "Pa55-w0rd:xyzzy"
NEVER = "7391846"
"""In an address: when, in seconds, a fault would begin."""
SKEW_S = 3600
LATENCY = timedelta(milliseconds=400)
PRE_ROLL_S = 15
"""So many starts at once on a busy machine take their time."""
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
    "late": (VideoCodec.H264, AudioCodec.NONE),
    "microphone": (VideoCodec.NONE, AudioCodec.AAC),
}


@dataclass(frozen=True)
class Story:
    """The house, its sealed capture, and what its processes showed to others while they ran."""

    house: House
    urls: Mapping[str, str]
    capture: Capture
    shown: leaks.Places
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
        urls["late"] += f"?latency={LATENCY // timedelta(milliseconds=1)}"
        urls["plain"] += f"?mute=@{NEVER}"
        with house(tmp_path_factory.mktemp("story") / "home", urls, pre_roll_s=PRE_ROLL_S) as made:
            made.start()
            made.one("recorder")
            capture = made.book(WINDOW_S, lead_s=2)
            wait_s = (capture.window.start - datetime.now(capture.window.start.tzinfo)).total_seconds()
            farm.fault("cut", FaultKind.REFUSE, after_s=wait_s + CUT_AT_S, seconds=CUT_S)
            with leaks.watched(made, every_s=1) as shown:
                until(lambda: len(made.role("ffmpeg")) == len(CAMERAS), 30)
                sealed = made.sealed(capture.id, WINDOW_S + 60)
            token = (made.home / "token").read_text().strip()
            yield Story(made, urls, sealed, dict(shown), token)


def test_every_frame_is_there_once_and_in_its_place(story: Story) -> None:
    """Judged by the pictures' own marks: nothing is lost outside stated gaps, doubled, or moved; a camera whose clock
    is an hour wrong and one without sender reports stand as right as any other.
    """
    judged = {each.stated.source: each for each in story.house.judged(story.capture)}
    assert len(judged) == len(CAMERAS)
    for name in CAMERAS:
        if name != "microphone":
            judged[story.source(name)].judge(SLACK + late(name))


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


def late(name: str) -> timedelta:
    """How long a camera was told to keep a picture before it sends it: no recorder can know."""
    return LATENCY if name == "late" else timedelta()


def exported(story: Story, out: Path, name: str, start: datetime, end: datetime) -> Path:
    """The file that `archiver export` wrote of a source."""
    words = ["export", story.capture.id, "--source", story.source(name), "--out", str(out)]
    words += ["--from", start.isoformat(), "--to", end.isoformat(), "--home", str(story.house.home), "--json"]
    assert cli.main(words) == 0
    (path,) = out.parent.glob(f"{out.stem}.*")
    return path


@pytest.mark.parametrize("name", ["plain", "hevc", "cut", "hevc-g711", "mute", "skewed", "unreported", "late"])
@pytest.mark.parametrize(("first_s", "last_s"), [(2.36, 5.0), (0.0, WINDOW_S), (1.0, 21.7)])
def test_an_export_is_exactly_what_was_asked_for(
    story: Story, tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str, first_s: float, last_s: float
) -> None:
    """It begins and ends within two frames of `from` and `to`, has every frame between, and a gap stays a gap."""
    start = story.capture.window.start + timedelta(seconds=first_s)
    end = story.capture.window.start + timedelta(seconds=last_s)
    path = exported(story, tmp_path / "part.mp4", name, start, end)
    marks = [mark for mark in read_marks(path) if mark.shown]
    capfd.readouterr()
    for edge, wanted in ((from_us(marks[0].captured_at_us), start), (from_us(marks[-1].captured_at_us) + FRAME, end)):
        assert abs(edge + late(name) - wanted) <= 2 * FRAME
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


@pytest.mark.parametrize("name", ["plain", "cut", "hevc-g711", "microphone"])
def test_http_gives_the_same_bytes_as_an_export(
    story: Story, tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str
) -> None:
    """One file of any stretch, whole or by a range of it: it is the same, whoever gives it."""
    start = story.capture.window.start + timedelta(seconds=1.5)
    end = story.capture.window.start + timedelta(seconds=20.25)
    expected = exported(story, tmp_path / "part.mp4", name, start, end).read_bytes()
    capfd.readouterr()
    path = f"/captures/{story.capture.id}/sources/{story.source(name)}/media.mp4"
    stretch = {"from": start.isoformat(), "to": end.isoformat()}
    with api_of(story.house) as client:
        whole = client.get(path, params=stretch)
        part = client.get(path, params=stretch, headers={"Range": "bytes=1000-4999", "If-Range": whole.headers["ETag"]})
    assert whole.status_code == 200 and whole.content == expected
    assert part.status_code == 206 and part.content == expected[1000:5000]


def test_sound_alone_is_exported_to_the_moment(story: Story, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A microphone's stretch is as long as it was asked for, and every sample of it is there."""
    start, end = (story.capture.window.start + timedelta(seconds=at_s) for at_s in (3.3, 9.8))
    path = exported(story, tmp_path / "sound.mp4", "microphone", start, end)
    capfd.readouterr()
    with av.open(str(path)) as container:
        (stream,) = container.streams
        assert stream.type == "audio"
        frames = list(container.decode(audio=0))
        sounding = [(float(frame.pts * frame.time_base), frame.samples / frame.sample_rate) for frame in frames]
    assert abs(sum(length for _, length in sounding) - 6.5) < 0.05
    assert all(abs(at + length - following) < 0.001 for (at, length), (following, _) in pairwise(sounding))


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


def test_every_face_tells_a_wrong_camera_clock(story: Story) -> None:
    """`capture show`, the API's coverage and the page; of a camera that told nothing, nothing is said."""
    wrong, silent = story.source("skewed"), story.source("unreported")
    shown = asked("capture", "show", story.capture.id, home=story.house.home)
    told = {one["source"]: one["offset_s"] for one in shown["camera_clocks"]}
    assert abs(told[wrong] - SKEW_S) < 1 and silent not in told and abs(told[story.source("plain")]) < 0.5
    with api_of(story.house) as client:
        coverage = client.get(f"/captures/{story.capture.id}/coverage").json()
        signed_in = client.post("/session", json={"token": story.token})
        assert signed_in.status_code == 204
        page = client.get(client.base_url.join(f"/captures/{story.capture.id}")).text
    clocks = {one["source"]: one["camera_clock"] for one in coverage["sources"]}
    assert clocks[wrong] == {"origin": "rtcp", "offset_s": told[wrong]} and clocks[silent] is None
    (hint,) = [line for line in page.splitlines() if "1:00:00" in line]
    assert "skewed" in hint


def test_no_secret_is_written_or_shown_anywhere(story: Story) -> None:
    """Neither a camera's login nor the rest of its address, nor the token, is in an argument or environment of any
    process, a log, an event, the database, the spool, the vault or an export; the token's file is the one exception.
    """
    secrets = {USER, PASSWORD, f"skew={SKEW_S}", NEVER, story.token}
    places = {**leaks.written(story.house.home), **story.shown}
    assert len(places) > 100 and len(story.shown) > 2 * len(CAMERAS)
    assert leaks.found(secrets, places) == {(str(story.house.home / "token"), story.token)}


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


@pytest.fixture(scope="module")
def rebuilt(story: Story, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the home whose catalogue was lost and made again."""
    story.house.close()
    copy = tmp_path_factory.mktemp("rebuilt") / "home"
    shutil.copytree(story.house.home, copy)
    for path in copy.glob("catalogue.db*"):
        path.unlink()
    (copy / "told.json").write_text(json.dumps(asked("rebuild", home=copy)))
    return copy


def test_a_lost_catalogue_is_rebuilt_from_the_vault(story: Story, rebuilt: Path) -> None:
    """The same facts, row for row; everything verifies, and is found and shown as before."""
    told = json.loads((rebuilt / "told.json").read_text())
    assert told["segments"] == sum(len(story.house.segments(source)) for source in story.house.sources.values())
    assert facts_of(rebuilt) == facts_of(story.house.home)
    assert asked("verify", "--all", home=rebuilt)["findings"] == []
    shown = asked("capture", "show", story.capture.id, home=rebuilt)
    assert shown == asked("capture", "show", story.capture.id, home=story.house.home)
    found = asked("search", "--source", story.source("cut"), "--state", "sealed", home=rebuilt)["items"]
    assert [one["capture"] for one in found] == [story.capture.id]


def test_what_is_gone_is_named_and_can_be_entered_again(story: Story, rebuilt: Path) -> None:
    """Addresses of sources are in no vault: each is named. Given again, a new window is recorded and sealed as ever."""
    gone = json.loads((rebuilt / "told.json").read_text())["gone"]
    for id in story.house.sources.values():
        (named,) = [each for each in gone if id in each]
        assert "address" in named and "enter it again" in named
    with house(rebuilt) as again:
        again.start()
        names = ("plain", "hevc-g711")
        with api_of(again) as client:
            for name in names:
                changed = client.patch(f"/sources/{story.source(name)}", json={"url": story.urls[name]})
                assert changed.status_code == 200, changed.text
            start = datetime.now(UTC) + again.ready.rolls.pre + timedelta(seconds=2)
            window = {"start": to_text(start), "end": to_text(start + timedelta(seconds=6))}
            place = {"project": again.project, "location": again.location}
            booked = client.post("/captures", json={**place, **window, "sources": [*map(story.source, names)]})
            assert booked.status_code == 201, booked.text
            capture = again.sealed(booked.json()["id"], 60)
        for each in again.judged(capture):
            each.judge()
            assert each.missing_s == 0
        until(lambda: not again.spooled())
        again.verified()
