"""An installation as its users meet it: by the command line, and by the HTTP API of an `archiver up`."""

import io
import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import httpx

from api import cli
from tests.installation import House, until

START_S = 30


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command gave back."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The one JSON document on stdout."""
        return json.loads(self.out)

    @property
    def wrong(self) -> Mapping[str, str]:
        """The fields of the input that the answer names, with what is wrong with each."""
        fields: dict[str, str] = self.document["error"]["errors"]
        return fields


def archiver(*words: object, home: Path | None = None, typed: str = "") -> Answer:
    """Run one command in this process, `typed` on its standard input; with a home as if ARCHIVER_HOME named it."""
    out, err = io.StringIO(), io.StringIO()
    at = [] if home is None else ["--home", str(home)]
    with patch.object(sys, "stdin", io.StringIO(typed)), redirect_stdout(out), redirect_stderr(err):
        code = cli.main([*map(str, words), *at])
    return Answer(code, out.getvalue(), err.getvalue())


def asked(*words: object, home: Path | None = None, typed: str = "") -> Any:
    """The document of a command that must succeed."""
    answer = archiver(*words, "--json", home=home, typed=typed)
    assert answer.code == 0, answer
    return answer.document


@contextmanager
def api_of(house: House) -> Iterator[httpx.Client]:
    """The API of the `archiver up` that runs on a home, with its first token."""
    note = house.home / "api"

    def address() -> str:
        with suppress(FileNotFoundError):
            return note.read_text().strip()
        return ""

    token = (house.home / "token").read_text().strip()
    base = f"{until(address, START_S)}/api/v1"
    with httpx.Client(base_url=base, headers={"Authorization": f"Bearer {token}"}, timeout=START_S) as client:
        until(lambda: _answers(client), START_S)
        yield client


def _answers(client: httpx.Client) -> bool:
    with suppress(httpx.TransportError):
        return client.get("/healthz").status_code in (200, 404)
    return False
