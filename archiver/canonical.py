"""Canonical JSON (RFC 8785) and digests: how every stored document is written and named."""

import json
import math
import re
from collections.abc import Sequence
from hashlib import sha256
from typing import Any, NoReturn

import rfc8785

from archiver.errors import FormatError

MAX_DOCUMENT = 64 * 2**20
"""A stored document beyond this (bytes) is refused before it is parsed."""

_EXACT = 2**53 - 1
_DIGEST = re.compile(r"sha256:([0-9a-f]{64})")


def digest_of(data: bytes | memoryview) -> str:
    """The SHA-256 of `data` as `sha256:<hex>`."""
    return digest_text(sha256(data).hexdigest())


def digest_text(hexadecimal: str) -> str:
    """`sha256:<hex>` of the 64 hexadecimal digits of a SHA-256."""
    return f"sha256:{hexadecimal}"


def digest_hex(digest: str) -> str:
    """The hexadecimal digits of a `sha256:<hex>`; FormatError for anything else, also another algorithm."""
    match = _DIGEST.fullmatch(digest)
    if not match:
        raise FormatError(f"{digest[:80]!r} is not a digest; sha256:<64 hexadecimal digits> is what is read")
    return match.group(1)


def encode(value: Any) -> bytes:
    """The canonical bytes of a JSON value (dict, list, tuple, str, int, float, bool, None).

    FormatError for what JSON can't carry exactly: integers of more than 53 bits, NaN, lone surrogates, other types.
    """
    try:
        return rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, UnicodeEncodeError) as problem:
        raise FormatError(f"can't be written as canonical JSON: {problem}") from problem
    except RecursionError:
        raise FormatError("can't be written as canonical JSON: nested too deeply") from None


def decode(data: bytes, limit: int = MAX_DOCUMENT) -> Any:
    """The value of strict JSON: UTF-8, at most `limit` bytes, no key twice in an object, no NaN, only numbers and
    strings that `encode` can write again. FormatError for anything else."""
    if len(data) > limit:
        raise FormatError(f"a document of {len(data)} bytes; at most {limit} are read")
    try:
        text = data.decode()
        value = json.loads(
            text,
            object_pairs_hook=_unique,
            parse_constant=_refuse_constant,
            parse_int=_integer,
            parse_float=_finite,
        )
        if "\\u" in text:
            json.dumps(value, ensure_ascii=False).encode()  # an escaped lone surrogate has no UTF-8
    except ValueError as problem:
        raise FormatError(f"not JSON: {problem}") from problem
    except RecursionError:
        raise FormatError("not JSON that is read here: nested too deeply") from None
    return value


def decode_object(data: bytes, limit: int = MAX_DOCUMENT) -> dict[str, Any]:
    """As `decode`, for a document that must be an object."""
    value = decode(data, limit)
    if not isinstance(value, dict):
        raise FormatError(f"a document must be a JSON object; this one is a {type(value).__name__}")
    return value


def plain(value: Any) -> Any:
    """`value` as reading its canonical bytes gives it: lists for tuples, str for enums, 1 for 1.0."""
    return decode(encode(value))


def _unique(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise FormatError("not JSON that is read here: a key stands twice in one object")
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise FormatError(f"not JSON: {name} is no number of JSON")


def _integer(text: str) -> int | float:
    """Beyond 53 bits only what is a double's own canonical text, as RFC 8785 writes a large float."""
    number = int(text)
    if abs(number) <= _EXACT:
        return number
    double = float(number) if abs(number) < 10**21 else math.inf
    if math.isinf(double) or rfc8785.dumps(double) != text.encode():
        raise FormatError(f"the number {text[:40]} doesn't fit a double exactly (RFC 8785, section 3.2.2.3)")
    return double


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise FormatError(f"the number {text[:40]} is too large")
    return number
