"""What the command line prints: data on stdout, progress and messages on stderr; one JSON document when asked."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from archiver.errors import ArchiverError, InputError
from archiver.times import utc

WHOLE = ("id", "capture")
"""Columns that are copied from the screen: never cut nor broken, however narrow it is."""


@dataclass(frozen=True)
class Output:
    """Where a command's answer goes. `as_json` makes it one document."""

    as_json: bool
    home: Path | None

    @property
    def console(self) -> Console:
        return Console(file=sys.stdout, highlight=False, soft_wrap=True)

    def thing(self, document: Mapping[str, Any]) -> None:
        """One object: as JSON, or as a two-column table of what has a value."""
        if self.as_json:
            print(json.dumps(document, ensure_ascii=False))
            return
        table = Table("", Column(overflow="fold"), show_header=False, box=None, pad_edge=False)
        for name, value in document.items():
            if value not in (None, [], {}):
                table.add_row(f"[bold]{name}[/bold]", escape(plain(value)))
        self.console.print(table)

    def listing(self, items: Sequence[Mapping[str, Any]], columns: Iterable[str], next: str | None = None) -> None:
        """A list: as `{items, next}`, or as a table of some columns."""
        if self.as_json:
            print(json.dumps({"items": list(items), "next": next}, ensure_ascii=False))
            return
        names = list(columns)
        table = Table(box=None, pad_edge=False, header_style="bold")
        for name in names:
            table.add_column(name, overflow="fold", no_wrap=name in WHOLE)
        for item in items:
            table.add_row(*(escape(brief(item.get(name))) for name in names))
        self.console.print(table if items else "(none)")
        if next:
            note(f"more: --cursor {next}")

    def failure(self, error: ArchiverError) -> None:
        """What went wrong, on stderr; as JSON on stdout too, since a script reads that."""
        if self.as_json:
            print(json.dumps({"error": {"code": error.code, "message": error.message, "errors": error.errors}}))
        fields = "".join(f"\n  {field}: {reason}" for field, reason in error.errors.items())
        note(f"{error.code}: {error.message}{fields}")


def note(text: str) -> None:
    """Progress or a message: stderr, never part of the data."""
    print(text, file=sys.stderr, flush=True)


def brief(value: Any) -> str:
    """A value as it fits a cell: a stretch of time to the second, a thing by its number or name."""
    if isinstance(value, Mapping):
        if value.keys() == {"start", "end"}:
            return " - ".join(f"{moment[:19]}Z" for moment in value.values())
        value = value.get("number") or value.get("name") or value
    return plain(value)


def plain(value: Any) -> str:
    """A value as a person reads it in a table."""
    if value is None:
        return "-"
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {plain(inner)}" for key, inner in value.items())
    if isinstance(value, Sequence):
        return "; ".join(plain(inner) for inner in value) or "-"
    return json.dumps(value)


def moment(text: str, zone: ZoneInfo, field: str) -> datetime:
    """A time as typed: ISO 8601 with an offset, or wall-clock time in the archive's zone. InputError names `field`.

    A wall-clock time that the zone skips or repeats (a clock change) is refused: it would be a guess.
    """
    try:
        given = datetime.fromisoformat(text)
    except ValueError:
        raise InputError(
            f"--{field} {text!r} is not a time; write 2026-11-24T09:30 or 2026-11-24T09:30:00+08:00",
            errors={field: "ISO 8601 date and time"},
        ) from None
    if given.tzinfo is not None:
        return utc(given)
    early, late = given.replace(tzinfo=zone, fold=0), given.replace(tzinfo=zone, fold=1)
    if early.utcoffset() != late.utcoffset():
        raise InputError(
            f"--{field} {text} is not one moment in {zone.key} (the clocks change); add an offset, such as +08:00",
            errors={field: "ambiguous wall-clock time"},
        )
    return utc(early)


def shown(moment: datetime | None, zone: ZoneInfo) -> str | None:
    """A time for output: in the archive's zone, with its offset."""
    return (
        None
        if moment is None
        else moment.astimezone(zone).isoformat(timespec="microseconds" if moment.microsecond else "seconds")
    )
