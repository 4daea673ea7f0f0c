"""Column types that mean the same in SQLite's STRICT tables (INTEGER, TEXT, BLOB only) and in PostgreSQL."""

import json
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.types import TypeEngine

from archiver.times import from_us, to_us

Whole: TypeEngine[int] = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
"""An integer of 64 bits."""

Words: TypeEngine[str] = sa.Text()
"""Text for people."""

Id: TypeEngine[str] = sa.Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")
"""Identifiers, keys and digests: compared byte by byte on every engine, so key order is the same everywhere."""

Bytes: TypeEngine[bytes] = sa.LargeBinary()


class Utc(sa.TypeDecorator[datetime]):
    """An aware UTC time as whole microseconds since 1970. Refuses naive times (ValueError)."""

    impl = sa.BigInteger
    cache_ok = True

    def load_dialect_impl(self, dialect: sa.Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(sa.Integer() if dialect.name == "sqlite" else sa.BigInteger())

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> int | None:
        return None if value is None else to_us(value)

    def process_result_value(self, value: int | None, dialect: sa.Dialect) -> datetime | None:
        return None if value is None else from_us(value)


class Flag(sa.TypeDecorator[bool]):
    """Yes or no, as 1 or 0."""

    impl = sa.Integer
    cache_ok = True

    def process_bind_param(self, value: bool | None, dialect: sa.Dialect) -> int | None:
        return None if value is None else int(value)

    def process_result_value(self, value: int | None, dialect: sa.Dialect) -> bool | None:
        return None if value is None else bool(value)


class Json(sa.TypeDecorator[Any]):
    """A JSON value as text, so that what is read back is exactly what was hashed."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: sa.Dialect) -> str | None:
        if value is None:
            return None
        return json.dumps(value, ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"))

    def process_result_value(self, value: str | None, dialect: sa.Dialect) -> Any:
        return None if value is None else json.loads(value)


YES, NO = sa.literal(True, Flag()), sa.literal(False, Flag())
