"""Exports on a local folder: the Shelf port."""

import os
from collections.abc import Iterable, Iterator
from hashlib import sha256
from pathlib import Path

from archiver.canonical import digest_text
from archiver.errors import NotFoundError

PIECE = 2**20


class FolderShelf:
    """One folder for each export, made when it is needed."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def write(self, folder: str, name: str, pieces: Iterable[bytes]) -> tuple[str, int]:
        target = self._path(folder, name)
        target.parent.mkdir(parents=True, exist_ok=True)
        digest, size = sha256(), 0
        part = target.with_name(target.name + ".part")
        with part.open("wb") as file:
            for piece in pieces:
                file.write(piece)
                digest.update(piece)
                size += len(piece)
            file.flush()
            os.fsync(file.fileno())
        part.replace(target)
        return digest_text(digest.hexdigest()), size

    def read(self, folder: str, name: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        left = self.size(folder, name) - offset if length is None else length
        return self._pieces(self._path(folder, name), offset, left)

    def size(self, folder: str, name: str) -> int:
        try:
            return self._path(folder, name).stat().st_size
        except FileNotFoundError:
            raise NotFoundError(f"export {folder} has no file {name}") from None

    def _pieces(self, path: Path, offset: int, left: int) -> Iterator[bytes]:
        with path.open("rb") as file:
            file.seek(offset)
            while left > 0 and (piece := file.read(min(PIECE, left))):
                left -= len(piece)
                yield piece

    def _path(self, folder: str, name: str) -> Path:
        """Only a plain name: no part of a path, nothing hidden."""
        if any(
            not part or part.startswith(".") or "/" in part or "\\" in part or "\0" in part for part in (folder, name)
        ):
            raise NotFoundError("there is no such file")
        return self._root / folder / name
