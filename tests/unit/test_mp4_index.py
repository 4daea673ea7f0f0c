"""Stored segments: their index, and what a crash left whole."""

from fractions import Fraction
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archiver.errors import MediaError
from archiver.mp4.index import complete_prefix, covering, index
from tests import mp4_streams as mp4


@pytest.mark.parametrize("name", mp4.REAL)
def test_index_covers_the_segment(name):
    """The fragments follow on from the init without a hole to the last byte, each with its digest."""
    data = mp4.asset(name)
    segment = index(data)
    at = len(segment.init.data)
    for fragment in segment.fragments:
        assert fragment.offset == at
        at += fragment.size
        assert fragment.sha256 == f"sha256:{sha256(data[fragment.offset : at]).hexdigest()}"
    assert at == len(data)
    assert complete_prefix(data) == len(data)
    assert segment.fragments[0].keyframe


def test_index_values():
    """Times and keyframes are those of the fragments."""
    segment = index(mp4.asset("h264_aac.mp4"))
    assert [(f.tfdt, f.duration, f.keyframe) for f in segment.fragments[:2]] == [
        (0, 10240, True),
        (10240, 10240, False),
    ]


def test_init_alone():
    """A segment that got no further than its init is whole, and empty."""
    assert index(mp4.both()).fragments == ()
    assert complete_prefix(mp4.both()) == len(mp4.both())


@pytest.mark.parametrize("rest", [b"\0", b"\0\0\0\x09mdat!", mp4.both(), b"\0\0\0\x08free"])
def test_something_behind(rest):
    """Anything after the last fragment is an error of the index, and not part of the complete prefix."""
    data = mp4.asset("aac_only.mp4")
    with pytest.raises(MediaError, match=f"{len(rest)} bytes after the last fragment, at byte {len(data)}"):
        index(data + rest)
    assert complete_prefix(data + rest) == len(data)


@pytest.mark.parametrize("data", [b"", mp4.both()[:-1], b"junkjunkjunk"])
def test_no_init(data):
    """Without a complete ftyp and moov there is nothing."""
    with pytest.raises(MediaError, match="without a complete ftyp and moov"):
        index(data)
    assert complete_prefix(data) == 0


@settings(max_examples=60)
@given(cut=st.integers(0, 14000))
def test_torn_anywhere(cut):
    """A segment torn at any byte keeps exactly the fragments that end before it."""
    data = mp4.asset("aac_only.mp4")
    whole = index(data)
    ends = [0, len(whole.init.data), *(f.offset + f.size for f in whole.fragments)]
    assert complete_prefix(data[:cut]) == max(end for end in ends if end <= cut)


@settings(max_examples=200, deadline=None)
@given(data=mp4.damaged(mp4.asset("h264_aac.mp4")))
def test_fuzz(data):
    """Damage gives an index or MediaError, and always a prefix that can be indexed."""
    end = complete_prefix(data)
    assert not end or index(data[:end])
    try:
        segment = index(data)
    except MediaError:
        return
    assert end == len(data) == len(segment.init.data) + sum(f.size for f in segment.fragments)


@pytest.mark.parametrize(
    ("start", "end", "first", "last"),
    [
        ("0", "0.5", 0, 0),
        ("0", "1", 0, 1),
        ("1.5", "1.6", 0, 1),
        ("2", "3.5", 2, 3),
        ("2.5", "9", 2, 4),
        ("1.9", "2.1", 0, 2),
    ],
)
def test_covering(start, end, first, last):
    """From the keyframe before to the last fragment with a picture shown before the end (here 0.2 s of
    reordering)."""
    segment = index(mp4.asset("h264_aac.mp4"))
    taken = covering(segment.init, segment.fragments, Fraction(start), Fraction(end))
    assert list(taken) == list(segment.fragments[first : last + 1])


def test_covering_nothing():
    """No stretch, or one with no media before its end."""
    segment = index(mp4.asset("h264_aac.mp4"))
    assert not covering(segment.init, segment.fragments, Fraction(1), Fraction(1))
    assert not covering(segment.init, (), Fraction(0), Fraction(1))
