"""Reading fields of stored documents: what is missing or of another type is a FormatError that names it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, TypeVar

from archiver import times
from archiver.canonical import digest_hex
from archiver.errors import FormatError

VERSION = 1
"""The version of every stored document that this program writes; a higher one is refused (formats.md)."""

E = TypeVar("E", bound=StrEnum)


@dataclass(frozen=True, slots=True)
class Fields:
    """An object of a document called `name`, field by field."""

    name: str
    values: Mapping[str, Any]

    @classmethod
    def of(cls, name: str, value: Any) -> "Fields":
        if not isinstance(value, Mapping):
            raise FormatError(f"{name} must be an object")
        return cls(name, value)

    @classmethod
    def versioned(cls, name: str, value: Any) -> "Fields":
        """The fields of a whole document; FormatError if it was written by a later version."""
        fields = cls.of(name, value)
        version = fields.count("v")
        if version < 1:
            raise fields.wrong("v", "1 or more")
        if version > VERSION:
            raise FormatError(f"{name} has version {version}; this program reads up to {VERSION}: use a newer one")
        return fields

    def any(self, key: str) -> Any:
        if key not in self.values:
            raise FormatError(f"{self.name} lacks {key}")
        return self.values[key]

    def text(self, key: str) -> str:
        value = self.any(key)
        if not isinstance(value, str):
            raise self.wrong(key, "a text")
        return value

    def optional_text(self, key: str) -> str | None:
        return None if self.any(key) is None else self.text(key)

    def integer(self, key: str) -> int:
        value = self.any(key)
        if type(value) is not int:
            raise self.wrong(key, "a whole number")
        return value

    def count(self, key: str) -> int:
        """A whole number that is not negative."""
        value = self.integer(key)
        if value < 0:
            raise self.wrong(key, "0 or more")
        return value

    def flag(self, key: str) -> bool:
        value = self.any(key)
        if not isinstance(value, bool):
            raise self.wrong(key, "true or false")
        return value

    def digest(self, key: str) -> str:
        """A `sha256:<hex>`."""
        value = self.text(key)
        digest_hex(value)
        return value

    def moment(self, key: str) -> datetime:
        """A time exactly as stored documents carry it: ISO 8601 UTC with microseconds."""
        value = self.text(key)
        try:
            moment = times.from_text(value)
        except (ValueError, OverflowError):
            raise self.wrong(key, "a time") from None
        if times.to_text(moment) != value:
            raise self.wrong(key, "a time in UTC with microseconds")
        return moment

    def word(self, key: str, words: type[E]) -> E:
        """One of the words of an enum."""
        try:
            return words(self.text(key))
        except ValueError:
            raise self.wrong(key, f"one of {', '.join(words)}") from None

    def items(self, key: str) -> Sequence[Any]:
        value = self.any(key)
        if not isinstance(value, list):
            raise self.wrong(key, "a list")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        values = self.items(key)
        if not all(isinstance(value, str) for value in values):
            raise self.wrong(key, "a list of texts")
        return tuple(values)

    def inner(self, key: str) -> "Fields":
        return Fields.of(f"{self.name}.{key}", self.any(key))

    def optional_inner(self, key: str) -> "Fields | None":
        return None if self.any(key) is None else self.inner(key)

    def inners(self, key: str) -> list["Fields"]:
        return [Fields.of(f"{self.name}.{key}[{at}]", value) for at, value in enumerate(self.items(key))]

    def others(self, known: Iterable[str]) -> dict[str, Any]:
        """The fields that this program doesn't know, to be kept."""
        names = set(known)
        return {key: value for key, value in self.values.items() if key not in names}

    def wrong(self, key: str, expected: str) -> FormatError:
        return FormatError(f"{self.name}.{key} must be {expected}; it is {str(self.values.get(key))[:80]!r}")
