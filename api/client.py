"""A small client of the archive's own HTTP API, for the demo: what a script of a user would do."""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import IO, Any, cast

from archiver.errors import ArchiverError, UnavailableError

TIMEOUT_S = 30.0
POLL_S = 0.25


class AnswerError(ArchiverError):
    """The API answered with a problem."""

    code = "ANSWER"


class Client:
    """`address` is http://host:port; `token` goes with every request."""

    def __init__(self, address: str, token: str) -> None:
        self.address = address
        self._base = f"{address}/api/v1"
        self._token = token

    def get(self, path: str) -> Any:
        with self.open("GET", path) as answer:
            return json.load(answer)

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        with self.open("POST", path, body) as answer:
            return json.load(answer)

    def patch(self, path: str, body: Mapping[str, Any]) -> Any:
        with self.open("PATCH", path, body) as answer:
            return json.load(answer)

    @contextmanager
    def open(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Iterator[IO[bytes]]:
        """The answer's body. AnswerError with the problem's words; UnavailableError if nobody answers."""
        data = None if body is None else json.dumps(body).encode()
        url = path if path.startswith("http") else self._base + path.removeprefix("/api/v1")
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        asked = urllib.request.Request(url, data, headers, method=method)  # noqa: S310 - our own API
        try:
            with urllib.request.urlopen(asked, timeout=TIMEOUT_S) as answer:  # noqa: S310
                yield cast(IO[bytes], answer)
        except urllib.error.HTTPError as error:
            raise AnswerError(f"{method} {path}: {error.code}: {error.read().decode(errors='replace')}") from None
        except OSError as error:
            raise UnavailableError(f"{method} {path}: nobody answers: {error}") from None


def wait_for(what: str, limit_s: float, look: Callable[[], Any]) -> Any:
    """The first answer of `look` that is true. UnavailableError, saying what was waited for, after `limit_s`."""
    deadline = time.monotonic() + limit_s
    while not (answer := look()):
        if time.monotonic() > deadline:
            raise UnavailableError(f"{what}: not within {limit_s:.0f} s")
        time.sleep(POLL_S)
    return answer
