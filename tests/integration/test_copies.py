"""Browser copies, made by the real ffmpeg from real H.265 recordings, and judged by decoding them."""

import io
import os
import select
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import av
import pytest

from archiver.adapters.copies import CopyFolder
from archiver.copies import Copying, needs_copy, originals
from archiver.errors import MediaError, UnavailableError
from archiver.mp4.index import index
from archiver.values import Job
from archiver.vocabulary import Container, EventType, JobName, JobState
from config.profiles import BROWSER
from ingest.adapters.ffmpeg import find_ffmpeg
from ingest.adapters.transcoder import FfmpegTranscoder
from tests.api_rig import ROLLS, copying_of, open_api
from tests.archive_rig import WINDOW, Archive, cut, cut_stream
from tests.mp4_streams import ASSETS, asset, with_first_offset

H265 = "h265_aac.mp4"


def times(data: bytes, kind: str) -> list[float]:
    """When each decoded frame is shown, in seconds of the file."""
    with av.open(io.BytesIO(data)) as container:
        stream = getattr(container.streams, kind)[0]
        return [float(frame.pts * frame.time_base) for frame in container.decode(stream)]


def no_progress(done: int, total: int | None = None) -> None:
    """Nobody looks."""


@pytest.fixture
def copying(archive: Archive, home: Path) -> Copying:
    return copying_of(archive, home)


@pytest.fixture
def hevc(archive: Archive, capture: str, tmp_path: Path) -> str:
    """A capture that has ended and whose first source sent H.265, in three segments."""
    archive.deposit(cut(tmp_path, archive.sources(capture)[0], H265, count=3))
    archive.finish(capture)
    return capture


def media(home: Path, archive: Archive, capture: str, source: str, **query: str) -> tuple[int, bytes, str]:
    with open_api(home, archive.clock).client() as client:
        answer = client.get(f"/api/v1/captures/{capture}/sources/{source}/media.mp4", params=query)
        return answer.status_code, answer.content, answer.headers.get("Media-Rendition", "")


@pytest.mark.parametrize("codecs", ["hvc1.1.6.L93.B0,mp4a.40.2", "hev1.1.6.L93.B0"])
def test_h265_needs_a_copy(codecs: str) -> None:
    """Browsers don't play it everywhere."""
    assert needs_copy(codecs)


@pytest.mark.parametrize("codecs", ["avc1.64001f,mp4a.40.2", "avc1.64001f,ulaw", "mp4a.40.2"])
def test_what_a_browser_plays_is_served_as_it_is(codecs: str) -> None:
    """H.264 plays, and so does G.711 in QuickTime."""
    assert not needs_copy(codecs)


def test_a_copy_shows_every_picture_at_its_time(archive: Archive, home: Path, copying: Copying, hevc: str) -> None:
    """As many pictures as the master, each within 1 ms of its own; sound ends within one AAC frame."""
    source = archive.sources(hevc)[0]
    assert copying.make(hevc, source, no_progress) == {"made": 1}
    _, master, _ = media(home, archive, hevc, source)
    status, copy, label = media(home, archive, hevc, source, rendition="browser")
    assert (status, label) == (200, "browser")
    expected, shown = times(master, "video"), times(copy, "video")
    assert len(expected) == len(shown) > 30
    assert farthest(expected, shown) < 0.001
    assert abs(times(master, "audio")[-1] - times(copy, "audio")[-1]) < 0.025
    with av.open(io.BytesIO(copy)) as container:
        assert [stream.codec_context.name for stream in container.streams] == ["h264", "aac"]


@pytest.mark.parametrize(("coding", "container"), [("aac", "mp4"), ("pcm_mulaw", "mov")])
def test_uneven_pictures_and_sound_keep_their_times(
    archive: Archive, home: Path, copying: Copying, capture: str, tmp_path: Path, coding: str, container: str
) -> None:
    """Every picture within 1 ms and every beep within 25 ms of the master's, whatever the sound's coding: a camera's
    pictures don't come evenly, and an encoder must not move them to where they would.
    """
    source = archive.sources(capture)[0]
    footage = cut(tmp_path, source, str(uneven(tmp_path, coding, container)), count=3)
    archive.deposit(footage)
    copying.make(capture, source, no_progress)
    for first, last in ((0.0, 3.9), (1.3, 3.7)):
        start = footage[0].side.span.start
        stretch = {"from": _at(start, first), "to": _at(start, last)}
        _, master, _ = media(home, archive, capture, source, **stretch)
        _, copy, _ = media(home, archive, capture, source, **stretch, rendition="browser")
        expected, heard = beeps(master), beeps(copy)
        assert len(heard) == len(expected) > 3
        assert farthest(expected, heard) < 0.025
        assert farthest(times(master, "video"), times(copy, "video")) < 0.001


def test_a_copy_of_a_guessed_start_stands_where_its_master_does(
    archive: Archive, home: Path, copying: Copying, capture: str, tmp_path: Path
) -> None:
    """Also where the master's edit list names an offset that only its first picture had."""
    source = archive.sources(capture)[0]
    stream = asset("size_change_h265.mp4")
    even = stream[: sum(fragment.size for fragment in index(stream).fragments[:2]) + index(stream).fragments[0].offset]
    archive.deposit(cut_stream(tmp_path, source, with_first_offset(even, 60_000)))
    copying.make(capture, source, no_progress)
    stretch = {"from": _at(WINDOW.start, 0.57), "to": _at(WINDOW.start, 1.63)}
    _, master, _ = media(home, archive, capture, source, **stretch)
    _, copy, _ = media(home, archive, capture, source, **stretch, rendition="browser")
    assert farthest(times(master, "video"), times(copy, "video")) < 0.001


def farthest(expected: Sequence[float], found: Sequence[float]) -> float:
    """Seconds between two that belong together, at the most."""
    return max(abs(one - other) for one, other in zip(expected, found, strict=True))


def uneven(folder: Path, coding: str, container: str) -> Path:
    """The H.265 recording with each picture up to 13 ms late, and a beep every half second for its sound."""
    path = folder / f"uneven.{container}"
    beep = "aevalsrc=exprs='if(lt(mod(t\\,0.5)\\,0.012)\\,0.8*sin(2*PI*1000*t)\\,0)':s=8000:d=4"
    flags = "+frag_keyframe+delay_moov+default_base_moof+skip_trailer"
    command = [find_ffmpeg(), "-v", "error", "-i", str(ASSETS / H265), "-f", "lavfi", "-i", beep]
    command += ["-map", "0:v", "-map", "1:a", "-c:v", "copy", "-tag:v", "hvc1", "-c:a", coding]
    command += ["-bsf:v", "setts=pts=PTS+mod(N*3\\,7)*0.0022/TB:dts=DTS", "-video_track_timescale", "90000"]
    command += ["-movflags", flags, "-frag_duration", "1000000", "-f", container, str(path)]
    subprocess.run(command, check=True)
    return path


def beeps(data: bytes) -> list[float]:
    """When each beep begins, in seconds of the file."""
    found: list[float] = []
    last = -1.0
    with av.open(io.BytesIO(data)) as container:
        for frame in container.decode(audio=0):
            float_samples = frame.format.name.startswith("flt")
            samples = (
                memoryview(frame.planes[0])
                .cast("B")[: frame.samples * frame.format.bytes]
                .cast("f" if float_samples else "h")
            )
            loudest = 1.0 if float_samples else 2.0**15
            for index in (at for at, sample in enumerate(samples) if abs(sample) > 0.3 * loudest):
                now = float(frame.pts * frame.time_base) + index / frame.sample_rate
                if now - last > 0.2:
                    found.append(now)
                last = now
    return found


def test_any_stretch_of_a_copy_can_be_had(archive: Archive, home: Path, copying: Copying, hevc: str) -> None:
    """The same moments as of the master, across joins of segments too."""
    source = archive.sources(hevc)[0]
    copying.make(hevc, source, no_progress)
    with archive.catalogue.reading() as tx:
        start = tx.segments.touching(source, WINDOW)[0].span.start
    for first, last in ((0.5, 1.1), (0.9, 3.3), (2.2, 2.9)):
        stretch = {"from": _at(start, first), "to": _at(start, last)}
        _, master, _ = media(home, archive, hevc, source, **stretch)
        _, copy, _ = media(home, archive, hevc, source, **stretch, rendition="browser")
        expected, shown = times(master, "video"), times(copy, "video")
        assert len(shown) == len(expected) > 5
        assert farthest(expected, shown) < 0.001


def _at(start: datetime, seconds: float) -> str:
    return (start + timedelta(seconds=seconds)).isoformat()


def test_a_copy_is_served_as_an_original_is(archive: Archive, home: Path, copying: Copying, hevc: str) -> None:
    """By ranges, by its ETag and by HEAD; who watches it has watched the source (I11)."""
    source = archive.sources(hevc)[0]
    copying.make(hevc, source, no_progress)
    path = f"/api/v1/captures/{hevc}/sources/{source}/media.mp4?rendition=browser"
    with open_api(home, archive.clock).client() as client:
        head = client.head(path)
        assert not viewed(archive, hevc)
        whole = client.get(path)
        part = client.get(path, headers={"Range": "bytes=100-299", "If-Range": head.headers["ETag"]})
        known = client.get(path, headers={"If-None-Match": head.headers["ETag"]})
        original = client.head(path.partition("?")[0])
    assert (part.status_code, part.content) == (206, whole.content[100:300])
    assert (known.status_code, head.headers["Content-Length"]) == (304, str(len(whole.content)))
    assert original.headers["ETag"] != head.headers["ETag"] and "Media-Rendition" not in original.headers
    assert viewed(archive, hevc) == [source]


def viewed(archive: Archive, capture: str) -> list[str]:
    with archive.catalogue.reading() as tx:
        chain = tx.events.chain(capture)
    return [event.payload["source"] for event in chain if event.type == EventType.SEGMENT_VIEWED]


def test_it_is_pending_until_it_is_made(archive: Archive, home: Path, copying: Copying, hevc: str) -> None:
    """409 says so; asking is one job for each source that needs one, however often it is asked."""
    source = archive.sources(hevc)[0]
    assert media(home, archive, hevc, source, rendition="browser")[0] == 409

    def asked() -> list[Job]:
        with archive.catalogue.transaction() as tx:
            return copying.ask(tx, tx.captures.get(hevc))

    assert [job.id for job in asked()] == [job.id for job in asked()]
    assert [job.name for job in asked()] == [JobName.RENDITION]
    copying.make(hevc, source, no_progress)
    assert asked() == []


def test_whoever_wants_to_watch_has_it_made(archive: Archive, home: Path, hevc: str) -> None:
    """The answer names the job that makes the copy, which can be looked at."""
    source = archive.sources(hevc)[0]
    with open_api(home, archive.clock).client() as client:
        path = f"/api/v1/captures/{hevc}/sources/{source}/media.mp4?rendition=browser"
        first, second = client.get(path).json(), client.get(path).json()
        assert first["code"] == "RENDITION_PENDING"
        assert first["job"]["name"] == "rendition" and first["job"]["state"] == "queued"
        assert second["job"]["id"] == first["job"]["id"]
        assert client.get(f"/api/v1/jobs/{first['job']['id']}").json() == first["job"]


def test_no_copy_is_made_while_it_is_recorded(archive: Archive, home: Path, capture: str, tmp_path: Path) -> None:
    """The next segment would outgrow it."""
    source = archive.sources(capture)[0]
    archive.deposit(cut(tmp_path, source, H265))
    with open_api(home, archive.clock).client() as client:
        path = f"/api/v1/captures/{capture}/sources/{source}/media.mp4?rendition=browser"
        assert client.get(path).json()["job"] is None


def test_one_that_fails_is_tried_again_once_an_hour(archive: Archive, copying: Copying, hevc: str) -> None:
    """Whoever looks often doesn't keep an encoder busy for nothing."""

    def asked() -> Job:
        with archive.catalogue.transaction() as tx:
            (job,) = copying.ask(tx, tx.captures.get(hevc))
        return job

    def fail(job: Job) -> None:
        with archive.catalogue.transaction() as tx:
            tx.jobs.update(replace(job, state=JobState.FAILED))

    fail(asked())
    again = asked()
    assert again.state is JobState.QUEUED
    fail(again)
    assert asked() == replace(again, state=JobState.FAILED)
    archive.clock.pass_s(3600)
    assert asked().state is JobState.QUEUED


def test_progress_is_told_in_seconds_of_media(archive: Archive, copying: Copying, hevc: str) -> None:
    """It begins at nothing, never goes back, and ends at all of it."""
    told: list[tuple[int, int | None]] = []
    copying.make(hevc, archive.sources(hevc)[0], lambda done, total=None: told.append((done, total)))
    assert told[0] == (0, 4) and told[-1] == (4, 4)
    assert told == sorted(told) and len(told) == 4


def test_making_it_again_does_nothing(archive: Archive, home: Path, copying: Copying, hevc: str) -> None:
    """One event states it, with the segments it is made of and its digest; it is in no vault."""
    source = archive.sources(hevc)[0]
    before = [stored.key for stored in archive.vault.list()]
    copying.make(hevc, source, no_progress)
    assert copying.make(hevc, source, no_progress) == {"made": 0}
    with archive.catalogue.reading() as tx:
        made = [event for event in tx.events.chain(hevc) if event.type == EventType.RENDITION_MADE]
    assert len(made) == 1 and len(made[0].payload["segments"]) == 3
    assert [stored.key for stored in archive.vault.list()] == before


@pytest.mark.parametrize("harm", ["changed", "cut", "gone", "index changed", "index gone"])
def test_a_harmed_copy_is_not_served_but_made_again(
    archive: Archive, home: Path, copying: Copying, hevc: str, harm: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Its digest is checked before its first byte is sent; a changed one is told of in the log."""
    source = archive.sources(hevc)[0]
    copying.make(hevc, source, no_progress)
    (path,) = (home / "copies").glob("*.mp4")
    data = path.read_bytes()
    if harm == "changed":
        path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    elif harm == "cut":
        os.truncate(path, len(data) - 100)
    elif harm == "index changed":
        path.with_suffix(".index").write_bytes(path.with_suffix(".index").read_bytes()[:-1])
    else:
        (path if harm == "gone" else path.with_suffix(".index")).unlink()
    assert media(home, archive, hevc, source, rendition="browser")[0] == 409
    assert ("TAMPERED" in caplog.text) == (harm in ("changed", "cut"))
    assert copying.make(hevc, source, no_progress) == {"made": 1}
    assert media(home, archive, hevc, source, rendition="browser")[0] == 200


def test_what_can_not_be_encoded_leaves_nothing_half(home: Path) -> None:
    """Neither a file nor a name; the error has ffmpeg's words."""
    copies, transcoder = CopyFolder(home / "copies"), FfmpegTranscoder(find_ffmpeg())
    name = "0" * 64
    with pytest.raises(MediaError, match="no copy could be made"), copies.making(name, 0) as target:
        transcoder.transcode([b"\0" * 1000], target, BROWSER, Container.MP4, 90_000)
    assert list((home / "copies").iterdir()) == []


def test_a_reader_that_fails_ends_the_encoder(home: Path) -> None:
    """A vault that goes away in the middle leaves no child and no file."""

    def broken():
        yield b"\0" * 1000
        raise OSError("the vault is away")

    copies, transcoder = CopyFolder(home / "copies"), FfmpegTranscoder(find_ffmpeg())
    with pytest.raises(OSError, match="away"), copies.making("0" * 64, 0) as target:
        transcoder.transcode(broken(), target, BROWSER, Container.MP4, 90_000)
    assert list((home / "copies").iterdir()) == []


def test_a_killed_process_leaves_no_encoder_and_no_copy(home: Path) -> None:
    """Its encoder dies with it, having run at the lowest priority; what it left half written has no copy's name."""
    program = f"""
import time
from pathlib import Path
from archiver.adapters.copies import CopyFolder
from archiver.vocabulary import Container
from config.profiles import BROWSER
from ingest.adapters.ffmpeg import find_ffmpeg
from ingest.adapters.transcoder import FfmpegTranscoder

def endless():
    yield Path({str(ASSETS / H265)!r}).read_bytes()
    print("begun", flush=True)
    time.sleep(60)

with CopyFolder(Path({str(home / "copies")!r})).making("0" * 64, 0) as target:
    FfmpegTranscoder(find_ffmpeg()).transcode(endless(), target, BROWSER, Container.MP4, 90_000)
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as maker:
        assert maker.stdout and maker.stdout.readline() == b"begun\n"
        encoder = int(Path(f"/proc/{maker.pid}/task/{maker.pid}/children").read_text())
        assert os.getpriority(os.PRIO_PROCESS, encoder) == 19
        ended = os.pidfd_open(encoder)
        maker.kill()
    assert select.select([ended], [], [], 2)[0], "the encoder lives on"
    os.close(ended)
    assert [path.name[:4] for path in (home / "copies").iterdir()] == ["new-"]


def test_recordings_have_the_disk_first(home: Path) -> None:
    """A copy isn't begun where the disk would soon be full."""
    copies = CopyFolder(home / "copies", spared=2**60)
    with pytest.raises(UnavailableError, match="no room for the browser copy"), copies.making("0" * 64, 1):
        pytest.fail("it was begun")


def test_each_unbroken_recording_is_one_original(archive: Archive, capture: str, tmp_path: Path) -> None:
    """Two recordings of a source are two copies; H.264 between them is none."""
    source = archive.sources(capture)[0]
    archive.deposit(cut(tmp_path, source, H265, start_s=-4))
    archive.deposit(cut(tmp_path, source))
    archive.deposit(cut(tmp_path, source, H265, start_s=4))
    with archive.catalogue.reading() as tx:
        found = originals(ROLLS.segments(tx, tx.captures.get(capture), source))
    assert [len(original.segments) for original in found] == [2, 2]
