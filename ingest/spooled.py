"""What lies in a spool beside the media: values, and how they are written down. Pure."""

from dataclasses import dataclass
from datetime import datetime

from archiver import canonical
from archiver.documents import VERSION, Fields
from archiver.errors import FormatError
from archiver.times import to_text, utc
from archiver.vocabulary import Container


@dataclass(frozen=True, slots=True)
class RecordingHead:
    """A recording that was begun (`recording.json`): where it belongs, who makes it, and its init. `opened_at` is
    when its first byte came (aware UTC)."""

    recording: str
    duty: str
    organisation: str
    site: str
    location: str
    source: str
    worker: str
    epoch: int
    opened_at: datetime
    container: Container
    init_size: int
    init_digest: str
    codecs: str
    timescale: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "opened_at", utc(self.opened_at))


@dataclass(frozen=True, slots=True)
class Closed:
    """A recording that has ended (`closed.json`): how many segments were cut, and why it ended."""

    segments: int
    cause: str
    at: datetime

    def __post_init__(self) -> None:
        object.__setattr__(self, "at", utc(self.at))


@dataclass(frozen=True, slots=True)
class Told:
    """What a fragment's prft says: a time (UTC, microseconds), and that of media time 0 which follows from it."""

    at_us: int
    zero_us: int


@dataclass(frozen=True, slots=True)
class Arrival:
    """When a fragment of segment `seq` arrived (host time, microseconds) and where it lies in the media (ticks).

    `samples` counts those of the reference track.
    """

    seq: int
    at_us: int
    tfdt: int
    duration: int
    samples: int
    told: Told | None

    @property
    def end(self) -> int:
        return self.tfdt + self.duration

    @property
    def frame(self) -> float:
        """How long one sample lasts (ticks); 0 where the fragment has none of the reference track."""
        return self.duration / self.samples if self.samples else 0.0


def head_bytes(head: RecordingHead) -> bytes:
    return canonical.encode(
        {
            "v": VERSION,
            "recording": head.recording,
            "duty": head.duty,
            "organisation": head.organisation,
            "site": head.site,
            "location": head.location,
            "source": head.source,
            "worker": head.worker,
            "epoch": head.epoch,
            "opened_at": to_text(head.opened_at),
            "container": head.container,
            "init": {"size": head.init_size, "sha256": head.init_digest},
            "codecs": head.codecs,
            "timescale": head.timescale,
        }
    )


def parse_head(data: bytes) -> RecordingHead:
    """Reads `head_bytes`; FormatError for anything else."""
    fields = Fields.versioned("recording.json", canonical.decode(data))
    init = fields.inner("init")
    return RecordingHead(
        recording=fields.text("recording"),
        duty=fields.text("duty"),
        organisation=fields.text("organisation"),
        site=fields.text("site"),
        location=fields.text("location"),
        source=fields.text("source"),
        worker=fields.text("worker"),
        epoch=fields.count("epoch"),
        opened_at=fields.moment("opened_at"),
        container=fields.word("container", Container),
        init_size=init.count("size"),
        init_digest=init.digest("sha256"),
        codecs=fields.text("codecs"),
        timescale=fields.count("timescale"),
    )


def closed_bytes(closed: Closed) -> bytes:
    return canonical.encode(
        {"v": VERSION, "segments": closed.segments, "cause": closed.cause, "closed_at": to_text(closed.at)}
    )


def parse_closed(data: bytes) -> Closed:
    """Reads `closed_bytes`; FormatError for anything else."""
    fields = Fields.versioned("closed.json", canonical.decode(data))
    return Closed(fields.count("segments"), fields.text("cause"), fields.moment("closed_at"))


def arrival_line(arrival: Arrival) -> bytes:
    """One line of a recording's journal of arrivals."""
    numbers = [arrival.seq, arrival.at_us, arrival.tfdt, arrival.duration, arrival.samples]
    if arrival.told:
        numbers += [arrival.told.at_us, arrival.told.zero_us]
    return (" ".join(map(str, numbers)) + "\n").encode()


def parse_arrivals(journal: bytes) -> list[Arrival]:
    """The journal's whole lines, in order, up to the first that a crash spoilt."""
    found = []
    for line in journal.splitlines(keepends=True):
        try:
            found.append(_arrival(line))
        except FormatError:
            break
    return found


def _arrival(line: bytes) -> Arrival:
    try:
        numbers = [int(word) for word in line.decode("ascii").split(" ")]
    except ValueError as problem:
        raise FormatError(f"no line of arrivals: {line[:80]!r}") from problem
    if len(numbers) not in (5, 7) or not line.endswith(b"\n"):
        raise FormatError(f"no line of arrivals: {line[:80]!r}")
    seq, at_us, tfdt, duration, samples, *told = numbers
    return Arrival(seq, at_us, tfdt, duration, samples, Told(*told) if told else None)
