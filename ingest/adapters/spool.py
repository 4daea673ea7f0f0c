"""The spool: what a worker has recorded and stated and the vault doesn't have yet, on the local disk.

    <spool>/<worker>/lock, worker.json
    <spool>/<worker>/<recording>/recording.json, arrivals, 00000000.mp4, 00000000.json, 00000001.mp4.part, closed.json
    <spool>/<worker>/facts/<id>.json, torn/

The recorder process writes, and its keeper reads and removes what is deposited. Nothing captured is deleted here
(I1): a torn tail moves to `torn`.
"""

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from pathlib import Path

from archiver import canonical
from archiver.adapters.durable import make_folders, replace_file, sync_folder, write_all
from archiver.errors import FormatError
from archiver.ids import NewId, is_id
from archiver.times import to_text
from archiver.values import Json, RecordingRow
from ingest.keeper import Finished
from ingest.spooled import (
    Arrival,
    Closed,
    RecordingHead,
    arrival_line,
    closed_bytes,
    head_bytes,
    parse_arrivals,
    parse_closed,
    parse_head,
)

MEDIA, PART, SIDECAR, TORN = ".mp4", ".mp4.part", ".json", ".torn"
PRIVATE = 0o600
_HEAD, _CLOSED, _ARRIVALS = "recording.json", "closed.json", "arrivals"
_DONE = ".done-"
_BEGUN = ".begun-"

Step = Callable[[str], None]
"""Called by name before each step that a crash may come between; fault tests die there."""


def no_step(name: str) -> None:
    """The hook of every day."""


def write_durably(path: Path, data: bytes) -> None:
    replace_file(path, data, PRIVATE)


class SegmentFile:
    """A segment being written: `<seq>.mp4.part` until it is finished (I2)."""

    def __init__(self, folder: Path, seq: int, step: Step) -> None:
        self._folder = folder
        self._name = f"{seq:08d}"
        self._step = step
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND
        self._descriptor = os.open(folder / (self._name + PART), flags, PRIVATE)

    def append(self, data: bytes) -> None:
        self._step("append")
        write_all(self._descriptor, data)

    def sync(self) -> None:
        self._step("sync")
        os.fdatasync(self._descriptor)

    def finish(self, sidecar: bytes) -> None:
        """The bytes last, then the name, then the sidecar."""
        self._step("segment fsync")
        os.fsync(self._descriptor)
        self.close()
        self._step("rename")
        name_finished(self._folder, self._name)
        self._step("sidecar")
        write_durably(self._folder / (self._name + SIDECAR), sidecar)
        self._step("finished")

    def close(self) -> None:
        """Leave the file as it is; again does nothing."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def name_finished(folder: Path, name: str) -> None:
    (folder / (name + PART)).rename(folder / (name + MEDIA))
    sync_folder(folder)


class RecordingFolder:
    """One recording in a spool."""

    def __init__(self, path: Path, step: Step = no_step) -> None:
        self.path = path
        self._step = step
        self._journal = -1

    @property
    def id(self) -> str:
        return self.path.name

    @property
    def head(self) -> RecordingHead:
        """FormatError if it can't be read."""
        return parse_head((self.path / _HEAD).read_bytes())

    # --- written by the recorder

    def start_segment(self, seq: int) -> SegmentFile:
        return SegmentFile(self.path, seq, self._step)

    def note_arrival(self, arrival: Arrival) -> None:
        """One line of the journal."""
        if self._journal < 0:
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
            self._journal = os.open(self.path / _ARRIVALS, flags, PRIVATE)
        write_all(self._journal, arrival_line(arrival))

    def sync_arrivals(self) -> None:
        if self._journal >= 0:
            os.fdatasync(self._journal)

    def let_go(self) -> None:
        """Close what is open here; again does nothing."""
        if self._journal >= 0:
            os.close(self._journal)
            self._journal = -1

    def keep_torn(self, seq: int, data: bytes) -> None:
        """Keep bytes that no segment can hold. The same bytes again are kept once, others beside them."""
        for number in count():
            path = self.path / (f"{seq:08d}-{number}" + TORN if number else f"{seq:08d}" + TORN)
            if not path.exists():
                write_durably(path, data)
                return
            if path.read_bytes() == data:
                return

    def close(self, closed: Closed) -> None:
        self._step("close")
        self.let_go()
        write_durably(self.path / _CLOSED, closed_bytes(closed))

    # --- read by the keeper and by salvage

    @property
    def row(self) -> RecordingRow:
        """As the catalogue is to know it."""
        head = self.head
        return RecordingRow(
            id=head.recording,
            organisation=head.organisation,
            site=head.site,
            source=head.source,
            duty=head.duty,
            worker=head.worker,
            epoch=head.epoch,
            opened_at=head.opened_at,
            segments=self.segments,
        )

    @property
    def segments(self) -> int | None:
        """How many were cut in all; None while it is written, or not yet salvaged."""
        closed = self.closed()
        return closed.segments if closed and not self.unfinished() else None

    def finished(self) -> list[Finished]:
        """What waits to be deposited, in order."""
        return [
            Finished(seq, self._file(seq, MEDIA), self._file(seq, SIDECAR).read_bytes())
            for seq in self.finished_numbers()
        ]

    def finished_numbers(self) -> list[int]:
        return [seq for seq in self._numbers(MEDIA) if self._file(seq, SIDECAR).exists()]

    def _numbers(self, suffix: str) -> list[int]:
        return sorted(int(path.name.removesuffix(suffix)) for path in self.path.glob("*" + suffix))

    def _file(self, seq: int, suffix: str) -> Path:
        return self.path / f"{seq:08d}{suffix}"

    def unfinished(self) -> list[int]:
        """Sequence numbers of segments that are still written, or whose writer died before their sidecar."""
        return sorted({*self._numbers(PART), *self._numbers(MEDIA)} - {*self.finished_numbers()})

    def unfinished_bytes(self, seq: int) -> bytes:
        """What there is of an unfinished segment."""
        part = self._file(seq, PART)
        return (part if part.exists() else self._file(seq, MEDIA)).read_bytes()

    def finish(self, seq: int, size: int, sidecar: bytes) -> None:
        """Finish a segment whose writer died, with its first `size` bytes; the rest must be kept already."""
        part = self._file(seq, PART)
        if part.exists():
            self._cut(part, size)
            self._step("rename")
            name_finished(self.path, f"{seq:08d}")
        self._step("sidecar")
        write_durably(self._file(seq, SIDECAR), sidecar)

    def drop_unfinished(self, seq: int) -> None:
        """Remove a part of which no fragment is whole; its bytes must be kept already."""
        self._file(seq, PART).unlink(missing_ok=True)
        sync_folder(self.path)

    def _cut(self, part: Path, size: int) -> None:
        self._step("segment fsync")
        descriptor = os.open(part, os.O_WRONLY)
        try:
            os.ftruncate(descriptor, size)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def arrivals(self) -> list[Arrival]:
        """What the journal of arrivals holds."""
        path = self.path / _ARRIVALS
        return parse_arrivals(path.read_bytes()) if path.exists() else []

    def closed(self) -> Closed | None:
        path = self.path / _CLOSED
        return parse_closed(path.read_bytes()) if path.exists() else None

    def torn(self) -> list[Path]:
        return sorted(self.path.glob("*" + TORN))

    # --- removed by the keeper

    def release(self, seq: int) -> None:
        """Remove a segment: the vault has confirmed it and the catalogue has committed its row (I1). Again does
        nothing."""
        self._step("spool removed")
        # In this order: media without a sidecar would look unfinished, a sidecar without media is nothing.
        self._file(seq, MEDIA).unlink(missing_ok=True)
        self._file(seq, SIDECAR).unlink(missing_ok=True)
        sync_folder(self.path)

    def remove(self) -> None:
        """Remove a closed recording that has no segment left; its torn tails move to the worker's `torn`."""
        if self.segments is None or self.finished_numbers():
            raise FormatError(f"recording {self.id} is not done: its folder stays")
        self._move_torn()
        done = self.path.with_name(_DONE + self.id)
        self.path.rename(done)
        sync_folder(done.parent)
        shutil.rmtree(done)

    def _move_torn(self) -> None:
        torn = self.torn()
        if not torn:
            return
        shelf = self.path.parent / "torn"
        make_folders(shelf)
        for path in torn:
            path.rename(shelf / f"{self.id}-{path.name}")
        sync_folder(shelf)


class Spool:
    """One worker's folder."""

    def __init__(self, path: Path, step: Step = no_step) -> None:
        self.path = path
        self._step = step

    @property
    def worker(self) -> str:
        return self.path.name

    def begin(self, head: RecordingHead) -> RecordingFolder:
        """A new recording's folder: there with its head, or not at all."""
        folder = self.path / head.recording
        begun = self.path / (_BEGUN + head.recording)
        begun.mkdir(mode=0o700)
        write_durably(begun / _HEAD, head_bytes(head))
        begun.rename(folder)
        sync_folder(self.path)
        return RecordingFolder(folder, self._step)

    def recordings(self) -> list[RecordingFolder]:
        """In the order in which they were begun."""
        return [RecordingFolder(path, self._step) for path in sorted(self.path.iterdir()) if is_id(path.name)]

    def recording(self, id: str) -> RecordingFolder:
        return RecordingFolder(self.path / id, self._step)

    def state_fact(self, id: str, fact: Json) -> None:
        """Facts are committed in the order of their ids."""
        make_folders(self.path / "facts")
        write_durably(self.path / "facts" / f"{id}.json", canonical.encode(fact))

    def facts(self) -> list[tuple[str, Json]]:
        paths = sorted((self.path / "facts").glob("*.json"))
        return [(path.stem, _fact(path)) for path in paths]

    def remove_fact(self, id: str) -> None:
        """Once the catalogue has committed it. Again does nothing."""
        (self.path / "facts" / f"{id}.json").unlink(missing_ok=True)
        sync_folder(self.path / "facts")

    def write_document(self, name: str, value: Json) -> None:
        """A document of the worker's own (`plan`, `outages`): `<name>.json`."""
        write_durably(self.path / f"{name}.json", canonical.encode(value))

    def read_document(self, name: str) -> Json | None:
        path = self.path / f"{name}.json"
        return canonical.decode_object(path.read_bytes()) if path.exists() else None

    def free_bytes(self) -> int:
        """What may still be written on its disk."""
        room = os.statvfs(self.path)
        return room.f_bavail * room.f_frsize

    def used_bytes(self) -> int:
        """What lies in it."""
        sizes = (entry.stat().st_size for entry in self.path.rglob("*") if entry.is_file())
        return sum(sizes)


def _fact(path: Path) -> Json:
    """A damaged file says nothing, and is no fact: it must not hide those after it."""
    try:
        return canonical.decode_object(path.read_bytes())
    except FormatError:
        return {}


@dataclass
class Spools:
    """All workers' folders of a home. A worker is alive while it holds its folder's lock."""

    path: Path
    step: Step = no_step
    _locks: dict[str, int] = field(default_factory=dict)

    def take(self, site: str, host: str, now: datetime, new_id: NewId) -> Spool:
        """This process's own: of the site's that nobody holds (their recordings are to be salvaged) the one that was
        last at work, whose duties may still be on lease; else a new one. The lock lasts as long as the process."""
        dead = [spool for spool in self.unheld() if (spool.read_document("worker") or {}).get("site") == site]
        if dead:
            own = max(dead, key=_last_taken)
            os.utime(own.path / "lock")
            return own
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self.path / new_id()
        make_folders(path)
        self._lock(path)
        spool = Spool(path, self.step)
        worker = {"v": 1, "worker": path.name, "site": site, "host": host, "started_at": to_text(now)}
        spool.write_document("worker", worker)
        return spool

    def unheld(self) -> Iterator[Spool]:
        """Spools of dead workers, each locked by this process as it is given out."""
        for spool in self.all():
            if spool.worker not in self._locks and self._lock(spool.path):
                self._tidy(spool.path)
                yield spool

    def others(self, own: Spool) -> list[Spool]:
        """Every dead worker's, held by this process from now on, so that it may salvage them."""
        for _ in self.unheld():
            pass
        return self.adopted(own)

    def free(self) -> set[str]:
        """The workers that are dead and whose spools nobody holds."""
        free = {spool.worker for spool in self.all() if spool.worker not in self._locks and self._lock(spool.path)}
        for worker in free:
            os.close(self._locks.pop(worker))
        return free

    def hold(self, worker: str) -> bool:
        """Hold a dead worker's spool from now on; False if another was faster."""
        spool = self.of(worker)
        if worker in self._locks or not self._lock(spool.path):
            return False
        self._tidy(spool.path)
        return True

    def adopted(self, own: Spool) -> list[Spool]:
        """Those that this process holds besides its own."""
        return [spool for spool in self.all() if spool.worker in self._locks and spool.worker != own.worker]

    def all(self) -> list[Spool]:
        """Every worker's, alive or not."""
        if not self.path.exists():
            return []
        return [Spool(path, self.step) for path in sorted(self.path.iterdir()) if is_id(path.name)]

    def of(self, worker: str) -> Spool:
        """A worker's, without asking for its lock: for its keeper."""
        return Spool(self.path / worker, self.step)

    def release(self) -> None:
        """Give up every lock."""
        for descriptor in self._locks.values():
            os.close(descriptor)
        self._locks.clear()

    def _lock(self, path: Path) -> bool:
        descriptor = os.open(path / "lock", os.O_RDWR | os.O_CREAT, PRIVATE)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        self._locks[path.name] = descriptor
        return True

    @staticmethod
    def _tidy(path: Path) -> None:
        """What a crash left of folders that were not yet, or no longer, recordings."""
        for left in (*path.glob(_DONE + "*"), *path.glob(_BEGUN + "*")):
            shutil.rmtree(left)


def _last_taken(spool: Spool) -> float:
    return (spool.path / "lock").stat().st_mtime
