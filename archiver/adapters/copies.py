"""Browser copies in a folder of their own, each with an index of its fragments: the Copies port."""

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import file_digest, sha256
from pathlib import Path

from archiver import canonical, sidecar
from archiver.adapters.durable import make_folders, replace_file, sync_folder, temporary
from archiver.errors import MediaError, NotFoundError
from archiver.mp4.fragments import Fragment
from archiver.mp4.index import IndexedFragment
from archiver.mp4.reader import FragmentReader

PIECE = 2**20
INDEX = ".index"
PRIVATE = 0o600
STALE_S = 86400.0


class CopyFolder:
    """`<name>.mp4` and `<name>.index` (the init's size, 4 bytes, then a packed fragment index)."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._checked: dict[str, tuple[str, int, int]] = {}

    def holds(self, name: str, digest: str) -> bool:
        """Whether the copy is there with its bytes as they were made. Read once; again when the file has changed."""
        path = self._path(name)
        try:
            status = path.stat()
            seen = (digest, status.st_size, status.st_mtime_ns)
            if self._checked.get(name) == seen:
                return True
            with path.open("rb") as file:
                right = canonical.digest_text(file_digest(file, "sha256").hexdigest()) == digest
        except FileNotFoundError:
            return False
        if right and path.with_suffix(INDEX).exists():
            self._checked[name] = seen
            return True
        return False

    @contextmanager
    def making(self, name: str) -> Iterator[Path]:
        make_folders(self._folder)
        self._tidy()
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
