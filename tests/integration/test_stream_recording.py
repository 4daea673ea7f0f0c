import asyncio
import io
import os
import re
import time
from itertools import pairwise
from pathlib import Path

import av
import pytest

from archiver.canonical import digest_of
from archiver.mp4.index import index
from archiver.vocabulary import Container, GapCause
from ingest.cameras.codecs import AudioCodec, VideoCodec
from ingest.cameras.farm import CameraSpec, Farm
from ingest.cameras.faults import FaultKind
from ingest.cameras.sei import continuity
from tests.stream_rig import PROGRAMS, Rig, a_duty, marks, media, place_errors_ms, sidecars

FRAME_MS = 40
"""A fragment that sound ends may come up to a frame before the picture after it: places are right to two frames."""


def run(specs, scenario):
    async def within():
        async with Farm([CameraSpec(*spec) for spec in specs]) as farm:
            return await scenario(farm)

    return asyncio.run(within())


def only(rig: Rig):
    (folder,) = rig.folders()
    return folder


@pytest.mark.parametrize("program", PROGRAMS)
def test_no_frame_is_lost_or_doubled_between_segments(tmp_path, program):
    """Every picture from the first to the last is in exactly one segment, placed within two frames of its capture; each
    segment decodes alone, and its sidecar states its bytes."""
    rig = Rig(tmp_path, program)
    recorded = run([("cam",)], lambda farm: rig.record(farm.urls["cam"], 8))
    assert recorded.end.cause is GapCause.STOPPED
    folder = only(rig)
    found = marks(folder)
    assert len(found) > 150 and continuity(found) == continuity(found[:1])
    assert max(map(abs, place_errors_ms(folder))) < 2 * FRAME_MS
    stated = sidecars(folder)
    assert len(stated) == folder.segments >= 3
    assert [each.end_cause for each in stated] == ["cut"] * (len(stated) - 1) + ["stopped"]
    assert all(before.media_end == after.media_start for before, after in pairwise(stated))
    for each, data in zip(stated, media(folder), strict=True):
        assert (each.size, each.digest) == (len(data), digest_of(data))
        assert each.fragments == index(data).fragments
        assert all_decoded(data) > 0
    assert all(each.fragments[0].keyframe for each in stated)


def all_decoded(data: bytes) -> int:
    with av.open(io.BytesIO(data)) as container:
        return sum(1 for frame in container.decode(video=0) if not frame.is_corrupt)


@pytest.mark.parametrize("program", PROGRAMS)
def test_h265_with_g711_is_recorded_as_mov_and_named_hvc1(tmp_path, program):
    """The first start teaches that the sound needs MOV; the picture is complete."""
    rig = Rig(tmp_path, program, attempt=0)
    spec = ("cam", VideoCodec.H265, AudioCodec.PCMU)
    run([spec], lambda farm: rig.record(farm.urls["cam"], 4))
    folder = only(rig)
    assert folder.head.container is Container.MOV
    assert re.fullmatch(r"hvc1\.[^,]+,ulaw", folder.head.codecs)
    assert continuity(marks(folder)).lost == ()
    assert all_decoded(media(folder)[0]) > 50


def test_sound_alone_is_cut_at_any_fragment(tmp_path):
    """A microphone's segments are as long as they should be."""
    rig = Rig(tmp_path, segment_s=2.0)
    run([("mic", VideoCodec.NONE)], lambda farm: rig.record(farm.urls["mic"], 6))
    stated = sidecars(only(rig))
    lengths = [(each.media_end - each.media_start) / each.timescale for each in stated[:-1]]
    assert len(lengths) >= 2 and all(2.0 <= length < 3.2 for length in lengths)


def test_long_gops_are_cut_after_twice_the_length(tmp_path):
    """Without a key frame in time a segment ends anyway."""
    rig = Rig(tmp_path, segment_s=2.0)
    run([("cam",)], lambda farm: rig.record(farm.urls["cam"] + "?long_gop", 8))
    folder = only(rig)
    assert any(not each.fragments[0].keyframe for each in sidecars(folder))
    assert continuity(marks(folder)).lost == ()


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_camera_with_a_wrong_clock_keeps_its_place(tmp_path, program):
    """An hour's error is stated beside the footage and moves nothing."""
    rig = Rig(tmp_path, program)
    run([("cam",)], lambda farm: rig.record(farm.urls["cam"] + "?skew=3600", 5))
    folder = only(rig)
    assert max(map(abs, place_errors_ms(folder))) < 2 * FRAME_MS
    for each in sidecars(folder):
        assert each.camera is not None
        assert abs(each.camera.offset_us - 3_600_000_000) < 60_000


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_camera_without_reports_claims_nothing(tmp_path, program):
    """What ffmpeg then writes is the host's own time, and isn't passed off as the camera's."""
    rig = Rig(tmp_path, program)
    run([("cam",)], lambda farm: rig.record(farm.urls["cam"] + "?no_reports", 5))
    folder = only(rig)
    assert [each.camera for each in sidecars(folder)] == [None] * folder.segments
    assert max(map(abs, place_errors_ms(folder))) < 2 * FRAME_MS


def test_a_dropped_connection_is_a_loss_and_keeps_all_that_came(tmp_path):
    """The last pictures before the cut are there."""
    rig = Rig(tmp_path)

    async def scenario(farm):
        await farm.fault("cam", FaultKind.DROP, after_s=6)
        return await rig.record(farm.urls["cam"], None)

    recorded = run([("cam",)], scenario)
    assert recorded.end.cause is GapCause.LOST
    found = marks(only(rig))
    assert continuity(found).lost == ()
    end_us = found[-1].captured_at_us
    assert abs(recorded.media.end.timestamp() * 1e6 - end_us) < 3 * FRAME_MS * 1000


def test_a_silent_connection_has_stalled(tmp_path):
    """Nothing comes, the connection stands: our own time-out ends it, and ffmpeg gives out what it held."""
    rig = Rig(tmp_path, stall_s=3.0)

    async def scenario(farm):
        await farm.fault("cam", FaultKind.STALL, after_s=5)
        return await rig.record(farm.urls["cam"], None)

    recorded = run([("cam",)], scenario)
    assert recorded.end.cause is GapCause.STALLED
    assert continuity(marks(only(rig))).lost == ()
    assert only(rig).torn() == []


def test_a_short_stall_is_not_counted_as_recorded(tmp_path):
    """A muxer smears the hole over one picture: that fragment is kept apart, and the recording ends before it."""
    rig = Rig(tmp_path)

    async def scenario(farm):
        await farm.fault("cam", FaultKind.STALL, after_s=6, seconds=4)
        began = time.time()
        return began, await rig.record(farm.urls["cam"], None)

    began, recorded = run([("cam",)], scenario)
    assert recorded.end.cause is GapCause.STALLED
    assert recorded.media.end.timestamp() < began + 7
    assert only(rig).torn()


def test_a_jump_of_the_timestamps_ends_the_recording(tmp_path):
    """Media times that leave their arrival by over 1 s are not believed."""
    rig = Rig(tmp_path)

    async def scenario(farm):
        await farm.fault("cam", FaultKind.JUMP, value=20, after_s=8)
        began = time.time()
        return began, await rig.record(farm.urls["cam"], None)

    began, recorded = run([("cam",)], scenario)
    assert recorded.end.cause is GapCause.MEDIA_CHANGED
    assert recorded.media.end.timestamp() < began + 10
    assert max(map(abs, place_errors_ms(only(rig)))) < 2 * FRAME_MS


def test_another_size_ends_the_recording(tmp_path):
    """ffmpeg copies it in silence; the picture's own parameters tell, and the bytes are kept apart."""
    rig = Rig(tmp_path)

    async def scenario(farm):
        await farm.fault("cam", FaultKind.RESIZE, after_s=5)
        return await rig.record(farm.urls["cam"], None)

    recorded = run([("cam",)], scenario)
    assert recorded.end.cause is GapCause.MEDIA_CHANGED
    assert "parameters" in recorded.end.evidence
    assert only(rig).torn()


def test_causes_of_a_start_that_fails(tmp_path):
    """A wrong password and a closed port are told apart, and neither the address nor its parts are in the words."""
    rig = Rig(tmp_path)

    async def scenario(farm):
        address = farm.urls["cam"]
        password = address.split(":")[2].split("@")[0]
        wrong = await rig.record(address.replace(password, "wrong-secret"), 3)
        await farm.fault("cam", FaultKind.REFUSE)
        return wrong, await rig.record(address, 3), password

    wrong, refused, password = run([("cam",)], scenario)
    assert (wrong.end.cause, wrong.media) == (GapCause.AUTH_FAILED, None)
    assert (refused.end.cause, refused.media) == (GapCause.UNREACHABLE, None)
    assert not {"wrong-secret", password, "viewer"} & set(re.split(r"\W", wrong.end.evidence + refused.end.evidence))
    assert rig.folders() == []


def test_no_secret_is_in_a_process_list(tmp_path):
    """The password is in no argument and no environment of any process while ffmpeg runs."""
    rig = Rig(tmp_path)

    async def scenario(farm):
        password = farm.urls["cam"].split(":")[2].split("@")[0].encode()
        recording = asyncio.create_task(rig.record(farm.urls["cam"], 2))
        seen = []
        while not recording.done():
            seen.append(public_words())
            await asyncio.sleep(0.05)
        await recording
        return password, b"".join(seen)

    password, words = run([("cam",)], scenario)
    assert b"concat" in words
    assert password not in words


def public_words() -> bytes:
    words = []
    for process in Path("/proc").glob("[0-9]*"):
        for name in ("cmdline", "environ"):
            try:
                words.append((process / name).read_bytes())
            except OSError:
                continue
    return b"\0".join(words)


def test_cancelled_it_leaves_no_child(tmp_path):
    """A recording whose task is cancelled kills and reaps its ffmpeg, and leaves what it wrote to salvage."""
    rig = Rig(tmp_path)

    async def scenario(farm):
        recording = asyncio.create_task(rig.record(farm.urls["cam"], None))
        while not rig.began:
            await asyncio.sleep(0.05)
        recording.cancel()
        await asyncio.gather(recording, return_exceptions=True)
        assert recording.cancelled()

    before = children()
    run([("cam",)], scenario)
    assert children() == before
    assert only(rig).unfinished() == [0]


def children() -> set[str]:
    return set(Path(f"/proc/self/task/{os.getpid()}/children").read_text().split())


def test_a_killed_ffmpeg_is_a_failure_and_its_tail_is_kept(tmp_path):
    """Death by a signal is never an orderly end."""
    rig = Rig(tmp_path)

    async def scenario(farm):
        stream = await rig.recorder.open(farm.urls["cam"], attempt=1, mov=False)
        recording = asyncio.create_task(rig.deck.record(stream, a_duty(), rig.began.append))
        while not rig.began:
            await asyncio.sleep(0.05)
        await asyncio.sleep(2.5)
        os.kill(stream.pid, 9)
        return await recording

    recorded = run([("cam",)], scenario)
    assert recorded.end.cause is GapCause.LOST
    assert "signal 9" in recorded.end.evidence
    assert continuity(marks(only(rig))).lost == ()


def test_the_spool_of_a_full_disk_closes_what_is_whole(tmp_path):
    """No room: the recording ends with that cause, and its whole fragments stay."""
    rig = Rig(tmp_path)
    wrote = 0

    def step(name: str) -> None:
        nonlocal wrote
        wrote += name == "append"
        if wrote == 5 and name == "append":
            raise OSError(28, "No space left on device")

    rig.spool._step = step
    recorded = run([("cam",)], lambda farm: rig.record(farm.urls["cam"], None))
    assert recorded.end.cause is GapCause.SPOOL_FULL
    folder = only(rig)
    assert folder.closed().cause == "spool_full"
    assert len(sidecars(folder)[0].fragments) == 3
