"""Fragments moved in time, and edit lists that keep sound and picture together."""

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archiver.errors import MediaError
from archiver.mp4.boxes import build, build_full, fields, find, need, walk
from archiver.mp4.edits import joining_shifts, shift_tfdt, with_edit_list, with_steady_offset
from archiver.mp4.fragments import steady_offset
from archiver.mp4.init import parse_init
from archiver.mp4.progressive import Part, progressive_head
from tests import mp4_streams as mp4


def moved(init: bytes, data: bytes):
    return mp4.read(init + data)[1]


@pytest.mark.parametrize("name", mp4.REAL)
@settings(max_examples=10)
@given(first=st.integers(0, 2**40), second=st.integers(-(2**20), 2**20))
def test_shifts_compose(name, first, second):
    """Two shifts are one of their sum, a shift and its opposite leave the bytes as they were, samples never
    move."""
    init, fragments = mp4.read(mp4.asset(name))
    data = b"".join(fragment.data for fragment in fragments)
    tracks = [track.track_id for track in init.tracks]
    first += 2**20
    once = shift_tfdt(data, dict.fromkeys(tracks, first))
    assert shift_tfdt(once, dict.fromkeys(tracks, second)) == shift_tfdt(data, dict.fromkeys(tracks, first + second))
    assert shift_tfdt(once, dict.fromkeys(tracks, -first)) == data
    for old, new in zip(fragments, moved(init.data, once), strict=True):
        for track_id in old.tracks:
            assert new.tracks[track_id].base == old.tracks[track_id].base + first
            assert new.tracks[track_id].first_offset == old.tracks[track_id].first_offset
        assert new.clock is None or new.clock.media_time == old.clock.media_time + first


def test_tracks_move_apart():
    """Each track has a shift of its own; one without stays."""
    init, fragments = mp4.read(mp4.asset("h264_aac.mp4"))
    (new,) = moved(init.data, shift_tfdt(fragments[1].data, {2: 100}))
    assert new.tracks[1] == fragments[1].tracks[1]
    assert new.tracks[2].base == fragments[1].tracks[2].base + 100


def test_32_bit_time_that_overflows():
    """It becomes a 64-bit one, and the samples are still where the offsets say."""
    data = mp4.fragment(7, [(1, 5, [(40, 3)], 0), (2, 6, [(40, 4)], 0)])
    far = shift_tfdt(data, {1: 2**32})
    assert len(far) == len(data) + 4
    (old,), (new,) = moved(mp4.both(), data), moved(mp4.both(), far)
    assert new.tracks[1].base == 2**32 + 5
    assert new.tracks[2].base == 6
    for track_id, run in new.tracks.items():
        assert new.data[run.first_offset : run.first_offset + run.first_size] == b"\7" * run.first_size
        assert run.first_offset == old.tracks[track_id].first_offset + 4
    assert len(shift_tfdt(data, {1: 2**31})) == len(data)


def test_offsets_that_follow_on():
    """Without default-base-is-moof the second track counts from the first's end, and is not moved twice."""
    data = mp4.fragment(7, [(1, 5, [(40, 3)], 0)])
    plain = bytearray(data)
    at = plain.index(b"tfhd") + 4
    plain[at : at + 4] = bytes(4)
    assert moved(mp4.both(), bytes(plain))[0].tracks == moved(mp4.both(), data)[0].tracks
    (new,) = moved(mp4.both(), shift_tfdt(bytes(plain), {1: 2**33}))
    run = new.tracks[1]
    assert new.data[run.first_offset : run.first_offset + 3] == b"\7\7\7"


def test_renumbered():
    """The moofs are numbered from the sequence given, in order."""
    data = mp4.fragment(7, [(1, 0, [(40, 3)], 0)]) + mp4.fragment(9, [(1, 40, [(40, 3)], 0)])
    numbers = []
    out = shift_tfdt(data, {}, sequence=41)
    for box in walk(out):
        if box.kind == b"moof":
            numbers += fields("I", out, need(out, box, b"mfhd"), 4)
    assert numbers == [41, 42]


def test_an_index_that_would_be_wrong_is_blanked():
    """A sidx holds times: it becomes free space of the same size."""
    sidx = build_full(b"sidx", 0, 0, bytes(20))
    out = shift_tfdt(sidx + mp4.fragment(1, [(1, 0, [(40, 3)], 0)]), {1: 5})
    assert out[: len(sidx)] == build(b"free", sidx[8:])


def test_below_zero():
    """Nothing is decoded before 0."""
    with pytest.raises(MediaError, match="can't be moved"):
        shift_tfdt(mp4.fragment(1, [(1, 5, [(40, 3)], 0)]), {1: -6})


def edits_of(data: bytes) -> dict[int, list[tuple[int, int]]]:
    """By track number, (duration, media time) of the edit list written."""
    moov = next(box for box in walk(data) if box.kind == b"moov")
    found = {}
    for number, trak in enumerate((box for box in walk(data, moov.body, moov.end) if box.kind == b"trak"), start=1):
        elst = need(data, trak, b"edts", b"elst")
        (count,) = fields("I", data, elst, 4)
        found[number] = [fields("Qq", data, elst, 8 + 20 * entry) for entry in range(count)]
    return found


def test_edit_list():
    """Both tracks begin at the same moment, each in its own ticks behind its own media start; others are
    replaced."""
    init, _ = mp4.read(mp4.asset("h264_aac.mp4"))
    data = with_edit_list(init, Fraction(5, 2), Fraction(3))
    assert edits_of(data) == {1: [(30720, 2048 + 25600)], 2: [(30720, 1024 + 40000)]}
    again = parse_init(data)
    assert again.timescale == 10240
    assert again.tracks[0].presented(2048 + 25600) == again.tracks[1].presented(1024 + 40000) == 0
    assert parse_init(with_edit_list(again, Fraction(1), Fraction(1))).tracks[0].media_start == 2048 + 25600 + 10240


def test_edit_list_of_a_late_picture():
    """Media time counts from the picture, so sound that began 1.1 s before it is 1.1 s further on."""
    init, _ = mp4.read(mp4.asset("late_picture.mp4"))
    data = with_edit_list(init, Fraction(1), Fraction(2))
    assert edits_of(data) == {1: [(20480, 2048 + 10240)], 2: [(20480, 1024 + 16000 * 21 // 10)]}


@pytest.mark.parametrize("offset", [0, 512, 4096])
def test_another_offset_tells_the_same_time_line(offset):
    """Every tick of every track is presented when it was; only what a stretch counts from is another picture."""
    init, _ = mp4.read(mp4.asset("late_picture.mp4"))
    told = with_steady_offset(init, offset)
    assert told.reference.media_start == offset
    for before, after in zip(init.tracks, told.tracks, strict=True):
        assert [after.presented(ticks) for ticks in (0, 1, 99_999)] == [before.presented(t) for t in (0, 1, 99_999)]


@pytest.mark.parametrize(("name", "offset"), [("h264_mulaw.mov", 0), ("h264_aac.mp4", None), ("aac_only.mp4", None)])
def test_steady_offset(name, offset):
    """That of all pictures; none where they are reordered, and none of sound."""
    init, fragments = mp4.read(mp4.asset(name))
    assert steady_offset(init, fragments[-1].data, len(fragments[-1].data)) == offset


def test_edit_list_of_late_sound():
    """Sound that begins after the stretch does is delayed; sound after its end isn't shown."""
    head = mp4.init([mp4.video_trak([(0, 0)]), mp4.audio_trak([(500, -1), (0, 0)])])
    init = parse_init(head)
    assert edits_of(with_edit_list(init, Fraction(0), Fraction(2)))[2] == [(500, -1), (1500, 0)]
    assert edits_of(with_edit_list(init, Fraction(0), Fraction(1, 4)))[2] == [(250, -1)]


def test_edited_header_keeps_everything_else():
    """The movie's and tracks' durations are the stretch's; codecs and sizes stay."""
    init, _ = mp4.read(mp4.asset("h264_mulaw.mov"))
    again = parse_init(with_edit_list(init, Fraction(0), Fraction(2)))
    assert again.brand == "mov"
    assert [track.coding for track in again.tracks] == [track.coding for track in init.tracks]
    moov = next(box for box in walk(again.data) if box.kind == b"moov")
    assert fields("Q", again.data, need(again.data, moov, b"mvhd"), 24) == (20480,)
    assert fields("Q", again.data, need(again.data, moov, b"trak", b"tkhd"), 28) == (20480,)
    assert fields("Q", again.data, need(again.data, moov, b"mvex", b"mehd"), 4) == (20480,)


@pytest.mark.parametrize(("start", "duration"), [(-1, 1), (0, 0), (0, -1), (0, 2**70), (2**70, 1)])
def test_no_stretch(start, duration):
    """An empty stretch, or one outside any clock, is refused."""
    init, _ = mp4.read(mp4.asset("h264_aac.mp4"))
    with pytest.raises(MediaError, match="no stretch"):
        with_edit_list(init, Fraction(start), Fraction(duration))


def test_joining_shifts_make_up_for_other_edit_lists():
    """Sound and picture of the second recording are as far apart in the joined file as they were."""
    first, _ = mp4.read(mp4.asset("h264_aac.mp4"))
    second, _ = mp4.read(mp4.asset("late_picture.mp4"))
    shifts = joining_shifts(first, second, Fraction(10))
    assert shifts[1] == 102400
    for ticks in (0, 5000):
        before = second.tracks[0].presented(ticks) - second.tracks[1].presented(ticks)
        after = first.tracks[0].presented(ticks + shifts[1]) - first.tracks[1].presented(ticks + shifts[2])
        assert before == after
    with pytest.raises(MediaError, match="track 2"):
        joining_shifts(mp4.read(mp4.asset("aac_only.mp4"))[0], first, Fraction(0))


def parts_of(fragments):
    return [Part(fragment.data[: fragment.data.index(b"mdat") + 4], len(fragment.data)) for fragment in fragments]


def test_progressive_points_at_the_stored_samples():
    """Each chunk's place in the file is that of its run in the fragment, which follows the head unchanged."""
    init, fragments = mp4.read(mp4.asset("h264_aac.mp4"))
    head = progressive_head(init, parts_of(fragments), Fraction(0), Fraction(4))
    data = head + b"".join(fragment.data for fragment in fragments)
    top = list(walk(data))
    assert [box.kind for box in top] == [b"ftyp", b"moov", b"mdat"]
    co64 = need(data, need(data, top[1], b"trak", b"mdia", b"minf", b"stbl"), b"co64")
    assert fields("I", data, co64, 4) == (4,)
    at = len(head)
    for number, fragment in enumerate(fragments[:4]):
        assert fields("Q", data, co64, 8 + 8 * number) == (at + fragment.tracks[1].first_offset,)
        at += len(fragment.data)
    assert find(data, top[1], b"mvex") is None


def test_progressive_keeps_a_hole():
    """The last sample before a hole lasts until it ends."""
    init = parse_init(mp4.init([mp4.video_trak()]))
    data = [mp4.fragment(n, [(1, time, [(40, 5), (40, 6)], 0)]) for n, time in ((1, 100), (2, 5000))]
    parts = [Part(data[0], len(data[0])), Part(data[1], len(data[1]), {1: 1000})]
    head = progressive_head(init, parts, Fraction(1, 10), Fraction(6))
    moov = list(walk(head + b"".join(data)))[1]
    stts = need(head, moov, b"trak", b"mdia", b"minf", b"stbl", b"stts")
    assert fields("7I", head, stts, 4) == (3, 1, 40, 1, 6000 - 140, 2, 40)
    assert edits_of(head + b"".join(data)) == {1: [(6000, 0)]}


def test_progressive_refuses_time_running_back():
    """Fragments out of order are no media."""
    init = parse_init(mp4.init([mp4.video_trak()]))
    data = mp4.fragment(1, [(1, 100, [(40, 5), (40, 5)], 0)])
    parts = [Part(data, len(data))] * 2
    with pytest.raises(MediaError, match="goes from tick 180 to 100"):
        progressive_head(init, parts, Fraction(0), Fraction(1))
    with pytest.raises(MediaError, match="without samples"):
        progressive_head(init, [], Fraction(0), Fraction(1))


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_fuzz(data):
    """Damaged fragments are moved, listed or refused with MediaError."""
    init, fragments = mp4.read(mp4.asset("h264_aac.mp4"))
    broken = data.draw(mp4.damaged(fragments[1].data))
    for derive in (
        lambda: shift_tfdt(broken, {1: 2**33, 2: 5}, sequence=3),
        lambda: progressive_head(init, [Part(broken, len(broken))], Fraction(1), Fraction(1)),
    ):
        try:
            derive()
        except MediaError as problem:
            assert problem.message


@settings(max_examples=200, deadline=None)
@given(data=mp4.damaged(mp4.read(mp4.asset("h264_aac.mp4"))[0].data))
def test_fuzz_init(data):
    """A damaged init is refused, or can be edited or refused then."""
    try:
        init = parse_init(data)
        with_edit_list(init, Fraction(1), Fraction(1))
        joining_shifts(init, init, Fraction(1))
    except MediaError as problem:
        assert problem.message
