"""Files that survive a power cut: written beside their place, made durable, then moved there; folders too."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import NamedTemporaryFile

PRIVATE_FOLDER = 0o700
READ_ONLY = 0o444
SECRET = 0o600


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def make_folders(folder: Path) -> None:
    """Make `folder` and what leads to it, private to the archive's user, each durable in the folder above."""
    if folder.is_dir():
        return
    make_folders(folder.parent)
    with suppress(FileExistsError):
        folder.mkdir(mode=PRIVATE_FOLDER)
    sync_folder(folder.parent)


@contextmanager
def temporary(folder: Path) -> Iterator[tuple[int, Path]]:
    """A new file in `folder`, as descriptor and path; whatever still has that name at the end is removed."""
    with NamedTemporaryFile(dir=folder, prefix="new-", delete=False) as file:
        path = Path(file.name)
        try:
            yield file.fileno(), path
        finally:
            path.unlink(missing_ok=True)


def write_all(handle: int, data: bytes | memoryview) -> None:
    """Write every byte, however many calls it takes."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(handle, rest) :]


def replace_file(path: Path, data: bytes, mode: int) -> None:
    """Give `path` new content at once and durably: a reader sees the old or the new, never a part."""
    with temporary(path.parent) as (handle, new):
        write_all(handle, data)
        os.fchmod(handle, mode)
        os.fsync(handle)
        new.replace(path)
    sync_folder(path.parent)


def create_file(path: Path, data: bytes, mode: int) -> None:
    """As `replace_file`, but FileExistsError if something is there: of two that create, one wins whole."""
    with temporary(path.parent) as (handle, new):
        write_all(handle, data)
        os.fchmod(handle, mode)
        os.fsync(handle)
        path.hardlink_to(new)
    sync_folder(path.parent)
