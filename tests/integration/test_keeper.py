"""The deposit loop over a real spool, catalogue and vault."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from archiver.adapters.catalogue import schema
from archiver.adapters.clock import SystemClock
from archiver.adapters.vault_local import LocalVault
from archiver.depositing import Depositing
from archiver.errors import VaultUnavailableError
from archiver.ports import StreamEnd
from archiver.timeline import Interval
from archiver.values import Duty, Outage, Segment
from archiver.vocabulary import DutyState, EventType, GapCause
from ingest.adapters.spool import RecordingFolder, Spool, Spools
from ingest.desk import SpoolDesk
from ingest.keeper import Keeper, depth
from ingest.recording import Deck
from retention.binding import Binding
from tests.catalogue_facts import add_location, add_source
from tests.doubles import ScriptedStream
from tests.recorder_process import SITE, catalogue_of, new_id

MEDIA = Path(__file__).parents[1] / "assets" / "h264_aac.mp4"
CLOCK = SystemClock()
ROLL = timedelta(seconds=5)


class Store:
    """A home with a source, a held duty, and a spool into which recordings are made of stored media."""

    def __init__(self, home: Path) -> None:
        schema.upgrade(f"sqlite:///{home / 'catalogue.db'}")
        self.catalogue = catalogue_of(home)
        self.vault = LocalVault(home / "vault", CLOCK)
        self.spool: Spool = Spools(home / "spool").take(SITE, "host", CLOCK.now(), new_id)
        self.desk = SpoolDesk(self.spool, new_id)
        self.away = False
        now = datetime.now(UTC)
        span = Interval(now - timedelta(seconds=30), now + timedelta(seconds=30))
        with self.catalogue.transaction() as tx:
            location = add_location(tx)
            self.source = add_source(tx, location)
            tx.duties.put(Duty(new_id(), "centre", SITE, location, self.source, span, DutyState.PLANNED))
        self.duty = self.claim()
        self.keeper = self.new_keeper()

    def claim(self) -> Duty:
        with self.catalogue.transaction() as tx:
            (claimed,) = tx.duties.claim(self.spool.worker, SITE, timedelta(0), 1, timedelta(0))
        return claimed.duty

    def new_keeper(self) -> Keeper:
        return Keeper(lambda: [self.spool], self.deposit, self.catalogue, CLOCK)

    def deposit(self, media: Path, sidecar: bytes) -> Segment:
        if self.away:
            raise VaultUnavailableError("the vault doesn't answer")
        binding = Binding(ZoneInfo("Asia/Shanghai"))
        return Depositing(self.catalogue, self.vault, binding, CLOCK, ROLL, ROLL).deposit(media, sidecar)

    def record(self) -> RecordingFolder:
        deck = Deck(self.spool, self.spool.worker, CLOCK, new_id, segment_s=0.5)
        stream = ScriptedStream([MEDIA.read_bytes()], StreamEnd(GapCause.LOST, "the stream ended"))
        recorded = asyncio.run(deck.record(stream, self.duty, lambda _: None))
        assert recorded.media is not None
        return self.spool.recordings()[-1]

    def outage(self) -> Outage:
        start = self.duty.span.start
        span = Interval(start, start + timedelta(seconds=3))
        return Outage(self.source, span, GapCause.LOST, "the stream ended", self.spool.worker, self.duty.epoch)

    def events(self, type: EventType, subject: str | None = None) -> list[dict[str, object]]:
        with self.catalogue.reading() as tx:
            return [dict(each.payload) for each in tx.events.chain(subject or self.source) if each.type == type]

    def segments(self) -> list[Segment]:
        with self.catalogue.reading() as tx:
            return list(tx.segments.each())

    def state(self) -> DutyState:
        with self.catalogue.reading() as tx:
            (duty,) = tx.duties.of_source(self.source, self.duty.span)
        return duty.state


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path)
    yield store
    store.catalogue.close()


def test_what_is_deposited_leaves_the_spool(store: Store) -> None:
    """Vault and catalogue have every segment, and the catalogue knows that there are no more."""
    folder = store.record()
    cut = folder.segments
    store.keeper.run_once()
    assert cut is not None
    assert [each.seq for each in store.segments()] == list(range(cut))
    assert all(store.vault.stat(each.key).digest == each.digest for each in store.segments())
    with store.catalogue.reading() as tx:
        (row,) = tx.recordings.touching(store.source, store.duty.span)
    assert (row.segments, row.deposited, row.duty) == (cut, cut, store.duty.id)
    assert not folder.path.exists()
    assert depth([store.spool]).segments == 0


def test_a_vault_that_is_away_costs_nothing(store: Store) -> None:
    """The files stay, the catalogue knows of the recording, and facts don't wait."""
    folder = store.record()
    store.desk.state_outage(store.outage())
    store.away = True
    for _ in range(2):
        with pytest.raises(VaultUnavailableError):
            store.keeper.run_once()
    with store.catalogue.reading() as tx:
        (row,) = tx.recordings.touching(store.source, store.duty.span)
        assert tx.outages.touching(store.source, store.duty.span) == [store.outage()]
    waiting = depth([store.spool])
    assert (row.segments, waiting.segments) == (None, len(folder.finished()))
    assert waiting.size > 0
    assert waiting.oldest is not None
    store.away = False
    store.keeper.run_once()
    assert len(store.segments()) == waiting.segments


@pytest.mark.parametrize("damage", ["fact", "closed.json", "recording.json", "no recording.json"])
def test_a_damaged_document_holds_up_nothing_else(store: Store, damage: str) -> None:
    """It stays for a person to look at; what other recordings hold is deposited, other facts are committed."""
    damaged = store.record()
    store.desk.state_outage(store.outage())
    whole = store.record()
    if damage == "fact":
        (store.spool.path / "facts" / f"{new_id()}.json").write_bytes(bytes(7))
    elif damage.startswith("no "):
        (damaged.path / "recording.json").unlink()
    else:
        (damaged.path / damage).write_bytes(bytes(7))
    for _ in range(2):
        store.keeper.run_once()
    assert whole.id in {each.recording for each in store.segments()}
    assert not whole.path.exists()
    assert damaged.path.exists() is (damage != "fact")
    assert len(store.events(EventType.GAP_STATED)) == 1


def test_tampered_bytes_are_parked_and_the_others_go_on(store: Store) -> None:
    """The file stays, one event says so, also after a restart of the keeper."""
    bad, good = store.record(), store.record()
    tampered = bad.finished()[0].media
    data = bytearray(tampered.read_bytes())
    data[-1] ^= 1
    tampered.write_bytes(data)
    store.keeper.run_once()
    store.keeper.run_once()
    store.new_keeper().run_once()
    (event,) = store.events(EventType.TAMPER_FOUND)
    assert str(event["object"]).endswith(f"{bad.id}/00000000.mp4")
    assert tampered.exists()
    assert not good.path.exists()
    assert depth([store.spool]).segments == 1


def test_a_fact_is_committed_once(store: Store) -> None:
    """Also when the keeper died between the commit and the removal of its file."""
    for _ in range(2):
        store.desk.state_outage(store.outage())
        store.keeper.run_once()
    assert len(store.events(EventType.GAP_STATED)) == 1
    assert store.spool.facts() == []


def test_a_clock_step_is_an_event(store: Store) -> None:
    """On the archive's own chain."""
    store.desk.state_clock_step(CLOCK.now(), -3600.25)
    store.keeper.run_once()
    assert store.events(EventType.CLOCK_STEPPED, "system") == [{"worker": store.spool.worker, "offset_s": -3600.25}]


def test_a_duty_ends_when_its_recordings_have(store: Store) -> None:
    """Not while one is still unfinished on disk, so that no seal misses it."""
    folder = store.record()
    closed = folder.path / "closed.json"
    aside = closed.read_bytes()
    closed.unlink()
    store.desk.state_duty_ended(store.duty)
    store.keeper.run_once()
    assert store.state() is DutyState.HELD
    closed.write_bytes(aside)
    store.keeper.run_once()
    assert store.state() is DutyState.ENDED
    assert store.spool.facts() == []


def test_an_extended_duty_does_not_end(store: Store) -> None:
    """Its worker, which renews it, records on."""
    with store.catalogue.transaction() as tx:
        later = Interval(store.duty.span.start, store.duty.span.end + timedelta(seconds=30))
        (duty,) = tx.duties.of_source(store.source, later)
        tx.duties.put(Duty(duty.id, "centre", SITE, duty.location, store.source, later, DutyState.HELD))
    store.desk.state_duty_ended(store.duty)
    store.keeper.run_once()
    assert store.state() is DutyState.HELD
    assert store.spool.facts() == []


def test_an_old_epoch_ends_nothing(store: Store) -> None:
    """Another worker took the duty over (I6); the old one's footage is deposited all the same."""
    store.record()
    store.desk.state_duty_ended(store.duty)
    store.claim()
    store.keeper.run_once()
    assert store.state() is DutyState.HELD
    assert len(store.segments()) > 0
