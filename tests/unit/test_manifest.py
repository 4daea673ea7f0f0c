"""A manifest comes back from its bytes, in one order, under one root."""

from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archiver import canonical, manifest, merkle
from archiver.completeness import Completeness
from archiver.errors import FormatError
from archiver.manifest import Booking, Manifest, SegmentEntry, SourceStatement
from archiver.timeline import Interval
from archiver.values import Gap
from archiver.vocabulary import GapCause

NOW = datetime(2026, 11, 23, 1, 0, tzinfo=UTC)
DIGEST = "sha256:" + "ab" * 32
WINDOW = Interval(NOW, NOW + timedelta(seconds=30))


def entry(source: str, recording: str, seq: int) -> SegmentEntry:
    key = f"main/{source}/{recording}/{seq:08d}.mp4"
    return SegmentEntry(key, "1", 1000, canonical.digest_of(key.encode()), DIGEST)


def made(**changes) -> Manifest:
    lost = Gap(Interval(NOW, NOW + timedelta(microseconds=100_001)), GapCause.LOST, "connection ended")
    entries = (entry("s1", "r2", 0), entry("s1", "r1", 10), entry("s1", "r1", 9))
    first = SourceStatement("s1", Completeness(30_000_000, 29_899_999, 100_001), (lost,), entries)
    second = SourceStatement("s0", Completeness(30_000_000, 30_000_000, 0), (), (entry("s0", "r3", 0),))
    values = {
        "archive": "org",
        "booking": Booking("c", "org", "main", "p", "l", ("s1", "s0"), WINDOW, "开标", NOW),
        "revision": 2,
        "previous": (1, DIGEST),
        "sources": (first, second),
        "head": (5, "ab" * 32),
        "vault": "write-once by software",
        "sealed_at": NOW,
        "ntp": "synchronised",
        "software": "archiver 0.1.0",
        "signer": "cd" * 32,
    }
    return Manifest(**{**values, **changes})


@pytest.mark.parametrize(
    "changes", [{}, {"previous": None}, {"outstanding": ("recording r9",)}, {"extra": {"later": [1]}}, {"sources": ()}]
)
def test_round_trip(changes):
    """A manifest comes back from its bytes, fields of newer programs included."""
    value = made(**changes)
    data = manifest.to_bytes(value)
    assert manifest.parse(data) == value
    assert manifest.to_bytes(manifest.parse(data)) == data


def test_order_of_the_leaves():
    """Sources by id, then recordings, then seq: whatever order they were given in."""
    keys = [entry.key.removeprefix("main/") for entry in made().segments]
    assert keys == ["s0/r3/00000000.mp4", "s1/r1/00000009.mp4", "s1/r1/00000010.mp4", "s1/r2/00000000.mp4"]


def test_leaf_known_answer():
    """A leaf is the canonical JSON of the segment's entry as it stands in the manifest."""
    (leaf, *_) = made().leaves
    assert leaf in manifest.to_bytes(made())
    assert leaf.startswith(b'{"key":"main/s0/r3/00000000.mp4","sha256":"sha256:')
    assert made().merkle_root == merkle.root(made().leaves)


def test_a_field_of_a_newer_program_is_part_of_its_leaf():
    """What isn't known of a segment is kept, so the root still fits."""
    value = made()
    first, second = value.sources
    richer = replace(first.segments[0], extra={"replicas": 2})
    value = replace(value, sources=(replace(first, segments=(richer,)), second), merkle_root="")
    again = manifest.parse(manifest.to_bytes(value))
    assert again.computed_root == value.merkle_root != made().merkle_root


def test_a_wrong_root_is_read_as_stated():
    """Reading doesn't judge: verification compares the stated root with the computed one."""
    value = manifest.parse(manifest.to_bytes(made(merkle_root=DIGEST)))
    assert value.merkle_root == DIGEST != value.computed_root


def test_totals():
    """The capture's completeness is the sum over its sources, in whole microseconds."""
    assert made().completeness == Completeness(60_000_000, 59_899_999, 100_001)


def test_lists_in_another_order_are_refused():
    """Order is part of the format; a segment or source listed twice is no manifest."""
    document = canonical.decode_object(manifest.to_bytes(made()))
    first, second = document["sources"]
    for sources in (
        [second, first],
        [first, first],
        [first, {**second, "segments": second["segments"][::-1]}],
        [first, {**second, "segments": second["segments"][:1] * 2}],
    ):
        with pytest.raises(FormatError, match="order"):
            manifest.parse(canonical.encode({**document, "sources": sources}))


def test_a_later_version_is_refused():
    """A higher v is not guessed at."""
    document = canonical.decode_object(manifest.to_bytes(made()))
    with pytest.raises(FormatError, match="newer"):
        manifest.parse(canonical.encode({**document, "v": 2}))


@given(st.binary(max_size=200))
def test_any_bytes_are_no_manifest(data):
    """No bytes make the reader raise anything but FormatError."""
    with pytest.raises(FormatError):
        manifest.parse(data)


PATHS = st.sampled_from(["", "capture", "previous", "head", "clock", "sources", "gaps", "segments"])
VALUES = st.sampled_from([None, True, -1, 0, 1.5, 2**53 - 1, "", "x", DIGEST, [], [1], ["x"], {}, [{}]])


@given(PATHS, VALUES, st.data())
def test_a_manifest_with_changed_fields_is_read_or_refused(path, value, data):
    """Whatever a field is replaced by, the reader gives a manifest or a FormatError."""
    document = canonical.decode_object(manifest.to_bytes(made()))
    source = document["sources"][1]
    inner = {"": document, "sources": source, "gaps": source["gaps"][0], "segments": source["segments"][0]}
    target = inner.get(path) or document[path]
    target[data.draw(st.sampled_from(sorted(target)))] = value
    with suppress(FormatError):
        assert manifest.parse(canonical.encode(document)).sealed_at == NOW
