"""What a recorder process states and remembers on disk, and how it is written down. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from archiver.documents import VERSION, Fields
from archiver.errors import FormatError
from archiver.timeline import Interval
from archiver.times import to_text, utc
from archiver.values import Duty, Json, Outage
from archiver.vocabulary import GapCause
from ingest.outages import OpenOutage

OUTAGE, DUTY_ENDED, CLOCK_STEPPED = "outage", "duty_ended", "clock_stepped"


@dataclass(frozen=True, slots=True)
class DutyEnded:
    """A worker recorded a duty, or tried to, up to the end of `span`."""

    duty: str
    source: str
    epoch: int
    span: Interval

    @classmethod
    def of(cls, duty: Duty) -> "DutyEnded":
        return cls(duty.id, duty.source, duty.epoch, duty.span)


@dataclass(frozen=True, slots=True)
class ClockStepped:
    """The host's clock moved by `offset_us` microseconds at once; `at` is when that was seen."""

    worker: str
    at: datetime
    offset_us: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "at", utc(self.at))


Fact = Outage | DutyEnded | ClockStepped


def fact_json(fact: Fact) -> Json:
    if isinstance(fact, Outage):
        return _document(OUTAGE, outage_payload(fact))
    if isinstance(fact, DutyEnded):
        ended = {"duty": fact.duty, "source": fact.source, "epoch": fact.epoch, **_span(fact.span)}
        return _document(DUTY_ENDED, ended)
    return _document(CLOCK_STEPPED, {"worker": fact.worker, "at": to_text(fact.at), "offset_us": fact.offset_us})


def parse_fact(document: Json) -> Fact:
    """Reads `fact_json`; FormatError for anything else."""
    fields = Fields.versioned("fact", document)
    kind = fields.text("type")
    if kind == OUTAGE:
        return Outage(
            fields.text("source"),
            _interval(fields),
            fields.word("cause", GapCause),
            fields.text("evidence"),
            fields.text("worker"),
            fields.count("epoch"),
        )
    if kind == DUTY_ENDED:
        return DutyEnded(fields.text("duty"), fields.text("source"), fields.count("epoch"), _interval(fields))
    if kind == CLOCK_STEPPED:
        return ClockStepped(fields.text("worker"), fields.moment("at"), fields.integer("offset_us"))
    raise fields.wrong("type", f"{OUTAGE}, {DUTY_ENDED} or {CLOCK_STEPPED}")


def outage_payload(outage: Outage) -> Json:
    """As a `gap.stated` event carries it."""
    return {
        "source": outage.source,
        **_span(outage.span),
        "cause": outage.cause.value,
        "evidence": outage.evidence,
        "worker": outage.worker,
        "epoch": outage.epoch,
    }


def open_json(outages: Mapping[str, OpenOutage]) -> Json:
    """The outages that a worker's duties are in, by duty."""
    return {
        "v": VERSION,
        "outages": [
            {"duty": duty, "since": to_text(each.since), "cause": each.cause.value, "evidence": each.evidence}
            for duty, each in sorted(outages.items())
        ],
    }


def parse_open(document: Json) -> dict[str, OpenOutage]:
    """Reads `open_json`; FormatError for anything else."""
    fields = Fields.versioned("outages.json", document)
    return {
        each.text("duty"): OpenOutage(each.moment("since"), each.word("cause", GapCause), each.text("evidence"))
        for each in fields.inners("outages")
    }


def _document(type: str, values: Json) -> Json:
    return {"v": VERSION, "type": type, **values}


def _span(span: Interval) -> Json:
    return {"start": to_text(span.start), "end": to_text(span.end)}


def _interval(fields: Fields) -> Interval:
    start, end = fields.moment("start"), fields.moment("end")
    if end <= start:
        raise FormatError(f"{fields.name} ends before it starts")
    return Interval(start, end)
