"""Where the server listens."""

import socket
from collections.abc import Iterator

import pytest

from archiver.errors import UnavailableError
from config.serving import usable_port

HOST = "127.0.0.1"


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server((HOST, 0)) as server:
        yield server.getsockname()[1]


def test_a_port_that_another_program_has_is_named(taken: int) -> None:
    """With what to do, instead of a panic of the server."""
    with pytest.raises(UnavailableError, match=rf"http://{HOST}:{taken}: .*; set api\.listen"):
        usable_port(HOST, taken)


def test_port_0_takes_a_free_one(taken: int) -> None:
    """Any but one that is taken; a port that is given and free stays."""
    free = usable_port(HOST, 0)
    assert free not in (0, taken)
    assert usable_port(HOST, free) == free


def test_a_host_that_is_not_this_machine_is_named() -> None:
    """An address of another machine can't be listened on."""
    with pytest.raises(UnavailableError, match=r"http://192\.0\.2\.1:8080"):
        usable_port("192.0.2.1", 8080)
