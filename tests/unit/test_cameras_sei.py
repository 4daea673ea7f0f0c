"""The mark on every picture of a virtual camera, and the judge that reads it back."""

import re
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archiver.errors import MediaError
from ingest.cameras.codecs import VideoCodec, is_slice, nal_type
from ingest.cameras.sei import MARK_ID, Mark, continuity, marks_in_samples, read_marks, sei_nal

CODECS = st.sampled_from([VideoCodec.H264, VideoCodec.H265])
NAMES = st.from_regex(r"[a-z0-9-]{1,32}", fullmatch=True)
TIMES = st.integers(0, 2**63 - 1)
NUMBERS = st.integers(0, 2**48 - 1)


def mark(number: int) -> Mark:
    return Mark("cam1", number, 1_000_000 + 40_000 * number, number / 25)


@given(CODECS, NAMES, NUMBERS, TIMES)
def test_a_mark_is_read_back_as_it_was_written(codec, name, number, captured):
    """Camera, number and time of capture survive, whatever NAL framing stands around them."""
    nal = sei_nal(codec, name, number, captured)
    framed = len(nal).to_bytes(4, "big") + nal + b"\x00\x00\x00\x01\x65picture"
    assert marks_in_samples([(framed, 1.5)]) == [Mark(name, number, captured, 1.5)]


@given(CODECS, NAMES, NUMBERS, TIMES)
def test_a_mark_needs_no_emulation_prevention(codec, name, number, captured):
    """No two zero bytes follow each other, so no recorder has a reason to change a byte."""
    assert not re.search(b"\x00\x00", sei_nal(codec, name, number, captured))


def test_a_mark_is_an_sei_nal_unit_and_no_picture():
    """Type 6 in H.264, prefix SEI (39) in H.265; decoders pass over it."""
    nals = {codec: sei_nal(codec, "cam1", 1, 2) for codec in (VideoCodec.H264, VideoCodec.H265)}
    assert [nal_type(codec, nal) for codec, nal in nals.items()] == [6, 39]
    assert not any(is_slice(codec, nal) for codec, nal in nals.items())


def test_two_marks_in_one_sample_are_both_seen():
    """A recorder that glues two pictures together can't hide one."""
    both = sei_nal(VideoCodec.H264, "a", 1, 2) + sei_nal(VideoCodec.H264, "a", 2, 3)
    assert [found.number for found in marks_in_samples([(both, 0.0)])] == [1, 2]


def test_losses_and_doubles_are_named():
    """Between the first and the last mark every number must be there once."""
    verdict = continuity([mark(n) for n in (3, 4, 6, 6, 9)])
    assert (verdict.lost, verdict.doubled) == ((5, 7, 8), (6,))
    assert continuity([]).lost == ()


@given(st.binary(max_size=60))
def test_a_damaged_mark_is_a_media_error(rest):
    """Bytes after the identifier that are no mark raise MediaError and nothing else."""
    with suppress(MediaError):
        marks_in_samples([(bytes((5, 44)) + MARK_ID + rest, 0.0)])


def test_bytes_that_are_no_media_are_refused():
    """The judge says so instead of finding no marks."""
    with pytest.raises(MediaError):
        read_marks(b"no media at all" * 100)
