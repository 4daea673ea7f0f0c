"""Looks for a secret wherever an installation may have written or shown it, in every form that it could have."""

import base64
import sqlite3
import threading
import urllib.parse
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from tests.installation import House, family

Places = Mapping[str, bytes]
"""Where something was seen, and the bytes that were there."""


def forms(secret: str) -> set[bytes]:
    """The secret plain, percent-encoded, in hexadecimal, and inside whatever longer text was put into base64."""
    plain = secret.encode()
    quoted = {urllib.parse.quote(secret, safe=safe).encode() for safe in ("", "/", ":/?=&")}
    return {plain, plain.hex().encode(), *quoted, *_in_base64(plain)}


def _in_base64(plain: bytes) -> Iterator[bytes]:
    """What of it is the same whatever stands before and after: one text for each place in a group of three bytes."""
    for before in range(3):
        coded = base64.b64encode(bytes(before) + plain)
        whole = coded[-(-before * 8 // 6) : (before + len(plain)) * 8 // 6]
        yield whole
        yield whole.translate(bytes.maketrans(b"+/", b"-_"))


def found(secrets: Iterable[str], places: Places) -> set[tuple[str, str]]:
    """(where, which secret) of every sight of one, also after percent-decoding."""
    wanted = {secret: forms(secret) for secret in secrets}
    return {
        (where, secret)
        for where, data in places.items()
        for text in (data, urllib.parse.unquote_to_bytes(data))
        for secret, patterns in wanted.items()
        if any(pattern in text for pattern in patterns)
    }


def written(home: Path) -> Places:
    """Every file of a home (vault, spool, logs, exports, database), and the database as text."""
    files = {str(path): path.read_bytes() for path in home.rglob("*") if path.is_file()}
    with closing(sqlite3.connect(home / "catalogue.db")) as catalogue:
        # Undecodable text is looked at too, and a value that is split over pages is whole here.
        catalogue.text_factory = lambda data: data.decode(errors="surrogateescape")
        files["dump"] = "\n".join(catalogue.iterdump()).encode(errors="surrogateescape")
    return files


@contextmanager
def watched(house: House, every_s: float = 0.1) -> Iterator[dict[str, bytes]]:
    """What the processes of a house show to every other of the machine, looked at all the while."""
    seen: dict[str, bytes] = {}
    leaving = threading.Event()

    def look() -> None:
        while not leaving.wait(every_s):
            for each in list(house.processes):
                for pid in (each.pid, *family(each.pid)):
                    seen.update(_shown(pid))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        leaving.set()
        thread.join()


def _shown(pid: int) -> Iterator[tuple[str, bytes]]:
    """Arguments and environment. A process that has just become another shows new ones: both are kept."""
    for name in ("cmdline", "environ"):
        path = Path(f"/proc/{pid}/{name}")
        with suppress(OSError):
            data = path.read_bytes()
            yield f"{path} {hash(data)}", data
