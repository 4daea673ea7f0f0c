"""Walking and building boxes."""

from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archiver.errors import MediaError
from archiver.mp4.boxes import (
    MAX_BOXES,
    build,
    build_full,
    fields,
    find,
    find_all,
    need,
    payload,
    peek,
    version_and_flags,
    walk,
    whole,
)

KINDS = st.binary(min_size=4, max_size=4)


@given(st.lists(st.tuples(KINDS, st.binary(max_size=30)), max_size=20))
def test_built_boxes_are_walked(contents):
    """What is built is found again, in order, with its contents."""
    data = b"".join(build(kind, body) for kind, body in contents)
    assert [(box.kind, payload(data, box)) for box in walk(data)] == contents
    assert b"".join(whole(data, box) for box in walk(data)) == data


@given(st.binary(max_size=200), st.booleans())
def test_any_bytes(data, top_level):
    """Any bytes are boxes that fill them exactly, or a MediaError."""
    try:
        boxes = list(walk(data, top_level=top_level))
    except MediaError:
        return
    assert sum(box.size for box in boxes) == len(data)


def test_64_bit_size():
    """A box with a 64-bit size has a header of 16 bytes."""
    data = pack(">I4sQ", 1, b"mdat", 19) + b"abc" + build(b"free")
    first, second = walk(data)
    assert (payload(data, first), first.size, second.kind) == (b"abc", 19, b"free")


def test_size_0():
    """Size 0 means "to the end", at the top level only."""
    data = build(b"free") + pack(">I4s", 0, b"mdat") + b"rest"
    assert payload(data, list(walk(data, top_level=True))[1]) == b"rest"
    with pytest.raises(MediaError, match="less than its own header"):
        list(walk(data))


@pytest.mark.parametrize("cut", [1, 7, 8, 15])
def test_incomplete(cut):
    """A header that isn't complete is not yet a box for a stream, and an error in a container."""
    data = pack(">I4sQ", 1, b"mdat", 100)[:cut]
    assert peek(data, 0, cut) is None
    with pytest.raises(MediaError):
        list(walk(data))


@pytest.mark.parametrize("data", [pack(">I4s", 7, b"free"), pack(">I4sQ", 1, b"free", 15)])
def test_size_below_header(data):
    """A box smaller than its header would never end."""
    with pytest.raises(MediaError, match="less than its own header"):
        peek(data, 0, len(data))


def test_too_many():
    """The number of boxes in one container is bounded."""
    with pytest.raises(MediaError, match="more than"):
        list(walk(build(b"free") * (MAX_BOXES + 1)))


def test_paths():
    """Descend by name; what isn't there is None, or an error that names it."""
    data = build(b"moov", build(b"trak", build(b"tkhd", b"1")), build(b"trak", build(b"tkhd", b"2")))
    (moov,) = walk(data)
    tkhd = find(data, moov, b"trak", b"tkhd")
    assert tkhd
    assert payload(data, tkhd) == b"1"
    assert len(find_all(data, moov, b"trak")) == 2
    assert find(data, moov, b"mvex", b"trex") is None
    with pytest.raises(MediaError, match="moov at byte 0 lacks mvex/trex"):
        need(data, moov, b"mvex", b"trex")


def test_fields():
    """Fields are read from the box alone, never from what follows it."""
    data = build_full(b"test", 1, 2, b"\0\0\0\5") + b"more"
    box = peek(data, 0, len(data))
    assert box
    assert version_and_flags(data, box) == (1, 2)
    assert fields("I", data, box, 4) == (5,)
    with pytest.raises(MediaError, match="too short"):
        fields("I", data, box, 5)
    with pytest.raises(MediaError, match="outside its bytes"):
        fields("I", data[:12], box, 4)
