"""The stream splitter: what it gives out, and that nothing is lost or invented."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archiver.errors import MediaError
from archiver.mp4.boxes import build
from archiver.mp4.reader import Fragment, FragmentReader, Init
from tests import mp4_streams as mp4

SYNTHETIC = b"".join(
    (
        mp4.both(),
        mp4.fragment(1, [(mp4.AUDIO, 0, [(8000, 5)], 0)]),
        mp4.fragment(
            2,
            [(mp4.VIDEO, 0, [(40, 7), (40, 3)], 0x02000000), (mp4.AUDIO, 8000, [(640, 4)], 0)],
            before=mp4.prft(0xEEAFC676, 2**31),
        ),
        mp4.fragment(3, [(mp4.VIDEO, 80, [(40, 9)], mp4.NON_SYNC)], before=build(b"styp", b"msdh") + build(b"free")),
    )
)


def read(data: bytes, *cuts: int) -> tuple[list[Init | Fragment], FragmentReader]:
    reader, found, last = FragmentReader(), [], 0
    for cut in (*sorted(cuts), len(data)):
        found += reader.feed(data[last:cut])
        last = cut
    return found, reader


@pytest.mark.parametrize("data", [SYNTHETIC, *map(mp4.asset, mp4.REAL)], ids=["synthetic", *mp4.REAL])
def test_nothing_is_lost(data):
    """The init and the fragments, joined, are the stream, and nothing is pending."""
    found, reader = read(data)
    assert b"".join(item.data for item in found) == data
    assert reader.pending == b""
    assert isinstance(found[0], Init)
    assert len(found) > 3


@given(cuts=st.lists(st.integers(0, len(SYNTHETIC)), max_size=40))
def test_any_chunking_gives_the_same(cuts):
    """However the bytes arrive, the values are equal."""
    assert read(SYNTHETIC, *cuts)[0] == read(SYNTHETIC)[0]


@settings(max_examples=20, deadline=None)
@given(size=st.integers(1, 5000), name=st.sampled_from(mp4.REAL))
def test_any_chunking_of_real_recordings(size, name):
    """The same for what ffmpeg wrote."""
    data = mp4.asset(name)
    assert read(data, *range(size, len(data), size))[0] == read(data)[0]


def test_real_init():
    """The tracks of an H.264 and AAC recording, with the edit list's media start."""
    init = read(mp4.asset("h264_aac.mp4"))[0][0]
    video, audio = init.tracks
    assert (init.brand, init.timescale, init.reference) == ("mp4", 16000, video)
    assert (video.kind, video.codec, video.timescale, video.width, video.height) == (
        "video",
        "avc1",
        10240,
        64,
        36,
    )
    assert (audio.kind, audio.codec, audio.sample_rate, audio.channels) == ("audio", "mp4a", 16000, 1)
    assert (video.media_start, video.delay, audio.media_start) == (2048, 0, 1024)
    assert video.config[0] == 1
    assert audio.config


def test_mov_init():
    """G.711 in QuickTime: the brand and the sound's code tell."""
    init = read(mp4.asset("h264_mulaw.mov"))[0][0]
    assert (init.brand, init.tracks[1].codec, init.tracks[1].sample_rate) == ("mov", "ulaw", 8000)


def test_delay_of_late_picture():
    """A picture that began 1.1 s after the sound has that delay in its edit list."""
    init = read(mp4.asset("late_picture.mp4"))[0][0]
    assert init.reference.delay * 10 == 11
    assert init.reference.presented(2048) * 10 == 11


def test_real_fragments():
    """Times follow on from each other; every second fragment begins with a keyframe (GOP 2 s, fragments 1
    s)."""
    fragments = read(mp4.asset("h264_aac.mp4"))[0][1:]
    assert [f.tfdt for f in fragments[:4]] == [0, 10240, 20480, 30720]
    assert [f.duration for f in fragments[:4]] == [10240] * 4
    assert [f.keyframe for f in fragments] == [True, False, True, False, False]
    assert [f.tracks[2].samples for f in fragments] == [14, 16, 15, 16, 3]
    assert fragments[0].prft == 1795508214122000
    assert fragments[4].prft is None


def test_sound_without_picture_is_carried_over():
    """A fragment with only sound is placed on the video's clock by the edit lists, and is no keyframe."""
    last = read(mp4.asset("h264_aac.mp4"))[0][-1]
    assert list(last.tracks) == [2]
    assert last.tfdt == round((62464 - 1024) / 16000 * 10240)
    assert last.duration == round(2560 / 16000 * 10240)
    assert not last.keyframe


def test_sound_only_source_can_begin_anywhere():
    """Without a video track the first audio track times the fragments, and each can begin a segment."""
    found = read(mp4.asset("aac_only.mp4"))[0]
    assert [f.tfdt for f in found[1:]] == [0, 16384, 32768, 49152]
    assert all(f.keyframe for f in found[1:])


def test_sound_first():
    """Sound before the first picture: the fragment is kept, placed before the picture, and no keyframe."""
    data = mp4.init([mp4.video_trak([(1000, -1), (0, 0)]), mp4.audio_trak([(0, 0)])])
    data += mp4.fragment(1, [(mp4.AUDIO, 0, [(8000, 5)], 0)])
    first = read(data)[0][1]
    assert (first.tfdt, first.duration, first.keyframe) == (-1000, 1000, False)


def test_synthetic_values():
    """Flags of the first sample, durations, sizes, and NTP time to the microsecond."""
    _, sound, picture, rest = read(SYNTHETIC)[0]
    assert (sound.tfdt, sound.duration, sound.keyframe) == (0, 1000, False)
    assert (picture.tfdt, picture.duration, picture.keyframe) == (0, 80, True)
    assert picture.prft == (0xEEAFC676 - 2_208_988_800) * 1_000_000 + 500_000
    run = picture.tracks[mp4.VIDEO]
    assert (run.samples, run.first_size, picture.data[run.first_offset]) == (2, 7, 2)
    assert (picture.tracks[mp4.AUDIO].base, picture.tracks[mp4.AUDIO].duration) == (8000, 640)
    assert (rest.tfdt, rest.duration, rest.keyframe) == (80, 40, False)


def test_ntp_after_2036():
    """NTP's seconds begin again in February 2036; a clear top bit is after that."""
    data = mp4.both() + mp4.fragment(1, [(mp4.VIDEO, 0, [(40, 7)], 0)], before=mp4.prft(0))
    assert read(data)[0][1].prft == 2_085_978_496 * 1_000_000


def test_defaults_of_trex_and_tfhd():
    """A trun without columns takes tfhd's values, then trex's."""
    head = mp4.init([mp4.video_trak()], [mp4.trex(mp4.VIDEO, duration=40, size=6, flags=mp4.NON_SYNC)])
    plain = mp4.plain_fragment(mp4.VIDEO, 0, samples=3, size=6)
    told = mp4.plain_fragment(mp4.VIDEO, 120, samples=2, size=4, defaults=[(0x8, 50), (0x10, 4), (0x20, 0)])
    first, second = read(head + plain + told)[0][1:]
    assert (first.duration, first.keyframe, first.tracks[1].first_size) == (120, False, 6)
    assert (second.duration, second.keyframe, second.tracks[1].first_size) == (100, True, 4)


def test_torn_tail():
    """What the stream broke off in is pending, byte for byte."""
    data = mp4.asset("h264_aac.mp4")
    found, reader = read(data[:-100])
    given_out = b"".join(item.data for item in found)
    assert given_out + reader.pending == data[:-100]
    assert reader.pending_size == len(reader.pending) > 0


def test_goes_on_after_a_known_init():
    """A reader with an init takes the fragments alone."""
    found, _ = read(SYNTHETIC)
    reader = FragmentReader(found[0])
    assert reader.feed(SYNTHETIC[len(found[0].data) :]) == found[1:]


def test_an_error_loses_nothing():
    """What was complete before bad bytes is given out; then every call raises, and the bad bytes stay
    pending."""
    found, _ = read(SYNTHETIC)
    reader = FragmentReader()
    assert reader.feed(SYNTHETIC + b"\0\0\0\x10junkjunkjunk") == found
    with pytest.raises(MediaError, match="junk"):
        reader.feed(b"more")
    with pytest.raises(MediaError):
        reader.feed(b"")
    assert reader.pending == b"\0\0\0\x10junkjunkjunkmore"


REFUSED = {
    "noise": b"\xff" * 16,
    "no init": SYNTHETIC[len(mp4.both()) :],
    "two inits": mp4.both() * 2,
    "mdat without moof": mp4.both() + build(b"mdat", b"x"),
    "no samples": mp4.both() + mp4.moof() + build(b"mdat", b"x"),
    "unknown track": mp4.both() + mp4.fragment(1, [(9, 0, [(1, 1)], 0)]),
    "samples after the mdat": mp4.both() + mp4.plain_fragment(1, 0, samples=1, size=1, offset=5000),
    "samples before the mdat": mp4.both() + mp4.plain_fragment(1, 0, samples=1, size=1, offset=0),
    "a track twice": mp4.both() + mp4.fragment(1, [(1, 0, [(1, 1)], 0), (1, 1, [(1, 1)], 0)]),
    "a million samples of nothing": mp4.both() + mp4.plain_fragment(1, 0, samples=2**21, size=0),
    "a broken clock": mp4.both() + mp4.fragment(1, [(1, 2**63, [(1, 1)], 0)], version=1),
    "huge moof": mp4.both() + b"\x7f\xff\xff\xffmoof",
    "huge mdat": mp4.both() + mp4.moof() + b"\0\0\0\x01mdat" + b"\x7f" * 8,
    "endless mdat": mp4.both() + mp4.moof() + b"\0\0\0\0mdat",
    "no trex": mp4.init([mp4.video_trak()], [mp4.trex(7)]),
    "neither video nor audio": mp4.init([mp4.trak(1, b"text", 1000, mp4.sound_entry())]),
    "two tracks of one number": mp4.init([mp4.video_trak(), mp4.video_trak()]),
    "timescale 0": mp4.init([mp4.trak(1, b"vide", 0, mp4.visual_entry())]),
}


@pytest.mark.parametrize("data", REFUSED.values(), ids=REFUSED)
def test_refused(data):
    """Bytes that are no fragmented stream raise MediaError, at the latest in the call after the last good
    item."""
    reader = FragmentReader()
    with pytest.raises(MediaError):
        reader.feed(data)
        reader.feed(b"")


@settings(max_examples=300, deadline=None)
@given(data=st.data(), name=st.sampled_from(["synthetic", *mp4.REAL]))
def test_fuzz(data, name):
    """Damaged bytes never raise anything but MediaError; what is given out plus pending is what was fed."""
    original = SYNTHETIC if name == "synthetic" else mp4.asset(name)
    stream = data.draw(mp4.damaged(original))
    reader, out = FragmentReader(), b""
    try:
        out += b"".join(item.data for item in reader.feed(stream))
        out += b"".join(item.data for item in reader.feed(b""))
    except MediaError as problem:
        assert problem.code == "MEDIA_UNREADABLE"
    assert out + reader.pending == stream


def test_cost_is_small():
    """A large mdat in small chunks costs time in proportion to its bytes."""
    big = mp4.both() + mp4.fragment(1, [(mp4.VIDEO, 0, [(40, 20_000_000)], 0)])
    reader, found = FragmentReader(), []
    started = time.process_time()
    for at in range(0, len(big), 1400):
        found += reader.feed(big[at : at + 1400])
    assert len(found) == 2
    assert time.process_time() - started < 2
