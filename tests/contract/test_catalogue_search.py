"""Search: every filter narrows, Chinese is found by any of its parts, and no query text breaks it."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from archiver.adapters.catalogue import words
from archiver.adapters.catalogue.catalogue import SqlCatalogue
from archiver.errors import InputError
from archiver.values import Query
from archiver.vocabulary import CaptureState, EventType
from tests import catalogue_facts as facts


@pytest.fixture
def ids(catalogue: SqlCatalogue) -> dict[str, str]:
    """Three captures: opening and evaluation of one project in room A, opening of another in room B."""
    with catalogue.transaction() as tx:
        first = facts.add_project(tx, "CG-2026-001", "视频会议系统采购")
        second = facts.add_project(tx, "ZC2026/0715", "Hospital beds 医用𬭎病床")
        room_a, room_b = facts.add_location(tx, "开标室A"), facts.add_location(tx, "评标室B")
        wide, close = facts.add_source(tx, room_a, "全景摄像机"), facts.add_source(tx, room_a, "主席台Mic")
        other = facts.add_source(tx, room_b, "球机")
        opening = facts.book(tx, first, room_a, [wide, close], facts.span(0, 3600), "上午开标")
        evaluation = facts.book(tx, first, room_a, [wide], facts.span(7200, 10800), "评审")
        beds = facts.book(tx, second, room_b, [other], facts.span(3000, 7800))
        facts.move(tx, evaluation, EventType.CAPTURE_STARTED)
        facts.book(tx, first, room_a, [wide], facts.span(0, 3600), "上午开标", organisation="another")
    return {
        "first": first, "second": second, "room_a": room_a, "room_b": room_b, "wide": wide, "close": close,
        "opening": opening, "evaluation": evaluation, "beds": beds,
    }  # fmt: skip


def find(catalogue: SqlCatalogue, **filters) -> list:
    with catalogue.reading() as tx:
        return list(tx.search.find(Query("centre", **filters), 50).items)


def names(ids: dict[str, str], hits: list) -> list[str]:
    by_id = {id: name for name, id in ids.items()}
    return [by_id[hit.capture.id] for hit in hits]


def test_without_a_filter_everything_is_found_newest_first(catalogue: SqlCatalogue, ids: dict[str, str]):
    """Only the organisation's own; each hit carries its project and location."""
    hits = find(catalogue)
    assert names(ids, hits) == ["evaluation", "beds", "opening"]
    assert (hits[1].project.id, hits[1].location.id) == (ids["second"], ids["room_b"])
    assert (hits[1].matched, hits[1].why) == (hits[1].capture.window, ())
    assert hits[2].capture.sources == (ids["wide"], ids["close"])


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"project": "first"}, ["evaluation", "opening"]),
        ({"location": "room_b"}, ["beds"]),
        ({"source": "close"}, ["opening"]),
        ({"project": "first", "source": "wide", "location": "room_a"}, ["evaluation", "opening"]),
        ({"project": "second", "location": "room_a"}, []),
    ],
)
def test_filters_narrow(catalogue: SqlCatalogue, ids: dict[str, str], filters: dict[str, str], expected: list[str]):
    """Each by id, and all of them together; `why` names them."""
    hits = find(catalogue, **{name: ids[value] for name, value in filters.items()})
    assert names(ids, hits) == expected
    assert all(set(hit.why) == set(filters) for hit in hits)


def test_a_span_matches_what_it_shares(catalogue: SqlCatalogue, ids: dict[str, str]):
    """Half-open overlap; `matched` is the common part of the window and the span."""
    hits = find(catalogue, span=facts.span(3600, 7300))
    assert names(ids, hits) == ["evaluation", "beds"]
    assert [hit.matched for hit in hits] == [facts.span(7200, 7300), facts.span(3600, 7300)]
    assert {hit.why for hit in hits} == {("time",)}


def test_state_and_all_filters_combine(catalogue: SqlCatalogue, ids: dict[str, str]):
    """Text, state, time, project, location and source in one query."""
    everything = {"project": ids["first"], "location": ids["room_a"], "source": ids["wide"]}
    everything |= {"span": facts.span(0, 9000), "state": CaptureState.RECORDING, "text": "评审"}
    [hit] = find(catalogue, **everything)
    assert hit.capture.id == ids["evaluation"]
    assert hit.why == ("project", "location", "source", "time", "state", "text:capture.title")
    assert find(catalogue, **everything | {"state": CaptureState.SEALED}) == []
    assert find(catalogue, **everything | {"text": "开标上午"}) == []


@pytest.mark.parametrize(
    ("text", "expected", "why"),
    [
        ("视频会议", ["evaluation", "opening"], "project.title"),
        ("会议", ["evaluation", "opening"], "project.title"),
        ("议系", ["evaluation", "opening"], "project.title"),
        ("购", ["evaluation", "opening"], "project.title"),
        ("视", ["evaluation", "opening"], "project.title"),
        ("会系", [], None),
        ("上午开标", ["opening"], "capture.title"),
        ("𬭎病", ["beds"], "project.title"),
        ("𬭎", ["beds"], "project.title"),
        ("球", ["beds"], "source.name"),
        ("主席台mic", ["opening"], "source.name"),
        ("评标室B", ["beds"], "location.name"),
        ("评标室Ｂ", ["beds"], "location.name"),
        ("HOSPITAL", ["beds"], "project.title"),
        ("hosp", ["beds"], "project.title"),
        ("ospital", [], None),
        ("hospital beds", ["beds"], "project.title"),
        ("beds hospital", ["beds"], "project.title"),
        ("CG-2026-001", ["evaluation", "opening"], "project.number"),
        ("cg-2026", ["evaluation", "opening"], "project.number"),
        ("2026-0", ["evaluation", "opening"], "project.number"),
        ("2026-1", [], None),
        ("zc2026/07", ["beds"], "project.number"),
        ("采购 全景", ["evaluation", "opening"], "source.name"),
        ("采购 球机", [], None),
        ("   ", ["evaluation", "beds", "opening"], None),
        ("!!!", [], None),
        ("\uf900", [], None),
        ("购开", [], None),
        ("001视频", [], None),
        ("001 视频", ["evaluation", "opening"], "project.number"),
    ],
)
def test_text_is_found_by_its_parts(catalogue: SqlCatalogue, ids: dict[str, str], text: str, expected: list, why: str):
    """Any run of Chinese characters, one too; words by their beginnings; all parts of a query."""
    hits = find(catalogue, text=text)
    assert names(ids, hits) == expected
    assert why is None or all(f"text:{why}" in hit.why for hit in hits)


def test_the_index_follows_changes(catalogue: SqlCatalogue, ids: dict[str, str]):
    """New names of a project, location, source or capture are found, the old ones no longer."""
    changes = {
        EventType.PROJECT_CHANGED: (ids["first"], {"changes": {"title": "网络设备"}}),
        EventType.LOCATION_CHANGED: (ids["room_a"], {"changes": {"name": "多功能厅"}}),
        EventType.SOURCE_CHANGED: (ids["wide"], {"changes": {"name": "鱼眼"}}),
        EventType.CAPTURE_CHANGED: (ids["opening"], {"title": "下午唱标"}),
    }
    renamed = (("视频会议", "网络设备"), ("开标室", "多功能厅"), ("全景", "鱼眼"), ("上午开标", "唱标"))
    for (type, (id, payload)), (old, new) in zip(changes.items(), renamed, strict=True):
        assert "opening" in names(ids, find(catalogue, text=old))
        with catalogue.transaction() as tx:
            facts.append(tx, type, id, {"id": id} | payload)
        assert "opening" in names(ids, find(catalogue, text=new))
        assert find(catalogue, text=old) == []


def test_pages_of_hits_show_each_once(catalogue: SqlCatalogue, ids: dict[str, str]):
    """The cursor goes on where the page ended, also with a text; a foreign cursor is refused."""
    found, cursor = [], None
    with catalogue.reading() as tx:
        while True:
            page = tx.search.find(Query("centre", text="室"), 1, cursor)
            found += page.items
            if (cursor := page.next) is None:
                break
        with pytest.raises(InputError):
            tx.search.find(Query("centre"), 1, "W10")
    assert names(ids, found) == ["evaluation", "beds", "opening"]


nasty = st.text(st.sampled_from("\"'*^:()-+{}ANDORNOTEAR \x00\\%_会议室A1 \uf900\ud7ff"), max_size=30)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(nasty | st.text(max_size=60))
def test_no_query_text_is_an_error(catalogue: SqlCatalogue, text: str):
    """Quotes, operators, column filters, NUL, anything: a query finds or doesn't, and never fails."""
    assert find(catalogue, text=text) == []


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(title=st.text(st.sampled_from("会议室开标甲乙AB12 -é"), min_size=1, max_size=12), data=st.data())
def test_every_part_of_a_title_finds_it(catalogue: SqlCatalogue, title: str, data: st.DataObject):
    """Any piece that begins at a word, or at any Chinese character, finds the capture, and `why` says where."""
    start = data.draw(st.sampled_from(range(len(title))))
    part = title[start : data.draw(st.integers(start + 1, len(title)))]
    before = title[start - 1 : start]
    inside_a_word = bool(words.words(before)) and before.isascii() | (before == "é") and not _is_han(part[0])
    if inside_a_word or not words.words(part):
        return
    with catalogue.transaction() as tx:
        location, project = facts.add_location(tx), facts.add_project(tx, "N", "T")
        id = facts.book(tx, project, location, [], title=title)
        hits = tx.search.find(Query("centre", project=project, text=part), 10).items
    assert [hit.capture.id for hit in hits] == [id]
    assert "text:capture.title" in hits[0].why


def _is_han(character: str) -> bool:
    return "\u4e00" <= character <= "\u9fff"
