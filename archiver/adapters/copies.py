"""Browser copies in a folder of their own, each with an index of its fragments: the Copies port."""

import logging
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import file_digest, sha256
from pathlib import Path

from archiver import canonical, sidecar
from archiver.adapters.durable import make_folders, replace_file, sync_folder, temporary
from archiver.errors import FormatError, MediaError, NotFoundError, UnavailableError
from archiver.mp4.fragments import Fragment
from archiver.mp4.index import IndexedFragment
from archiver.mp4.reader import FragmentReader

PIECE = 2**20
INDEX = ".index"
PRIVATE = 0o600
STALE_S = 86400.0
SPARED = 2**30
"""What a copy leaves free on its disk (bytes): the spool may lie there too."""

log = logging.getLogger(__name__)


class CopyFolder:
    """`<name>.mp4` and `<name>.index` (the init's size, 4 bytes, then a packed fragment index)."""

    def __init__(self, folder: Path, spared: int = SPARED) -> None:
        self._folder = folder
        self._spared = spared
        self._checked: dict[str, tuple[tuple[str, int, int], bool]] = {}

    def holds(self, name: str, digest: str) -> bool:
        """Whether the copy is there with its bytes as they were made. Read once; again when the file has changed."""
        try:
            status = self._path(name).stat()
            seen = (digest, status.st_size, status.st_mtime_ns)
            before, right = self._checked.get(name, (None, False))
            if before != seen:
                right = self._is_right(name, digest)
                self._checked[name] = seen, right
            return right and self._path(name).with_suffix(INDEX).exists()
        except FileNotFoundError:
            return False

    def _is_right(self, name: str, digest: str) -> bool:
        with self._path(name).open("rb") as file:
            found = canonical.digest_text(file_digest(file, "sha256").hexdigest())
        try:
            if found == digest:
                self.read_index(name)
                return True
            log.warning("TAMPERED: the browser copy %s has %s, not %s: it is to be made again", name, found, digest)
        except (NotFoundError, FormatError, MediaError) as problem:
            log.warning("the index of the browser copy %s can't be read: %s: it is to be made again", name, problem)
        return False

    @contextmanager
    def making(self, name: str, room: int) -> Iterator[Path]:
        make_folders(self._folder)
        self._tidy()
        self._find_room(name, room)
        with temporary(self._folder) as (handle, path):
            yield path
            os.fsync(handle)
            path.replace(self._path(name))
            sync_folder(self._folder)

    def _tidy(self) -> None:
        """Remove what a killed process left half written long ago."""
        for path in self._folder.glob("new-*"):
            if time.time() - path.stat().st_mtime > STALE_S:
                path.unlink(missing_ok=True)

    def _find_room(self, name: str, room: int) -> None:
        free = shutil.disk_usage(self._folder).free - self._spared
        if free < room:
            needed = f"{room // 2**20} MiB and {self._spared // 2**20} MiB to spare"
            raise UnavailableError(f"no room for the browser copy {name}: it needs {needed}; make room on the disk")

    def index(self, name: str) -> tuple[str, int]:
        reader, whole = FragmentReader(), sha256()
        entries: list[IndexedFragment] = []
        at = size = 0
        with self._path(name).open("rb") as file:
            while piece := file.read(PIECE):
                whole.update(piece)
                size += len(piece)
                for part in reader.feed(piece):
                    if isinstance(part, Fragment):
                        entries.append(IndexedFragment.of(part, at))
                    at += len(part.data)
        if reader.init is None or not entries or reader.pending_size:
            raise MediaError(f"the copy {name} is no whole media file: it will be made again")
        head = len(reader.init.data).to_bytes(4, "big")
        replace_file(self._path(name).with_suffix(INDEX), head + sidecar.pack(entries), PRIVATE)
        return canonical.digest_text(whole.hexdigest()), size

    def read_index(self, name: str) -> tuple[bytes, Sequence[IndexedFragment]]:
        try:
            data = self._path(name).with_suffix(INDEX).read_bytes()
        except FileNotFoundError:
            raise NotFoundError(f"the copy {name} has no index: it will be made again") from None
        init = b"".join(self.read(name, 0, int.from_bytes(data[:4], "big")))
        return init, sidecar.unpack(data[4:])

    def read(self, key: str, offset: int = 0, length: int | None = None, version: str | None = None) -> Iterator[bytes]:
        """As a vault reads; a copy has one version."""
        try:
            file = self._path(key).open("rb")
        except FileNotFoundError:
            raise NotFoundError(f"there is no copy {key}: it will be made again") from None
        with file:
            left = os.fstat(file.fileno()).st_size - offset if length is None else length
            file.seek(offset)
            while left > 0 and (piece := file.read(min(PIECE, left))):
                left -= len(piece)
                yield piece

    def _path(self, name: str) -> Path:
        canonical.digest_hex(f"sha256:{name}")
        return self._folder / f"{name}.mp4"
