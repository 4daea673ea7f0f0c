"""Sidecars come back from their bytes, and are derived again from the segment alone."""

from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archiver import canonical, sidecar
from archiver.errors import FormatError, MediaError
from archiver.mp4.index import IndexedFragment
from archiver.sidecar import Anchor, CameraClaim, Place, Sidecar
from archiver.values import Stored
from archiver.vocabulary import Container

NOW = datetime(2026, 11, 23, 1, 0, tzinfo=UTC)
PLACE = Place("org", "main", "loc", "src", "rec", 3, "wrk", 2)
DIGEST = "sha256:" + "ab" * 32
ASSETS = Path(__file__).parents[1] / "assets"
REAL = sorted(path.name for path in ASSETS.iterdir())


def made(**changes) -> Sidecar:
    fragments = (
        IndexedFragment(100, 50, -20, 25_600, True, DIGEST),
        IndexedFragment(150, 70, 25_580, 12_800, False, "sha256:" + "cd" * 32),
    )
    values = {
        "place": PLACE,
        "container": Container.MP4,
        "codecs": "avc1.64001F,mp4a.40.2",
        "init_size": 100,
        "init_digest": DIGEST,
        "size": 220,
        "digest": DIGEST,
        "media_start": -20,
        "media_end": 38_380,
        "timescale": 12_800,
        "anchor": Anchor(NOW, "synchronised"),
        "camera": CameraClaim("rtcp", -3_600_000_000),
        "fragments": fragments,
        "end_cause": "cut",
    }
    return Sidecar(**{**values, **changes})


@pytest.mark.parametrize("camera", [None, CameraClaim("prft", 5)])
@pytest.mark.parametrize("derived", [True, False])
def test_round_trip(camera, derived):
    """A sidecar comes back from its bytes, fields of newer programs included."""
    value = made(camera=camera, derived=derived, extra={"later": {"a": 1}})
    data = sidecar.to_bytes(value)
    assert sidecar.parse(data) == value
    assert sidecar.to_bytes(sidecar.parse(data)) == data


def test_names_no_capture():
    """A segment belongs to a recording; captures come and go around it."""
    assert b"capture" not in sidecar.to_bytes(made())


def test_span_follows_the_anchor():
    """38400 ticks of 1/12800 s after the anchor: 3 s."""
    assert made().span.start == NOW
    assert made().span.length == timedelta(seconds=3)


@pytest.mark.parametrize("name", REAL)
def test_derived_from_real_segments(name):
    """Every container and codec that is recorded gives its sidecar back from its bytes."""
    data = (ASSETS / name).read_bytes()
    derived = sidecar.derive(data, PLACE, Anchor(NOW, "unknown"), "unknown")
    assert derived.derived and derived.digest == canonical.digest_of(data) and derived.size == len(data)
    assert timedelta(seconds=3) < derived.span.length < timedelta(seconds=6)
    assert derived.container is (Container.MOV if name.endswith(".mov") else Container.MP4)
    for fragment in derived.fragments:
        piece = data[fragment.offset : fragment.offset + fragment.size]
        assert canonical.digest_of(piece) == fragment.sha256
    assert sidecar.parse(sidecar.to_bytes(derived)) == derived


def test_a_damaged_segment_gives_no_sidecar():
    """Bytes that are no whole segment are a MediaError."""
    data = (ASSETS / REAL[0]).read_bytes()
    for bad in (b"", data[:-1], data[: len(data) // 3], b"x" * 100):
        with pytest.raises(MediaError):
            sidecar.derive(bad, PLACE, Anchor(NOW, "unknown"), "unknown")


FRAGMENTS = st.lists(
    st.builds(
        IndexedFragment,
        st.integers(0, 2**63),
        st.integers(0, 2**32 - 1),
        st.integers(-(2**62), 2**62),
        st.integers(0, 2**62),
        st.booleans(),
        st.binary(min_size=32, max_size=32).map(lambda raw: f"sha256:{raw.hex()}"),
    ),
    max_size=8,
).map(tuple)


@given(FRAGMENTS)
def test_packed_index_round_trip(fragments):
    """The catalogue's packed index gives every fragment back, in 61 bytes each."""
    packed = sidecar.pack(fragments)
    assert sidecar.unpack(packed) == fragments
    assert len(packed) == 5 + 61 * len(fragments)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_packed_index_or_refused(data):
    """No bytes make the reader raise anything but FormatError."""
    try:
        fragments = sidecar.unpack(data)
    except FormatError:
        return
    assert len(data) == 5 + 61 * len(fragments)


def test_an_index_too_large_to_pack_is_refused():
    """A fragment beyond 4 GiB is no fragment."""
    with pytest.raises(FormatError):
        sidecar.pack([IndexedFragment(0, 2**32, 0, 1, True, DIGEST)])


@given(st.binary(max_size=200))
def test_any_bytes_are_no_sidecar(data):
    """No bytes make the reader raise anything but FormatError."""
    with pytest.raises(FormatError):
        sidecar.parse(data)


@given(st.data())
def test_a_sidecar_with_changed_fields_is_read_or_refused(data):
    """Whatever a field is replaced by, the reader gives a sidecar or a FormatError."""
    document = canonical.decode_object(sidecar.to_bytes(made()))
    target = data.draw(st.sampled_from([document, document["init"], document["media"], document["anchor"]]))
    name = data.draw(st.sampled_from(sorted(target)))
    target[name] = data.draw(
        st.sampled_from([None, True, -1, 0, 2**53 - 1, 0.5, "", "x", DIGEST, [], [[]], [[1, 2, 3, 4, 5, 6]], {}])
    )
    with suppress(FormatError):
        assert sidecar.parse(canonical.encode(document)).span.start == NOW


@pytest.mark.parametrize("offset", [99, 151])
def test_an_index_with_holes_is_refused(offset):
    """Init and fragments are the whole segment, one after the other."""
    first, second = made().fragments
    bad = made(fragments=(replace(first, offset=offset), second))
    with pytest.raises(FormatError, match="byte"):
        sidecar.parse(sidecar.to_bytes(bad))


def test_a_later_version_is_refused():
    """A higher v is not guessed at."""
    document = canonical.decode_object(sidecar.to_bytes(made()))
    with pytest.raises(FormatError, match="newer"):
        sidecar.parse(canonical.encode({**document, "v": 2}))


def test_row_of_a_deposited_segment():
    """The catalogue's row is the sidecar with what the vault confirmed."""
    stored = Stored("main/src/rec/00000003.mp4", "1", 220, DIGEST, NOW + timedelta(days=1))
    row = sidecar.segment_of(made(), DIGEST, stored, NOW)
    assert (row.key, row.version, row.seq, row.span, row.retain_until) == (
        stored.key,
        "1",
        3,
        made().span,
        stored.retain_until,
    )
    with pytest.raises(FormatError, match="lock"):
        sidecar.segment_of(made(), DIGEST, replace(stored, retain_until=None), NOW)
