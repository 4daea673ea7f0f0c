"""Keyset pages: a cursor is the key of the last row shown, opaque to whoever carries it."""

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import sqlalchemy as sa

from archiver.errors import InputError
from archiver.ids import is_id
from archiver.times import from_us, to_us
from archiver.values import Page

T = TypeVar("T")


def after_id(cursor: str | None) -> str | None:
    """The id in a cursor made of one id. InputError if it isn't one."""
    if cursor is None:
        return None
    key = _decode(cursor)
    if isinstance(key, str) and is_id(key):
        return key
    raise _malformed()


def id_cursor(id: str) -> str:
    return _encode(id)


def older_than(cursor: str | None, start: sa.Column[Any], id: sa.Column[Any]) -> sa.ColumnElement[bool]:
    """What comes after a cursor when the newest window is shown first. InputError if it is malformed."""
    if cursor is None:
        return sa.true()
    match _decode(cursor):
        case [int(us), str(last)] if is_id(last):
            return sa.tuple_(start, id) < sa.tuple_(sa.literal(_time(us), start.type), sa.literal(last, id.type))
    raise _malformed()


def window_cursor(row: sa.RowMapping) -> str:
    return _encode([to_us(row["start_at"]), row["id"]])


def page(rows: Sequence[sa.RowMapping], limit: int, cursor: Callable[[sa.RowMapping], str]) -> Page[sa.RowMapping]:
    """The first `limit` of rows that were asked for with one more than that."""
    shown = tuple(rows[:limit])
    return Page(shown, cursor(shown[-1]) if len(rows) > limit else None)


def checked_limit(limit: int) -> int:
    if limit < 1:
        raise InputError(f"a page can't have {limit} items", errors={"limit": "1 or more"})
    return limit


def _time(us: int) -> Any:
    try:
        return from_us(us)
    except OverflowError:
        raise _malformed() from None


def _encode(key: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(key, separators=(",", ":")).encode()).decode().rstrip("=")


def _decode(cursor: str) -> object:
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        return json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, RecursionError):
        raise _malformed() from None


def _malformed() -> InputError:
    return InputError(
        "this cursor was not given by a page of this list; begin without one", errors={"cursor": "the `next` of a page"}
    )
