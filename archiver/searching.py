"""Captures found by project, place, source, time, words and state: every filter combines."""

from dataclasses import dataclass

from archiver.ports import Catalogue
from archiver.values import Hit, Page, Query


@dataclass(frozen=True, slots=True)
class Searching:
    catalogue: Catalogue

    def find(self, query: Query, limit: int, cursor: str | None = None) -> Page[Hit]:
        """Newest window first, with the stretch that matched and why."""
        with self.catalogue.reading() as tx:
            return tx.search.find(query, limit, cursor)
