"""The vault on a local directory: write-once by software.

    objects/<key>   the bytes, 0444, never changed
    locks/<key>     the lock record: version, size, digest, retention date; only ever made later
    incoming/       what is being written; nothing here is an object
    last_seen       the latest time that the vault has known

Nothing in it names its own place, so the folder may be copied. The lock is made before the object appears: what can be
seen is locked, and a put that was cut off is completed by being repeated (I3).
"""

import errno
import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from stat import S_ISREG

from archiver import canonical, keys, times
from archiver.adapters.durable import (
    READ_ONLY,
    SECRET,
    make_folders,
    replace_file,
    sync_folder,
    temporary,
    write_all,
)
from archiver.documents import VERSION, Fields
from archiver.errors import FormatError, InputError, NotFoundError, RetentionError, TamperError, VaultUnavailableError
from archiver.ports import Clock
from archiver.values import Stored
from archiver.vocabulary import VaultLabel

PIECE = 2**20
"""Bytes that are read at once."""

RESERVE = 64 * 2**20
"""With less room than this (bytes) the vault says that it is full, before a put fails."""

_MAX_LOCK = 4096
_STALE = timedelta(days=1)
_ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EISDIR)

Step = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class _Lock:
    version: str
    size: int
    digest: str
    retain_until: datetime

    def to_bytes(self) -> bytes:
        return canonical.encode(
            {
                "v": VERSION,
                "version": self.version,
                "size": self.size,
                "sha256": self.digest,
                "retain_until": times.to_text(self.retain_until),
            }
        )

    @classmethod
    def parse(cls, data: bytes) -> "_Lock":
        fields = Fields.versioned("lock", canonical.decode(data, _MAX_LOCK))
        return cls(fields.text("version"), fields.count("size"), fields.digest("sha256"), fields.moment("retain_until"))


class LocalVault:
    """`ports.Vault` on `folder`. Nothing is made there before the first put, so a vault on read-only media can be read.

    `at_step` is told each step of a put as it is done, for tests that end the process there.
    """

    label = VaultLabel.SOFTWARE

    def __init__(self, folder: Path, clock: Clock, at_step: Step = lambda step: None) -> None:
        self._folder = folder
        self._objects = folder / "objects"
        self._locks = folder / "locks"
        self._incoming = folder / "incoming"
        self._clock = clock
        self._at_step = at_step
        self._prepared = False

    # -------------------------------------------------------------- writing

    def put(self, key: str, data: bytes | Path, *, digest: str, retain_until: datetime) -> Stored:
        keys.check(key)
        canonical.digest_hex(digest)
        until = _whole_seconds(retain_until)
        if isinstance(data, Path) and not data.is_file():
            raise NotFoundError(f"{data}, to be stored as {key}, is not there")
        with _told(key, absent=False):
            self._prepare()
            with temporary(self._incoming) as (handle, new):
                found, size = _copy(data, handle)
                if found != digest:
                    raise TamperError(f"{key}: the bytes to be stored have {found}, not {digest}; nothing was stored")
                os.fchmod(handle, READ_ONLY)
                os.fsync(handle)
                self._at_step("copied")
                # Derived from the content, so that an object whose lock record was lost gets the same again.
                lock = _Lock(canonical.digest_hex(digest)[:32], size, digest, until)
                with self._alone():
                    self._note_time()
                    self._place(key, new, lock)
            return self.stat(key)

    def _place(self, key: str, new: Path, lock: _Lock) -> None:
        target = self._objects / key
        if target.exists():
            self._repeat(key, lock)
            return
        self._write_lock(key, lock)
        self._at_step("locked")
        make_folders(target.parent)
        target.hardlink_to(new)
        self._at_step("linked")
        self._sync(target.parent)
        self._at_step("durable")

    def _repeat(self, key: str, lock: _Lock) -> None:
        """A put of a key that is there already: the bytes on the disk must be the ones that are put again."""
        known = self._lock(key)
        found = _digest(self._pieces(key))
        if found != lock.digest or (known and known.digest != lock.digest):
            raise TamperError(f"{key} was put as {known.digest if known else found} and is {found}, not {lock.digest}")
        self._sync((self._objects / key).parent)
        if known is None or known.retain_until < lock.retain_until:
            self._write_lock(key, lock)

    def extend(self, key: str, version: str, retain_until: datetime) -> Stored:
        until = _whole_seconds(retain_until)
        with _told(key), self._alone():
            stored = self.stat(key, version)
            if stored.retain_until is None:
                # Made anew from what is on the disk: that nothing was altered is verification's to say.
                self._write_lock(key, _Lock(stored.version, stored.size, stored.digest, until))
            elif stored.retain_until < until:
                known = self._lock(key)
                assert known is not None  # noqa: S101 - stat has just read it, and we are alone
                self._write_lock(key, replace(known, retain_until=until))
            return self.stat(key, version)

    def delete(self, key: str, version: str) -> None:
        with _told(key), self._alone():
            stored = self.stat(key, version)
            if stored.retain_until is None:
                raise RetentionError(f"{key} has no readable lock, so its date isn't known; extend it first")
            now, seen = self._clock.now(), self._last_seen()
            if seen is None or now < seen:
                raise RetentionError(f"{key}: the clock says {now}, the vault last saw {seen}; set the clock right")
            if now < stored.retain_until:
                raise RetentionError(f"{key} is kept until {times.to_text(stored.retain_until)}")
            self._note_time()
            (self._objects / key).unlink()
            sync_folder((self._objects / key).parent)
            (self._locks / key).unlink()

    def check(self) -> None:
        with _told("the vault", absent=False):
            self._prepare()
            room = os.statvfs(self._folder)
            if room.f_bavail * room.f_frsize < RESERVE:
                raise VaultUnavailableError(f"the vault has less than {RESERVE} bytes of room: make room or move it")
            with temporary(self._incoming) as (handle, _):
                write_all(handle, b"check")
                os.fsync(handle)

    # -------------------------------------------------------------- reading

    def stat(self, key: str, version: str | None = None) -> Stored:
        keys.check(key)
        with _told(key):
            found = (self._objects / key).lstat()
            if not S_ISREG(found.st_mode):
                raise _missing(key)
            lock = self._lock(key)
            digest = lock.digest if lock else _digest(self._pieces(key))
        known = lock.version if lock else canonical.digest_hex(digest)[:32]
        if version not in (None, known):
            raise NotFoundError(f"the vault has {key} as version {known}, not {version}")
        return Stored(key, known, found.st_size, digest, lock.retain_until if lock else None)

    def read(self, key: str, offset: int = 0, length: int | None = None, version: str | None = None) -> Iterator[bytes]:
        if offset < 0 or (length is not None and length < 0):
            raise InputError(f"{key}: a range can't be negative: {offset}, {length}")
        self.stat(key, version)
        return self._pieces(key, offset, length)

    def _pieces(self, key: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        with _told(key):
            handle = os.open(self._objects / key, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            left = length
            while left is None or left > 0:
                with _told(key):
                    piece = os.pread(handle, PIECE if left is None else min(PIECE, left), offset)
                if not piece:
                    return
                yield piece
                offset += len(piece)
                left = None if left is None else left - len(piece)
        finally:
            os.close(handle)

    def list(self, prefix: str = "") -> Iterator[Stored]:
        start = prefix.removesuffix("/")
        if start:
            keys.check(start)
        if self._folder.exists() and not self._folder.is_dir():
            raise VaultUnavailableError(
                f"the vault's place {self._folder} is no folder: mount its disk, or mend the path"
            )
        root = self._objects / start
        if root.is_file():
            yield self.stat(start)
        for key in _walk(root, f"{start}/" if start else ""):
            yield self.stat(key) if keys.is_safe(key) else _stranger(key)

    # -------------------------------------------------------------- inside

    def _prepare(self) -> None:
        """Make the folders, and once a process remove what a put that was cut off left in `incoming`: copies, whose
        originals are removed only after a put that succeeded."""
        if self._prepared:
            return
        for folder in (self._objects, self._locks, self._incoming):
            make_folders(folder)
        before = (self._clock.now() - _STALE).timestamp()
        for path in self._incoming.iterdir():
            if path.stat().st_mtime < before:
                path.unlink(missing_ok=True)
        self._prepared = True

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """One process and thread at a time changes locks."""
        make_folders(self._folder)
        handle = os.open(self._folder / "mutex", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, SECRET)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def _sync(self, folder: Path) -> None:
        """Make the way to `folder` durable: a process that was killed may have left folders that weren't yet."""
        for each in (folder, *folder.parents):
            sync_folder(each)
            if each == self._folder:
                return

    def _lock(self, key: str) -> _Lock | None:
        """The lock record; None if there is none that can be read."""
        try:
            return _Lock.parse((self._locks / key).read_bytes())
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError, FormatError):
            return None

    def _write_lock(self, key: str, lock: _Lock) -> None:
        path = self._locks / key
        make_folders(path.parent)
        replace_file(path, lock.to_bytes(), READ_ONLY)
        self._sync(path.parent)
        if self._lock(key) != lock:
            raise VaultUnavailableError(f"{key}: the lock that was written can't be read back; check the disk")

    def _last_seen(self) -> datetime | None:
        try:
            return times.from_text((self._folder / "last_seen").read_text())
        except (FileNotFoundError, ValueError):
            return None

    def _note_time(self) -> None:
        """Remember the latest time; kept to the minute, as each note costs a flush."""
        now, seen = self._clock.now(), self._last_seen()
        if seen is None or now > seen + timedelta(minutes=1):
            replace_file(self._folder / "last_seen", times.to_text(now).encode(), SECRET)


def _copy(data: bytes | Path, handle: int) -> tuple[str, int]:
    """Write `data` to `handle`; the digest and number of the bytes written."""
    hashing, size = sha256(), 0
    for piece in [data] if isinstance(data, bytes) else _file_pieces(data):
        hashing.update(piece)
        write_all(handle, piece)
        size += len(piece)
    return canonical.digest_text(hashing.hexdigest()), size


def _file_pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb", buffering=0) as file:
        while piece := file.read(PIECE):
            yield piece


def _digest(pieces: Iterator[bytes]) -> str:
    hashing = sha256()
    for piece in pieces:
        hashing.update(piece)
    return canonical.digest_text(hashing.hexdigest())


def _walk(folder: Path, prefix: str) -> Iterator[str]:
    """Keys below `folder` in order of the whole key, as an object store lists them."""
    with _told(prefix):
        try:
            with os.scandir(folder) as entries:
                found = [
                    (entry.name, entry.is_dir(follow_symlinks=False), entry.is_file(follow_symlinks=False))
                    for entry in entries
                ]
        except (FileNotFoundError, NotADirectoryError):
            return
    for name, is_folder, is_file in sorted(found, key=lambda each: each[0] + "/" * each[1]):
        if is_folder:
            yield from _walk(folder / name, f"{prefix}{name}/")
        elif is_file:
            yield prefix + name


def _stranger(name: str) -> Stored:
    """A file whose name no put can have given: it is listed, escaped, and can't be read through the port."""
    shown = name.encode(errors="surrogateescape").decode("ascii", "backslashreplace")
    return Stored(shown.encode("unicode_escape").decode(), "", 0, "", None)


def _whole_seconds(moment: datetime) -> datetime:
    """Rounded up, as an object store keeps it."""
    moment = times.utc(moment)
    return moment if moment.microsecond == 0 else moment.replace(microsecond=0) + timedelta(seconds=1)


def _missing(key: str) -> NotFoundError:
    return NotFoundError(f"the vault has no {key}")


@contextmanager
def _told(key: str, absent: bool = True) -> Iterator[None]:
    """Errors of the file system as the port's; with `absent`, what isn't there is an object that isn't."""
    try:
        yield
    except OSError as problem:
        if absent and problem.errno in _ABSENT:
            raise _missing(key) from problem
        raise VaultUnavailableError(
            f"{key}: {problem.strerror or problem}; free or mend the disk and retry"
        ) from problem
