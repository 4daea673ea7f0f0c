"""Captures found by project, place, source, time, words and state: every filter combines."""

from dataclasses import dataclass
from datetime import datetime

from archiver.errors import InputError
from archiver.mistakes import Mistake
from archiver.ports import Catalogue
from archiver.timeline import Interval
from archiver.times import from_us
from archiver.values import Hit, Page, Query

BEGINNING, END = from_us(0), from_us(220_000_000_000_000_000)


def stretch(start: datetime | None, end: datetime | None) -> Interval | None:
    """The time that a search is limited to. An end not named is open; InputError names `to` if none is left."""
    if start is None and end is None:
        return None
    first, last = start or BEGINNING, end or END
    if last <= first:
        raise InputError("an empty stretch of time", errors={"to": Mistake.END_NOT_AFTER_START})
    return Interval(first, last)


@dataclass(frozen=True, slots=True)
class Searching:
    catalogue: Catalogue

    def find(self, query: Query, limit: int, cursor: str | None = None) -> Page[Hit]:
        """Newest window first, with the stretch that matched and why."""
        with self.catalogue.reading() as tx:
            return tx.search.find(query, limit, cursor)
