"""Projects, locations, sources and policies as their events left them."""

from datetime import date

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from archiver.adapters.catalogue import paging
from archiver.adapters.catalogue.catalogue import SqlCatalogue
from archiver.errors import ConflictError, FormatError, InputError, NotFoundError
from archiver.times import to_text
from archiver.values import ProjectEnd
from archiver.vocabulary import EventType
from tests import catalogue_facts as facts


def test_a_project_is_what_its_events_say(catalogue: SqlCatalogue):
    """Added, then changed: the fields named change, the others stay."""
    with catalogue.transaction() as tx:
        id = facts.add_project(tx, buyer="市第一医院")
        facts.append(tx, EventType.PROJECT_CHANGED, id, {"id": id, "changes": {"title": "新名称", "lots": ["3"]}})
    with catalogue.reading() as tx:
        project = tx.registry.project(id)
    assert (project.title, project.lots, project.number) == ("新名称", ("3",), "CG-2026-001")
    assert (project.organisation, project.buyer, project.method) == ("centre", "市第一医院", "公开招标")
    assert project.end is None


def test_the_newest_end_of_a_project_counts(catalogue: SqlCatalogue):
    """A correction is a new event (evidence rule 2): the row shows it, the chain keeps both."""
    with catalogue.transaction() as tx:
        id = facts.add_project(tx)
        for day in ("2027-03-01", "2027-02-01"):
            end = {"id": id, "day": day, "basis": "acceptance", "document": "YS-1", "signer": "王"}
            facts.append(tx, EventType.PROJECT_ENDED, id, end)
    with catalogue.reading() as tx:
        assert tx.registry.project(id).end == ProjectEnd(date(2027, 2, 1), "acceptance", "YS-1", "王")
        days = [event.payload["day"] for event in tx.events.chain(id, after=0)]
    assert days == ["2027-03-01", "2027-02-01"]


def test_what_is_unknown_is_not_found(catalogue: SqlCatalogue):
    """Every single look-up of an unknown id raises NotFoundError, and so does an event that changes one."""
    with catalogue.reading() as tx:
        for look in (tx.registry.project, tx.registry.location, tx.registry.source, tx.registry.sealed_address):
            with pytest.raises(NotFoundError):
                look(facts.new_id())
    id = facts.new_id()
    with pytest.raises(NotFoundError), catalogue.transaction() as tx:
        facts.append(tx, EventType.LOCATION_CHANGED, id, {"id": id, "changes": {"name": "B"}})


@pytest.mark.parametrize(
    "payload",
    [
        {"changes": {"organisation": "another"}},
        {"changes": {"name": 7}},
        {"changes": ["name"]},
        {},
    ],
)
def test_a_payload_of_another_shape_is_refused(catalogue: SqlCatalogue, payload: dict):
    """What can't be projected is not chained either."""
    with catalogue.transaction() as tx:
        id = facts.add_location(tx)
    with pytest.raises(FormatError), catalogue.transaction() as tx:
        facts.append(tx, EventType.LOCATION_CHANGED, id, {"id": id} | payload)
    with catalogue.reading() as tx:
        assert len(tx.events.chain(id)) == 1
        assert tx.registry.location(id).organisation == "centre"


def test_the_same_thing_can_not_be_added_twice(catalogue: SqlCatalogue):
    """An id is used once."""
    with catalogue.transaction() as tx:
        id = facts.add_location(tx)
    payload = {"id": id, "organisation": "centre", "site": "main", "name": "B"}
    with pytest.raises(ConflictError), catalogue.transaction() as tx:
        facts.append(tx, EventType.LOCATION_ADDED, id, payload)


def test_a_removed_source_is_kept_but_not_listed(catalogue: SqlCatalogue):
    """Its footage still names it, so it is found by id."""
    with catalogue.transaction() as tx:
        location = facts.add_location(tx)
        kept, removed = facts.add_source(tx, location), facts.add_source(tx, location)
        facts.append(tx, EventType.SOURCE_CHANGED, removed, {"id": removed, "changes": {"removed": True}})
    with catalogue.reading() as tx:
        assert [source.id for source in tx.registry.sources("centre", 10).items] == [kept]
        assert tx.registry.source(removed).removed


def test_sources_are_listed_by_location(catalogue: SqlCatalogue):
    """Only those of the room that was asked for."""
    with catalogue.transaction() as tx:
        rooms = [facts.add_location(tx), facts.add_location(tx, "开标室B")]
        sources = [facts.add_source(tx, room) for room in rooms]
    with catalogue.reading() as tx:
        found = tx.registry.sources("centre", 10, location=rooms[1]).items
    assert [source.id for source in found] == sources[1:]


def test_a_sealed_address_is_entered_and_replaced(catalogue: SqlCatalogue):
    """The sealed bytes come back as they went in; the event chain has none of them."""
    with catalogue.transaction() as tx:
        source = facts.add_source(tx, facts.add_location(tx), address=False)
        with pytest.raises(NotFoundError, match="enter it again"):
            tx.registry.sealed_address(source)
        tx.registry.set_sealed_address(source, b"\x00first")
        tx.registry.set_sealed_address(source, b"\xffsecond")
        assert tx.registry.sealed_address(source) == b"\xffsecond"
        assert b"second" not in repr(tx.events.chain(source)).encode()


def test_policies_are_listed_oldest_first(catalogue: SqlCatalogue):
    """Every version stays."""
    versions = [(2, 20, facts.START + facts.HOUR), (1, 15, facts.START)]
    with catalogue.transaction() as tx:
        id = facts.new_id()
        for version, years, at in versions:
            payload = {"id": id, "organisation": "centre", "version": version, "years": years, "basis": "Art. 42"}
            facts.append(tx, EventType.POLICY_SET, "system", payload | {"effective_from": to_text(at)})
    with catalogue.reading() as tx:
        assert [(policy.version, policy.years) for policy in tx.registry.policies("centre")] == [(1, 15), (2, 20)]
        assert tx.registry.policies("another") == []


def test_pages_show_everything_once(catalogue: SqlCatalogue):
    """Walking the pages of each list gives every thing once and in order, whatever the limit."""
    with catalogue.transaction() as tx:
        rooms = [facts.add_location(tx, f"室{number}") for number in range(7)]
        facts.add_location(tx, "elsewhere", organisation="another")
        projects = [facts.add_project(tx, f"CG-{number}") for number in range(7)]
        sources = [facts.add_source(tx, rooms[0], f"机位{number}") for number in range(7)]
    with catalogue.reading() as tx:
        lists = {
            tx.registry.locations: sorted(rooms),
            tx.registry.projects: sorted(projects, reverse=True),
            tx.registry.sources: sorted(sources),
        }
        for ask, expected in lists.items():
            for limit in (1, 3, 7, 100):
                assert list(_walk(ask, limit)) == expected


def _walk(ask, limit):
    cursor = None
    while True:
        page = ask("centre", limit, cursor)
        assert 0 < len(page.items) <= limit
        yield from (item.id for item in page.items)
        cursor = page.next
        if cursor is None:
            return


@pytest.mark.parametrize("limit", [0, -1])
def test_a_page_has_at_least_one_item(catalogue: SqlCatalogue, limit: int):
    """A limit that shows nothing is refused, with the field's name."""
    with pytest.raises(InputError) as refusal, catalogue.reading() as tx:
        tx.registry.projects("centre", limit)
    assert "limit" in refusal.value.errors


@pytest.mark.parametrize("cursor", ["", "?", "ééé", "bnVsbA", "WzEsMl0", "IngnIE9SIDE9MSI", "W1tbW1tbW1tb" * 9999])
def test_a_malformed_cursor_is_refused(catalogue: SqlCatalogue, cursor: str):
    """Whatever a page didn't give is the caller's mistake, never a driver's error."""
    with catalogue.reading() as tx:
        for ask in (tx.registry.projects, tx.registry.locations, tx.registry.sources, tx.captures.page):
            with pytest.raises(InputError) as refusal:
                ask("centre", 10, cursor)
            assert "cursor" in refusal.value.errors


json_values = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists)


@given(st.text() | json_values.map(paging._encode))
def test_no_cursor_leaks_another_error(cursor: str):
    """Any text at all is a key or InputError."""
    for read in (paging.after_id, lambda text: paging.older_than(text, *_KEYS)):
        try:
            read(cursor)
        except InputError as refusal:
            assert "cursor" in refusal.errors


_KEYS = (sa.column("start_at", sa.Integer()), sa.column("id", sa.Text()))
