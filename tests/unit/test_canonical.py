"""Canonical JSON: what is written can be read again and is written the same; what is unclear is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archiver import canonical
from archiver.errors import FormatError

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4), max_leaves=20
)


@given(VALUES)
def test_round_trip(value):
    """Reading what was written gives the value, and writing it again the same bytes."""
    data = canonical.encode(value)
    assert canonical.decode(data) == value
    assert canonical.encode(canonical.decode(data)) == data
    assert canonical.plain(value) == value


@given(st.dictionaries(TEXTS, st.integers(0, 9), min_size=2, max_size=6))
def test_order_of_keys_does_not_matter(value):
    """The same object in another order has the same bytes."""
    assert canonical.encode(dict(reversed(value.items()))) == canonical.encode(value)


def test_known_answer():
    """The example of RFC 8785, section 3.2.2 and 3.2.3, byte for byte."""
    text = (
        '{"numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],'
        '"string": "\\u20ac$\\u000F\\u000aA\'\\u0042\\u0022\\u005c\\\\\\"\\/", "literals": [null, true, false]}'
    )
    expected = (
        '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],'
        '"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'
    )
    assert canonical.encode(canonical.decode(text.encode())) == expected.encode()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"\xff",
        b'{"a":1,"a":1}',
        b'{"a":{"b":1,"b":2}}',
        b"NaN",
        b"[Infinity]",
        b"-Infinity",
        b"1e999",
        b"9007199254740993",
        b"1" * 5000,
        b'"\\ud800"',
        b'{"\\udc00":1}',
        b"[" * 100_000,
        b'\xef\xbb\xbf{"a":1}',
        b"{} {}",
        b"'a'",
    ],
)
def test_unclear_json_is_refused(data):
    """Damaged, ambiguous or inexact JSON is a FormatError and nothing else."""
    with pytest.raises(FormatError):
        canonical.decode(data)


@given(
    st.binary(max_size=200) | VALUES.map(canonical.encode).flatmap(lambda data: st.permutations(list(data)).map(bytes))
)
def test_any_bytes_are_read_or_refused(data):
    """No bytes at all make the reader raise anything but FormatError."""
    try:
        value = canonical.decode(data)
    except FormatError:
        return
    assert canonical.decode(canonical.encode(value)) == value


@pytest.mark.parametrize("value", [2**53, float("nan"), float("inf"), "\ud800", {"\ud800": 1}, {1: 2}, {1, 2}, b"x"])
def test_what_json_cannot_carry_is_refused(value):
    """Writing never rounds, drops or guesses."""
    with pytest.raises(FormatError):
        canonical.encode(value)


def test_size_is_bounded():
    """A document above the limit is refused before it is parsed."""
    assert canonical.decode(b"[1]", 3) == [1]
    with pytest.raises(FormatError, match="at most 2"):
        canonical.decode(b"[1]", 2)


def test_a_document_must_be_an_object():
    """A list is no document."""
    assert canonical.decode_object(b'{"a":1}') == {"a": 1}
    with pytest.raises(FormatError, match="object"):
        canonical.decode_object(b"[]")


def test_digest_known_answer():
    """SHA-256 of "abc" (FIPS 180-4), with its algorithm."""
    digest = canonical.digest_of(b"abc")
    assert digest == "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert canonical.digest_text(canonical.digest_hex(digest)) == digest


@pytest.mark.parametrize(
    "text", ["", "sha256:", "sha512:" + "0" * 64, "0" * 64, "sha256:" + "A" * 64, "sha256:" + "0" * 63]
)
def test_another_digest_is_refused(text):
    """Only lower-case sha256 digests are read."""
    with pytest.raises(FormatError):
        canonical.digest_hex(text)
