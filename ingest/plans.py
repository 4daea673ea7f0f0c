"""A worker's plan on disk: the duties ahead, with their addresses still sealed, so that a start needs no catalogue
(I5). Pure.
"""

from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from collections.abc import Sequence

from archiver.documents import VERSION, Fields
from archiver.errors import FormatError
from archiver.timeline import Interval
from archiver.times import to_text
from archiver.values import Assignment, Duty, Json
from archiver.vocabulary import DutyState


def plan_json(plan: Sequence[Assignment]) -> Json:
    return {"v": VERSION, "assignments": [_assignment(each) for each in plan]}


def parse_plan(document: Json) -> list[Assignment]:
    """Reads `plan_json`; FormatError for anything else. Leases are not kept: they are the catalogue's to tell."""
    fields = Fields.versioned("plan.json", document)
    return [_parsed(each) for each in fields.inners("assignments")]


def _assignment(each: Assignment) -> Json:
    duty = each.duty
    return {
        "duty": duty.id,
        "organisation": duty.organisation,
        "site": duty.site,
        "location": duty.location,
        "source": duty.source,
        "start": to_text(duty.span.start),
        "end": to_text(duty.span.end),
        "state": duty.state.value,
        "epoch": duty.epoch,
        "worker": duty.worker,
        "sealed_address": b64encode(each.sealed_address).decode(),
    }


def _parsed(fields: Fields) -> Assignment:
    start, end = fields.moment("start"), fields.moment("end")
    if end <= start:
        raise fields.wrong("end", "after the start")
    try:
        sealed = b64decode(fields.text("sealed_address"), validate=True)
    except (NotBase64, ValueError) as problem:
        raise FormatError(f"{fields.name}.sealed_address is not base64") from problem
    duty = Duty(
        fields.text("duty"),
        fields.text("organisation"),
        fields.text("site"),
        fields.text("location"),
        fields.text("source"),
        Interval(start, end),
        fields.word("state", DutyState),
        fields.count("epoch"),
        fields.optional_text("worker"),
    )
    return Assignment(duty, sealed)
