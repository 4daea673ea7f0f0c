"""A recording whose writer died at any step, or whose file was torn at any byte, keeps every whole fragment (I1, I2,
I4)."""

import os
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from archiver import sidecar
from archiver.canonical import digest_of
from archiver.ids import make_id
from archiver.mp4.reader import FragmentReader
from archiver.vocabulary import Container
from ingest.adapters.spool import RecordingFolder, Spool, Spools
from ingest.anchors import Anchors, arrival_of
from ingest.salvage import salvage
from ingest.segments import SegmentDraft, timing
from ingest.spooled import RecordingHead

ASSET = (Path(__file__).parents[1] / "assets" / "h264_aac.mp4").read_bytes()
NOW = datetime(2026, 11, 23, 1, tzinfo=UTC)
NOW_US = round(NOW.timestamp() * 1e6)
INIT, *FRAGMENTS = FragmentReader().feed(ASSET)
STEPS = ["append", "sync", "segment fsync", "rename", "sidecar", "finished", "close"]


class Killed(BaseException):
    """Where a process would have died."""


def new_id():
    return make_id(datetime.now(UTC), os.urandom(10))


def spool_in(home: Path, step=lambda name: None) -> Spool:
    return Spools(home / "spool", step).take("main", "host", NOW, new_id)


def begin(spool: Spool) -> RecordingFolder:
    return spool.begin(
        RecordingHead(
            recording=new_id(),
            duty=new_id(),
            organisation="o",
            site="main",
            location=new_id(),
            source=new_id(),
            worker=spool.worker,
            epoch=1,
            opened_at=NOW,
            container=Container.MP4,
            init_size=len(INIT.data),
            init_digest=digest_of(INIT.data),
            codecs="avc1,mp4a",
            timescale=INIT.reference.timescale,
        )
    )


def write_part(folder: RecordingFolder, seq: int, tail: bytes = b"", fragments=FRAGMENTS) -> None:
    out = folder.start_segment(seq)
    out.append(INIT.data)
    for n, fragment in enumerate(fragments):
        folder.note_arrival(arrival_of(INIT, fragment, seq, NOW_US + n * 1_000_000))
        out.append(fragment.data)
    if tail:
        out.append(tail)
    out.close()
    folder.let_go()


def contents(folder: RecordingFolder) -> bytes:
    """All bytes that were captured, in order: segments without their inits, then torn ones."""
    media = [each.media.read_bytes().removeprefix(INIT.data) for each in folder.finished()]
    return b"".join(media) + b"".join(path.read_bytes().removeprefix(INIT.data) for path in folder.torn())


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, len(ASSET)))
def test_a_file_torn_at_any_byte_keeps_every_whole_fragment(tmp_path, cut):
    """Nothing captured is lost: the rest is kept as torn."""
    folder = begin(spool_in(tmp_path))
    (folder.path / "00000000.mp4.part").write_bytes(ASSET[:cut])
    done = salvage(folder, "restarted", NOW)
    whole, at = 0, len(INIT.data)
    for fragment in FRAGMENTS:
        at += len(fragment.data)
        whole += at <= cut
    assert folder.closed().segments == len(folder.finished()) == len(done.segments) == (1 if whole else 0)
    if whole:
        stated = sidecar.parse(folder.finished()[0].sidecar)
        assert len(stated.fragments) == whole and stated.end_cause == "restarted" and stated.derived
    assert contents(folder) == ASSET[:cut].removeprefix(INIT.data)


def test_a_salvaged_segment_stands_where_it_would_have_stood(tmp_path):
    """The journal of arrivals gives it the same anchor that its own writer would have given."""
    folder = begin(spool_in(tmp_path))
    write_part(folder, 0)
    salvage(folder, "restarted", NOW)
    stated = sidecar.parse(folder.finished()[0].sidecar)
    arrivals, anchors = folder.arrivals(), Anchors(INIT.reference.timescale)
    for arrival in arrivals[:-1]:
        anchors.observe(arrival)
    assert stated.anchor == timing(anchors, arrivals, stated.media_start, "unknown").anchor
    assert not stated.derived


@pytest.mark.parametrize("at", STEPS)
@pytest.mark.parametrize("again", STEPS[2:])
def test_a_crash_at_any_step_and_again_in_salvage(tmp_path, at, again):
    """Whatever step the writer died before, and then its salvage, the next salvage ends with all bytes."""
    written: list[bytes] = []

    def dying(where, armed):
        def step(name):
            if armed and name == where:
                armed.clear()
                raise Killed

        return step

    spool = spool_in(tmp_path)
    folder = begin(spool)
    writer = RecordingFolder(folder.path, dying(at, [1]))
    try:
        write(writer, written)
    except Killed:
        writer.let_go()
    with suppress(Killed):
        salvage(RecordingFolder(folder.path, dying(again, [1])), "restarted", NOW)
    salvage(folder, "restarted", NOW)
    assert folder.unfinished() == [] and folder.segments == len(folder.finished())
    assert contents(folder) == b"".join(written)
    for each in folder.finished():
        assert sidecar.parse(each.sidecar).digest == digest_of(each.media.read_bytes())


def write(folder: RecordingFolder, written: list[bytes]) -> None:
    """As a recording does, one segment."""
    draft, anchors = SegmentDraft(INIT, 0), Anchors(INIT.reference.timescale)
    out = folder.start_segment(0)
    try:
        out.append(INIT.data)
        for fragment in FRAGMENTS:
            folder.note_arrival(arrival_of(INIT, fragment, 0, NOW_US))
            out.append(fragment.data)
            written.append(fragment.data)
            draft.add(fragment)
        out.sync()
        timed = timing(anchors, folder.arrivals(), draft.media_start, "unknown")
        out.finish(sidecar.to_bytes(draft.sidecar(folder.head, timed, "cut")))
    finally:
        out.close()
    salvage(folder, "stopped", NOW)


def test_deposited_segments_still_count(tmp_path):
    """A crash after the keeper took the first segments: the recording states all that were cut."""
    folder = begin(spool_in(tmp_path))
    write_part(folder, 0)
    first = FRAGMENTS[0]
    salvage(folder, "x", NOW)
    folder.release(0)
    (folder.path / "closed.json").unlink()
    write_part(folder, 1, b"torn", [first])
    assert salvage(folder, "restarted", NOW).segments == (1,)
    assert folder.segments == 2


def test_torn_tails_outlive_their_recording(tmp_path):
    """A done recording's folder goes, its torn bytes stay."""
    spool = spool_in(tmp_path)
    folder = begin(spool)
    write_part(folder, 0, b"torn bytes")
    salvage(folder, "restarted", NOW)
    folder.release(0)
    folder.remove()
    assert spool.recordings() == []
    assert [path.read_bytes() for path in (spool.path / "torn").iterdir()] == [b"torn bytes"]


def test_a_recording_that_is_not_done_is_not_removed(tmp_path):
    """Neither one that is written nor one that waits to be deposited."""
    folder = begin(spool_in(tmp_path))
    write_part(folder, 0)
    with pytest.raises(Exception, match="not done"):
        folder.remove()
    salvage(folder, "restarted", NOW)
    with pytest.raises(Exception, match="not done"):
        folder.remove()
    assert len(folder.finished()) == 1


def test_a_dead_workers_folder_is_taken_and_a_living_ones_is_not(tmp_path):
    """By its lock alone."""
    first, second = Spools(tmp_path), Spools(tmp_path)
    one = first.take("main", "host", NOW, new_id)
    other = second.take("main", "host", NOW + timedelta(seconds=1), new_id)
    assert one.worker != other.worker and second.others(other) == []
    first.release()
    assert [spool.worker for spool in second.others(other)] == [one.worker]
    second.release()
    assert first.take("main", "host", NOW, new_id).worker in (one.worker, other.worker)
    assert first.take("elsewhere", "host", NOW, new_id).worker not in (one.worker, other.worker)


def test_the_spool_that_was_last_at_work_is_taken(tmp_path):
    """Its duties may still be on lease; one that was only adopted has none."""
    first, second, third = Spools(tmp_path), Spools(tmp_path), Spools(tmp_path)
    older = first.take("main", "host", NOW, new_id)
    newer = second.take("main", "host", NOW, new_id)
    for worker, at in ((older.worker, 1000), (newer.worker, 2000)):
        os.utime(tmp_path / worker / "lock", (at, at))
    first.release()
    second.release()
    assert third.take("main", "host", NOW, new_id).worker == newer.worker
    assert [spool.worker for spool in third.others(newer)] == [older.worker]


def test_facts_come_in_the_order_of_their_ids(tmp_path):
    """And go one by one."""
    spool = spool_in(tmp_path)
    for id in ("b", "a", "c"):
        spool.state_fact(id, {"type": id})
    assert spool.facts() == [(id, {"type": id}) for id in "abc"]
    spool.remove_fact("a")
    spool.remove_fact("a")
    assert [id for id, _ in spool.facts()] == ["b", "c"]
