"""Where media stands on the host's clock."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.anchors import Anchors, claimed_offset_us
from ingest.spooled import Arrival, Told, arrival_line, parse_arrivals

SCALE = 90_000
SECOND = 1_000_000
FRAME_US = 40_000
START_US = 1_800_000_000 * SECOND


def arrivals(count, *, jitter=lambda n: 0, drift_ppm=0.0, told=lambda n: None):
    """Fragments of 1 s at 25 frames, each let go one frame late plus its jitter (microseconds)."""
    found = []
    for n in range(count):
        made_us = round((n + 1) * SECOND * (1 + drift_ppm / 1e6))
        at_us = START_US + made_us + FRAME_US + jitter(n)
        found.append(Arrival(n // 60, at_us, n * SCALE, SCALE, 25, told(n)))
    return found


def after(seen):
    anchors = Anchors(SCALE)
    for arrival in seen:
        anchors.observe(arrival)
    return anchors


@given(st.lists(st.integers(0, 900_000), min_size=2, max_size=100), st.data())
def test_the_least_delay_counts(jitter, data):
    """Late arrivals don't move the place as long as one came in time."""
    in_time = data.draw(st.integers(1, len(jitter) - 1))
    seen = arrivals(len(jitter), jitter=lambda n: 0 if n == in_time else jitter[n])
    assert after(seen).zero_us(seen[-1]) == START_US


@settings(max_examples=30, deadline=None)
@given(st.floats(-200, 200))
def test_slow_drift_is_followed(drift_ppm):
    """A camera's slow or fast crystal never pulls the place away by more than 120 s of its error."""
    seen = arrivals(400, drift_ppm=drift_ppm)
    anchors = after(seen)
    made_us = START_US + round(400 * SECOND * (1 + drift_ppm / 1e6))
    assert abs(anchors.host_us(400 * SCALE, seen[-1]) - made_us) <= abs(drift_ppm) * 121 + 1
    assert anchors.jump(arrivals(401, drift_ppm=drift_ppm)[-1]) is None


@given(st.integers(1_100_000, 10**9))
def test_media_that_runs_ahead_has_jumped(ahead_us):
    """It can't have been made before the time it came."""
    seen = arrivals(20)
    ahead = round(ahead_us * SCALE / SECOND)
    moved = Arrival(0, seen[-1].at_us + SECOND, 20 * SCALE + ahead, SCALE, 25, None)
    jump = after(seen).jump(moved)
    assert jump is not None and not jump.stall


@given(st.integers(2_000_000, 60 * SECOND))
def test_a_late_network_is_no_jump(late_us):
    """A burst after a delay: everything is there, only later."""
    seen = arrivals(40, jitter=lambda n: max(late_us - n * SECOND // 2, 0) if 20 <= n < 24 else 0)
    anchors = after(seen[:20])
    for arrival in seen[20:24]:
        assert anchors.jump(arrival) is None
        anchors.observe(arrival)


def test_media_that_stays_behind_has_jumped():
    """For over 10 s everything is late by over 1 s: its times were set back."""
    seen = arrivals(40, jitter=lambda n: 1_500_000 if n >= 20 else 0)
    anchors = after(seen[:20])
    verdicts = []
    for arrival in seen[20:]:
        verdicts.append(anchors.jump(arrival) is not None)
        anchors.observe(arrival)
    assert not any(verdicts[:11]) and verdicts[11]


def test_a_smeared_hole_is_a_stall():
    """One picture that lasts 3 s too long, in media that came in time."""
    seen = arrivals(20)
    hole = Arrival(0, seen[-1].at_us + 4 * SECOND, 20 * SCALE, 4 * SCALE, 25, None)
    jump = after(seen).jump(hole)
    assert jump is not None and jump.stall


def test_a_smeared_jump_back_is_none():
    """Fifty pictures in no time: the muxer waits for its clock to catch up."""
    seen = arrivals(20)
    smeared = Arrival(0, seen[-1].at_us + 2 * SECOND, 20 * SCALE, 50, 50, None)
    jump = after(seen).jump(smeared)
    assert jump is not None and not jump.stall


def test_a_first_burst_is_no_jump():
    """A camera that begins with what it kept catches up at once."""
    seen = arrivals(3, jitter=lambda n: (3 - n) * 2 * SECOND)
    assert after(seen[:2]).jump(seen[2]) is None


@given(st.integers(-(10**10), 10**10).filter(lambda us: abs(us - 1_040_000) > 200_000))
def test_a_camera_that_reports_makes_a_claim(skew_us):
    """Its offset to the host is what it says, less what is so."""

    def told(n):
        return Told(START_US + n * SECOND + skew_us, START_US + skew_us)

    seen = arrivals(60, jitter=lambda n: n % 7 * 1000, told=told)
    assert claimed_offset_us(seen, START_US) == skew_us


@pytest.mark.parametrize("jitter", [lambda n: 0, lambda n: n % 5 * 30_000])
def test_the_muxers_own_time_is_no_claim(jitter):
    """Without reports each fragment tells the time at which it was written, which is when it came."""

    def told(n):
        at_us = START_US + (n + 1) * SECOND + FRAME_US + jitter(n) - 2_000
        return Told(at_us, at_us - n * SECOND)

    assert claimed_offset_us(arrivals(60, jitter=jitter, told=told), START_US) is None


def test_nothing_told_is_no_claim():
    """No prft at all."""
    assert claimed_offset_us(arrivals(5), START_US) is None


TICKS = st.integers(-(2**62), 2**62)
ARRIVALS = st.builds(
    Arrival,
    st.integers(0, 10**8),
    TICKS,
    TICKS,
    st.integers(0, 2**62),
    st.integers(0, 10**6),
    st.none() | st.builds(Told, TICKS, TICKS),
)


@given(st.lists(ARRIVALS, max_size=20), st.data())
def test_a_journal_is_read_up_to_where_it_was_torn(rows, data):
    """Whole lines come back as they were; a torn one never comes back as another."""
    journal = b"".join(map(arrival_line, rows))
    cut = data.draw(st.integers(0, len(journal)))
    assert parse_arrivals(journal) == rows
    assert parse_arrivals(journal[:cut]) == rows[: journal[:cut].count(b"\n")]


@given(st.binary(max_size=200))
def test_a_spoilt_journal_raises_nothing(journal):
    """After a power cut anything may stand there."""
    parse_arrivals(journal)
