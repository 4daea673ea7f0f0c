"""Where a recording is cut, how its init is named, and what its sidecars say."""

from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archiver.canonical import digest_of
from archiver.mp4.fragments import Fragment
from archiver.mp4.index import index
from archiver.mp4.init import parse_init
from archiver.mp4.reader import FragmentReader
from archiver.sidecar import parse, to_bytes
from archiver.vocabulary import Container
from ingest.anchors import Anchors, arrival_of
from ingest.segments import SegmentDraft, container_of, is_cut_before, tagged_hvc1, timing
from ingest.spooled import Closed, RecordingHead, closed_bytes, head_bytes, parse_closed, parse_head

ASSETS = Path(__file__).parents[1] / "assets"
SCALE = 1000


def fragment(tfdt, keyframe):
    return Fragment(b"", tfdt, SCALE, keyframe, {}, None)


def cut_lengths(keyframes, segment_s):
    """Lengths (s) of the segments of fragments of 1 s each, but the last."""
    lengths, start = [], 0
    for n, keyframe in enumerate(keyframes):
        if is_cut_before(fragment(n * SCALE, keyframe), start, SCALE, segment_s):
            lengths.append(Fraction(n * SCALE - start, SCALE))
            start = n * SCALE
    return lengths


@given(st.lists(st.booleans(), max_size=300), st.integers(2, 60))
def test_segments_end_at_key_frames_or_after_twice_the_length(keyframes, segment_s):
    """Never shorter than asked for, never longer than twice that."""
    assert all(segment_s <= length <= 2 * segment_s for length in cut_lengths(keyframes, segment_s))


def test_a_segment_ends_at_the_first_key_frame_in_time():
    """Not at one before, nor at the end of the time."""
    assert cut_lengths([n % 4 == 0 for n in range(30)], 10) == [12, 12]


def read(name):
    reader = FragmentReader()
    first, *rest = reader.feed((ASSETS / name).read_bytes())
    return first, rest


@pytest.mark.parametrize("name", ["h264_aac.mp4", "h264_mulaw.mov", "aac_only.mp4"])
def test_only_h265_is_renamed(name):
    """Other inits stay byte for byte."""
    init, _ = read(name)
    assert tagged_hvc1(init).data == init.data


def test_h265_is_named_hvc1_and_nothing_else_changes():
    """Four letters, whatever was there before."""
    init, _ = read("h265_aac.mp4")
    plain = parse_init(init.data.replace(b"hvc1", b"hev1"))
    named = tagged_hvc1(plain)
    assert plain.reference.codec == "hev1" and named.reference.codec == "hvc1"
    assert named.data == init.data


def head_of(init):
    return RecordingHead(
        recording="r",
        duty="d",
        organisation="o",
        site="main",
        location="l",
        source="s",
        worker="w",
        epoch=3,
        opened_at=datetime(2026, 11, 23, 1, tzinfo=UTC),
        container=container_of(init),
        init_size=len(init.data),
        init_digest=digest_of(init.data),
        codecs="c",
        timescale=init.reference.timescale,
    )


@pytest.mark.parametrize(("name", "container"), [("h264_aac.mp4", Container.MP4), ("h264_mulaw.mov", Container.MOV)])
def test_a_sidecar_states_the_bytes(name, container):
    """Size, digest and fragments are those of init and fragments together, and it can be read again."""
    init, fragments = read(name)
    draft, anchors = SegmentDraft(init, 7), Anchors(init.reference.timescale)
    arrivals = [arrival_of(init, each, 7, n * 1_000_000) for n, each in enumerate(fragments, 1_000_000)]
    for each in fragments:
        draft.add(each)
    made = draft.sidecar(head_of(init), timing(anchors, arrivals, draft.media_start, "unknown"), "cut")
    data = init.data + b"".join(each.data for each in fragments)
    assert (made.size, made.digest, made.fragments) == (len(data), digest_of(data), index(data).fragments)
    assert (made.place.seq, made.container, made.end_cause) == (7, container, "cut")
    assert parse(to_bytes(made)) == made


def test_documents_of_a_recording_are_read_as_written():
    """recording.json and closed.json."""
    init, _ = read("h264_aac.mp4")
    head = head_of(init)
    closed = Closed(4, "lost", datetime(2026, 11, 23, 2, tzinfo=UTC))
    assert parse_head(head_bytes(head)) == head
    assert parse_closed(closed_bytes(closed)) == closed
