"""Coverage: every microsecond of a window is recorded or a gap, exactly once, with the cause that is known (I7)."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archiver import completeness
from archiver.coverage import HOLE_S, Piece, coverage, elapsed, piece, stretches
from archiver.mp4.index import IndexedFragment
from archiver.timeline import Interval, total, union
from archiver.values import Outage, Segment
from archiver.vocabulary import Container, GapCause

BASE = datetime(2026, 11, 23, 1, 0, tzinfo=UTC)
SCALE = 12_800
DIGEST = "sha256:" + "0" * 64


def at(seconds: float) -> datetime:
    return BASE + timedelta(microseconds=round(seconds * 1_000_000))


def span(start: float, end: float) -> Interval:
    return Interval(at(start), at(end))


def segment(recording: str, seq: int, anchor: float, start: int, end: int) -> Segment:
    """A segment whose media runs from `start` to `end` ticks, anchored `anchor` seconds after BASE."""
    length = max((end - start) / SCALE, 1e-6)
    return Segment(
        key=f"main/src/{recording}/{seq:08d}.mp4",
        version="1",
        size=1,
        digest=DIGEST,
        sidecar_digest=DIGEST,
        organisation="org",
        site="main",
        location="loc",
        source="src",
        recording=recording,
        seq=seq,
        worker="w",
        epoch=1,
        container=Container.MP4,
        codecs="avc1",
        init_size=1,
        init_digest=DIGEST,
        span=span(anchor, anchor + length),
        media_start=start,
        media_end=end,
        timescale=SCALE,
        end_cause="cut",
        derived=False,
        retain_until=at(9e8),
        deposited_at=BASE,
    )


def whole(recording: str, seq: int, anchor: float, start: int, end: int) -> Piece:
    return piece(segment(recording, seq, anchor, start, end), ())


def fragment(start: float, end: float) -> IndexedFragment:
    return IndexedFragment(0, 1, round(start * SCALE), round((end - start) * SCALE), True, DIGEST)


def outage(start: float, end: float, cause=GapCause.LOST, epoch: int = 1, evidence: str = "seen") -> Outage:
    return Outage("src", span(start, end), cause, evidence, "w", epoch)


def causes(result) -> list:
    return [(gap.cause, gap.span) for gap in result.gaps]


def test_neighbours_never_make_a_gap_or_an_overlap():
    """Anchors that drift apart by ms are a clock followed, not time lost or doubled."""
    minute = 60 * SCALE
    pieces = [whole("r", n, 60 * n + wobble, minute * n, minute * (n + 1)) for n, wobble in enumerate((0, 0.03, -0.02))]
    assert union(stretches(pieces)) == [span(0, 179.98)]
    assert coverage("src", span(10, 170), pieces, []).gaps == ()


def test_a_hole_in_the_media_between_segments_is_a_gap():
    """Ten seconds of tfdt that no segment has are ten seconds of gap, before the next anchor."""
    pieces = [whole("r", 0, 0, 0, 60 * SCALE), whole("r", 1, 70, 70 * SCALE, 130 * SCALE)]
    assert causes(coverage("src", span(0, 130), pieces, [])) == [(GapCause.UNKNOWN, span(60, 70))]


def test_a_hole_inside_a_segment_is_a_gap():
    """Fragments tell of a hole that the segment's ends don't show."""
    fragments = [fragment(0, 1), fragment(1, 2), fragment(5, 6)]
    held = piece(segment("r", 0, 0, 0, 6 * SCALE), fragments)
    assert causes(coverage("src", span(0, 6), [held], [])) == [(GapCause.UNKNOWN, span(2, 5))]


def test_a_guessed_sample_length_is_no_hole():
    """What a muxer guesses wrong of a fragment's last sample is no lost media, inside a segment and between two."""
    tiny = HOLE_S / 2
    fragments = [fragment(0, 1 - tiny), fragment(1, 2)]
    held = piece(segment("r", 0, 0, 0, 2 * SCALE), fragments)
    following = whole("r", 1, 2 + tiny, round((2 + tiny) * SCALE), 4 * SCALE)
    assert coverage("src", span(0, 4), [held, following], []).gaps == ()


def test_a_missing_segment_leaves_its_time_open():
    """Seq 1 is not there: seq 0 ends by its own media, and the rest until seq 2 is a gap."""
    pieces = [whole("r", 0, 0, 0, 60 * SCALE), whole("r", 2, 120, 120 * SCALE, 180 * SCALE)]
    assert causes(coverage("src", span(0, 180), pieces, [])) == [(GapCause.UNKNOWN, span(60, 120))]


def test_two_recordings_count_once():
    """Overlapping recordings of one source are a union."""
    pieces = [whole("a", 0, 0, 0, 60 * SCALE), whole("b", 0, 30, 0, 60 * SCALE)]
    result = coverage("src", span(0, 90), pieces, [])
    assert result.recorded == (span(0, 90),) and result.gaps == ()


def test_causes_come_from_outages():
    """A hole is split where another outage begins; what none explains is unknown, and before any sign not started."""
    pieces = [whole("a", 0, 20, 0, 10 * SCALE)]
    outages = [outage(10, 20, GapCause.UNREACHABLE), outage(30, 35), outage(35, 38, GapCause.AUTH_FAILED)]
    assert causes(coverage("src", span(0, 40), pieces, outages)) == [
        (GapCause.NOT_STARTED, span(0, 10)),
        (GapCause.UNREACHABLE, span(10, 20)),
        (GapCause.LOST, span(30, 35)),
        (GapCause.AUTH_FAILED, span(35, 38)),
        (GapCause.UNKNOWN, span(38, 40)),
    ]


def test_equal_causes_are_one_gap():
    """Two outages of one cause, one after the other, are one gap that keeps the evidence of both."""
    outages = [outage(0, 5, evidence="first"), outage(5, 9, evidence="second"), outage(7, 10, evidence="second")]
    (gap,) = coverage("src", span(0, 10), [], outages).gaps
    assert (gap.span, gap.cause, gap.evidence) == (span(0, 10), GapCause.LOST, "first; second")


def test_the_later_epoch_knows_better():
    """Of two outages at the same time, that of the later lease counts, whatever the order they came in."""
    old, new = outage(0, 10, GapCause.STALLED, epoch=1), outage(4, 6, GapCause.HANDOVER, epoch=2)
    for outages in ([old, new], [new, old]):
        assert [cause for cause, _ in causes(coverage("src", span(0, 10), [], outages))] == [
            GapCause.STALLED,
            GapCause.HANDOVER,
            GapCause.STALLED,
        ]


def test_nothing_at_all_is_not_started():
    """With no media and no outage, no recorder ever began."""
    assert causes(coverage("src", span(0, 10), [], [])) == [(GapCause.NOT_STARTED, span(0, 10))]


def test_a_pre_roll_is_a_sign_of_a_recorder():
    """Media before the window shows that recording had started."""
    assert causes(coverage("src", span(0, 10), [whole("a", 0, -5, 0, 2 * SCALE)], [])) == [
        (GapCause.UNKNOWN, span(0, 10))
    ]


@pytest.mark.parametrize("stop", [-5, 0, 5, 10, 20])
def test_after_a_stop_everything_is_stopped(stop):
    """What a person stopped is a gap from then on, also where another capture's duty went on."""
    result = coverage("src", span(0, 10), [whole("a", 0, 0, 0, 30 * SCALE)], [outage(6, 7)], at(stop))
    assert total(result.recorded) == timedelta(seconds=min(max(stop, 0), 10))
    assert causes(result) == ([(GapCause.STOPPED, span(max(stop, 0), 10))] if stop < 10 else [])


def test_only_what_has_passed_counts():
    """The part of a window that is still to come is neither recorded nor missing."""
    assert elapsed(span(0, 10), at(4)) == span(0, 4)
    assert elapsed(span(0, 10), at(40)) == span(0, 10)
    assert elapsed(span(0, 10), at(0)) is None


PIECES = st.lists(
    st.builds(
        lambda recording, seq, anchor, start, length, holes: piece(
            segment(recording, seq, anchor / 7, start, start + length),
            [IndexedFragment(0, 1, start + a, b, True, DIGEST) for a, b in holes],
        ),
        st.sampled_from("abc"),
        st.integers(0, 3),
        st.integers(-300, 900),
        st.integers(-SCALE, 50 * SCALE),
        st.integers(1, 40 * SCALE),
        st.lists(st.tuples(st.integers(-SCALE, 40 * SCALE), st.integers(0, 20 * SCALE)), max_size=3),
    ),
    max_size=8,
)
OUTAGES = st.lists(
    st.builds(
        lambda start, length, cause, epoch: outage(start / 3, (start + length) / 3, cause, epoch),
        st.integers(-300, 600),
        st.integers(1, 300),
        st.sampled_from(GapCause),
        st.integers(1, 3),
    ),
    max_size=6,
)


@given(PIECES, OUTAGES, st.none() | st.integers(-100, 300).map(lambda seconds: at(seconds / 3)))
def test_recorded_and_gaps_are_the_window(pieces, outages, stopped_at):
    """Whatever segments and outages there are, the parts in order tile the window to the microsecond (I7)."""
    window = span(0, 200 / 3)
    result = coverage("src", window, pieces, outages, stopped_at)
    tiles = sorted([*result.recorded, *(gap.span for gap in result.gaps)])
    assert tiles[0].start == window.start and tiles[-1].end == window.end
    assert all(before.end == after.start for before, after in pairwise(tiles))
    stated = completeness.of(result)
    assert stated.adds_up
    assert completeness.problem(window, stated, result.gaps) is None
    assert completeness.unstated(result, result.gaps) == []


@given(PIECES, st.randoms(use_true_random=False))
def test_order_does_not_matter(pieces, random):
    """Segments may come from the catalogue or from a listing of the vault."""
    unique = list({each.segment.key: each for each in pieces}.values())
    mixed = random.sample(unique, len(unique))
    assert union(stretches(mixed)) == union(stretches(unique))
