"""Events chain per subject, any change breaks the chain, and batches come back byte for byte."""

from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archiver import canonical, events
from archiver.errors import FormatError
from archiver.values import Batch, Draft, Principal
from archiver.vocabulary import EventType, Role

NOW = datetime(2026, 11, 23, 1, 2, 3, 456789, UTC)
WHO = Principal("p1", "token", Role.ADMINISTRATOR, "复核")
DIGEST = "sha256:" + "ab" * 32


def draft(**changes) -> Draft:
    values = {"subject": "s", "type": EventType.PROJECT_CHANGED, "time": NOW, "principal": WHO, "payload": {"n": 1}}
    return Draft(**{**values, **changes})


def chained(count: int, **changes) -> list:
    made, previous = [], events.FIRST_PREVIOUS
    for seq in range(count):
        made.append(events.chain(draft(payload={"n": seq}, about=("a", "b"), **changes), f"e{seq}", seq, previous))
        previous = made[-1].hash
    return made


def test_an_unbroken_chain_has_no_problem():
    """What `chain` makes, `check_chain` accepts, from the first event on."""
    assert events.check_chain(chained(4)) is None
    assert events.check_chain([]) is None


def test_hash_known_answer():
    """The hash is SHA-256 of the canonical document without `hash`, so a stranger can compute it."""
    (event,) = chained(1)
    expected = (
        '{"about":["a","b"],"id":"e0","payload":{"n":0},"previous":"' + "0" * 64 + '",'
        '"principal":{"id":"p1","kind":"token","purpose":"复核","role":"administrator"},"seq":0,"subject":"s",'
        '"time":"2026-11-23T01:02:03.456789Z","type":"project.changed","v":1}'
    )
    assert canonical.digest_of(expected.encode()) == canonical.digest_text(event.hash)


@pytest.mark.parametrize(
    "change",
    [
        {"id": "other"},
        {"subject": "t"},
        {"seq": 7},
        {"previous": "1" * 64},
        {"type": "project.added"},
        {"time": NOW + timedelta(microseconds=1)},
        {"principal": replace(WHO, purpose=None)},
        {"about": ("a",)},
        {"payload": {"n": 99}},
        {"hash": "f" * 64},
        {"extra": {"more": 1}},
    ],
)
@pytest.mark.parametrize("at", [0, 1, 2])
def test_any_change_breaks_the_chain_there(change, at):
    """A change of any field of any event is found at that event."""
    chain = chained(3)
    chain[at] = replace(chain[at], **change)
    problem = events.check_chain(chain)
    assert problem is not None
    # The subject of a chain is its first event's, so changing that one shows there too, by its hash.
    assert problem.seq == chain[at].seq
    assert problem.expected != problem.found


@pytest.mark.parametrize("at", [0, 1])
def test_a_removed_event_breaks_the_chain(at):
    """Only the last can be taken away unseen (which a checkpoint or a seal's head tells)."""
    chain = chained(3)
    del chain[at]
    assert events.check_chain(chain) is not None


def test_a_rewritten_event_breaks_the_next():
    """An event made anew with a fitting hash of its own doesn't fit the one after it."""
    first, second = chained(2)
    forged = events.chain(draft(payload={"n": 99}), first.id, 0, first.previous)
    problem = events.check_chain([forged, second])
    assert problem is not None and problem.event == second.id and problem.expected == f"previous {forged.hash}"


def test_a_resumed_chain_is_unbroken_and_says_where_events_may_be_lost():
    """`chain.resumed` is chained like any event; what may be lost lies between it and the one before."""
    chain = chained(2)
    chain.append(events.chain(draft(type=EventType.CHAIN_RESUMED, payload={}), "r", 2, chain[-1].hash))
    assert events.check_chain(chain) is None
    assert events.possibly_lost_after(chain) == [1]
    assert events.possibly_lost_after(chained(3)) == []


def test_payload_is_what_will_be_read():
    """Tuples and enums in a draft come out as the lists and texts that the hash was taken of."""
    event = events.chain(
        draft(payload={"list": (1, 2), "word": Role.SYSTEM, "one": 1.0}), "e", 0, events.FIRST_PREVIOUS
    )
    assert event.payload == {"list": [1, 2], "word": "system", "one": 1}
    assert type(event.payload["list"]) is list


def test_a_payload_that_json_cannot_carry_is_refused():
    """Nothing is chained that couldn't be read again."""
    with pytest.raises(FormatError):
        events.chain(draft(payload={"when": NOW}), "e", 0, events.FIRST_PREVIOUS)
    with pytest.raises(FormatError, match="at most"):
        events.chain(draft(payload={"x": "y" * events.MAX_EVENT}), "e", 0, events.FIRST_PREVIOUS)


def test_a_naive_time_is_refused():
    """Every event's time is aware."""
    with pytest.raises(ValueError, match="time zone"):
        events.chain(draft(time=NOW.replace(tzinfo=None)), "e", 0, events.FIRST_PREVIOUS)


def test_unknown_types_and_fields_are_kept():
    """An event of a newer program reads, keeps what isn't known, and its hash still fits."""
    (event,) = chained(1)
    document = events.to_document(event)
    document |= {"type": "disc.burned", "new": [1]}
    document["principal"]["device"] = "x"
    known = events.from_document(document)
    assert known.type == "disc.burned"
    known = replace(known, hash=events.hash_of(known))
    again = events.to_document(known)
    assert again["new"] == [1] and again["principal"]["device"] == "x"
    assert events.check_chain([events.from_document(again)]) is None


@pytest.mark.parametrize("previous", [None, DIGEST])
def test_a_batch_comes_back(previous):
    """The same rows give the same bytes, and the bytes give the same rows."""
    batch = Batch("b", previous, tuple(chained(3)))
    data = events.batch_bytes(batch)
    assert events.parse_batch(data) == batch
    assert events.batch_bytes(events.parse_batch(data)) == data
    assert len(data.splitlines()) == 4


def test_the_largest_event_comes_back():
    """What `chain` accepts, a batch carries."""
    size = events.MAX_EVENT - 400
    event = events.chain(draft(payload={"x": "y" * size}), "e", 0, events.FIRST_PREVIOUS)
    batch = Batch("b", None, (event,))
    assert events.parse_batch(events.batch_bytes(batch)) == batch


@given(st.data())
def test_a_damaged_batch_is_refused_or_found(data):
    """Any cut or changed byte is a FormatError, or shows as a changed batch; nothing else is raised."""
    batch = Batch("b", DIGEST, tuple(chained(2)))
    good = events.batch_bytes(batch)
    at = data.draw(st.integers(0, len(good) - 1))
    bad = data.draw(st.sampled_from([good[:at], good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :], good[at:]]))
    if bad == good:
        return
    with suppress(FormatError):
        assert events.parse_batch(bad) != batch


def test_a_batch_cut_at_a_line_is_refused():
    """The header says how many events follow."""
    lines = events.batch_bytes(Batch("b", None, tuple(chained(2)))).splitlines(keepends=True)
    with pytest.raises(FormatError, match="2 events has 1"):
        events.parse_batch(b"".join(lines[:-1]))


@given(st.binary(max_size=300))
def test_any_bytes_are_no_batch(data):
    """No bytes make the reader raise anything but FormatError."""
    with pytest.raises(FormatError):
        events.parse_batch(data)


@pytest.mark.parametrize(
    "field", ["v", "id", "subject", "seq", "previous", "type", "time", "principal", "about", "hash"]
)
@pytest.mark.parametrize("value", [None, -1, 1.5, [], [1], {}, "x"])
def test_a_field_of_another_shape_is_refused(field, value):
    """A wrong field is a FormatError, and so is a missing one."""
    document = events.to_document(chained(1)[0])
    if type(value) is type(document[field]) and field not in ("v", "seq", "time", "principal", "about"):
        return
    if field == "about" and value == []:
        return
    with pytest.raises(FormatError):
        events.from_document({**document, field: value})
    del document[field]
    with pytest.raises(FormatError, match=field):
        events.from_document(document)


def test_a_later_version_is_refused():
    """A higher v is refused with what to do, not guessed at."""
    document = events.to_document(chained(1)[0])
    with pytest.raises(FormatError, match="newer"):
        events.from_document({**document, "v": 2})
