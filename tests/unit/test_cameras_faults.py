"""Faults on request, and the frames of a camera in time."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archiver.errors import InputError
from ingest.cameras.camera import Camera
from ingest.cameras.codecs import AudioCodec, VideoCodec
from ingest.cameras.faults import FaultKind, Request, find, parse_query
from ingest.cameras.loops import Picture, Sound

MINUTE_US = 1_795_508_820_000_000


def camera(audio: AudioCodec = AudioCodec.AAC) -> Camera:
    return Camera("cam1", Picture(VideoCodec.H264), Sound(audio), MINUTE_US)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ()),
        ("no_sprop", (Request(FaultKind.NO_SPROP),)),
        ("skew=-3600.5", (Request(FaultKind.SKEW, -3600.5),)),
        ("jump=30@5", (Request(FaultKind.JUMP, 30, 5),)),
        (
            "stall=@5-15.5&latency=200",
            (Request(FaultKind.STALL, 0, 5, 10.5), Request(FaultKind.LATENCY, 200)),
        ),
    ],
)
def test_faults_are_read_from_an_address(query, expected):
    """kind=[value][@from[-until]], several joined by &."""
    assert parse_query(query) == expected


@pytest.mark.parametrize(
    "query", ["explode", "stall=soon", "stall=@5-", "stall=@5-3", "loss=1e9", "skew=nan", "__class__=1"]
)
def test_unknown_faults_are_refused(query):
    """A misspelt fault must not pass as a healthy camera."""
    with pytest.raises(InputError, match="no such fault"):
        parse_query(query)


@given(st.text(max_size=60))
def test_no_query_is_an_accident(query):
    """Any text gives faults or InputError."""
    with suppress(InputError):
        assert all(asked.kind in FaultKind for asked in parse_query(query))


def test_a_fault_shows_from_its_start_until_before_its_end():
    """Half-open, counted from when it was asked for; without an end it stays."""
    stall = Request(FaultKind.STALL, after_s=2, seconds=3).begin(1_000_000)
    shown = [find([stall], FaultKind.STALL, us) is stall for us in (2_999_999, 3_000_000, 5_999_999, 6_000_000)]
    assert shown == [False, True, True, False]
    assert Request(FaultKind.MUTE).begin(0).active(10**18)
    assert find([stall], FaultKind.MUTE, 3_000_000) is None


@given(st.integers(0, 10**13))
def test_the_next_frame_and_sound_are_the_first_after_now(elapsed):
    """Numbers count from the camera's start, whether or not anybody is connected."""
    at, now = camera(), MINUTE_US + elapsed
    number, unit = at.next_number(now), at.next_sound(now)
    assert at.captured_us(number - 1) <= now < at.captured_us(number)
    assert at.sound_ends_us(unit - 1) <= now < at.sound_ends_us(unit)


@pytest.mark.parametrize("codec", [AudioCodec.AAC, AudioCodec.PCMU])
def test_a_minute_is_a_whole_number_of_units(codec):
    """So that picture, sound and wall clock stay aligned for ever."""
    at = camera(codec)
    units = at.next_sound(MINUTE_US + 60_000_000)
    assert at.sound_ends_us(units - 1) == MINUTE_US + 60_000_000
    assert at.captured_us(1500) == MINUTE_US + 60_000_000


def test_faults_change_what_is_seen_and_heard():
    """Each names another loop; without a fault it is the camera's own."""
    at = camera()
    faults = [Request(kind).begin(0) for kind in (FaultKind.FREEZE, FaultKind.RESIZE, FaultKind.MUTE)]
    assert at.picture_at(1, []) == at.picture
    assert at.picture_at(1, faults) == Picture(VideoCodec.H264, width=320, height=180, still=True)
    assert at.sound_at(1, faults) == Sound(AudioCodec.AAC, silent=True)


def test_every_loop_that_faults_may_need_is_known_before():
    """Also their combinations: a stream never waits for an encoder."""
    needed = camera().loops_for([Request(FaultKind.FREEZE), Request(FaultKind.RESIZE), Request(FaultKind.MUTE)])
    assert len(needed) == len(set(needed)) == 6
    assert Picture(VideoCodec.H264, width=320, height=180, still=True) in needed


@pytest.mark.parametrize("name", ["", "Cam1", "a/b", "x" * 33, "cam\n"])
def test_names_are_safe_in_addresses_and_marks(name):
    """Lower-case letters, digits and hyphens."""
    with pytest.raises(InputError):
        Camera(name, Picture(VideoCodec.H264), Sound(AudioCodec.AAC), MINUTE_US)


def test_a_camera_sends_something():
    """Neither picture nor sound is a mistake."""
    with pytest.raises(InputError):
        Camera("cam1", Picture(VideoCodec.NONE), Sound(AudioCodec.NONE), MINUTE_US)
