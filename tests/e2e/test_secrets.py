"""Cameras that fail in every way, with a secret in each part of their addresses: nobody gets to read it (I10).

What goes wrong is what is told, logged and stated; so here is where an address would escape.
"""

import base64
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

import pytest

from archiver.vocabulary import GapCause
from ingest.cameras.background import BackgroundFarm
from ingest.cameras.codecs import AudioCodec, VideoCodec
from ingest.cameras.digest import Login
from ingest.cameras.farm import CameraSpec, FarmOptions
from tests import leaks
from tests.installation import CHECKOUT, SMALL, House, house, until
from tests.running import api_of

WINDOW_S = 10.0
LOGIN = Login("cam-user-Kw3", "cam:pass.Zq8+x")
PARTS = ("us3r-Nb4x", "pa55:Vt6=y", "pa7h-Hc9m", "qu3ry-Lj2w")


def address(where: str, scheme: str = "rtsp", login: Login | None = None) -> str:
    """An address on `where` (host:port) with a secret in each part; by the right login, only the path is wrong."""
    user, password, path, query = PARTS
    login = login or Login(user, quote(password, safe=""))
    return f"{scheme}://{login.user}:{login.password}@{where}/{path}/live?token={query}"


@dataclass(frozen=True)
class Failed:
    """What a window of failures left, and what could be seen meanwhile."""

    house: House
    causes: Mapping[str, set[GapCause]]
    shown: leaks.Places
    answers: leaks.Places


@pytest.fixture(scope="module")
def failed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Failed]:
    spec = CameraSpec("cam", VideoCodec.H264, AudioCodec.AAC, SMALL)
    with BackgroundFarm([spec], FarmOptions(login=LOGIN)) as farm, socket.create_server(("127.0.0.1", 0)) as silent:
        good = urlsplit(farm.urls["cam"])
        there = f"{good.hostname}:{good.port}"
        urls = {
            "no-such-path": address(there, login=LOGIN),
            "wrong-password": address(there),
            "away": address("127.0.0.1:9"),
            "no-tls": address(there, "rtsps"),
            "silent": address(f"127.0.0.1:{silent.getsockname()[1]}"),
        }
        settings = '[log]\nlevel = "debug"\n'
        with house(tmp_path_factory.mktemp("secrets") / "home", urls, settings) as home:
            home.start()
            home.one("recorder")
            with leaks.watched(home) as shown:
                capture = home.book(WINDOW_S)
                answers = dict(preflights(home))
                sealed = home.sealed(capture.id, 90)
                answers |= faces(home, sealed.id)
            until(lambda: not home.spooled())
            gaps = {each.source: {gap.cause for gap in each.gaps} for each in home.statements(sealed.id)}
            yield Failed(home, {name: gaps[id] for name, id in home.sources.items()}, dict(shown), answers)


def preflights(home: House) -> Iterator[tuple[str, bytes]]:
    """What `source test` says of each, run as a process of its own."""
    for name, id in home.sources.items():
        words = [sys.executable, "-m", "api", "source", "test", id, "--json"]
        environment = {**os.environ, "ARCHIVER_HOME": str(home.home)}
        done = subprocess.run(words, cwd=CHECKOUT, env=environment, capture_output=True, check=False)
        assert done.returncode == 5, done
        yield f"source test {name}", done.stdout + done.stderr


def faces(home: House, capture: str) -> dict[str, bytes]:
    """What the API answers to whoever may ask."""
    routes = ["/sources", "/captures", "/projects", "/locations", "/search", f"/captures/{capture}"]
    routes += [f"/captures/{capture}/{part}" for part in ("coverage", "custody", "seal")]
    with api_of(home) as client:
        answers = {route: client.get(route) for route in routes}
        test = f"/sources/{home.sources['wrong-password']}/test"
        answers[test] = client.post(test)
    assert {answer.status_code for answer in answers.values()} == {200}
    return {route: answer.content for route, answer in answers.items()}


def test_each_failure_is_stated_with_its_cause(failed: Failed) -> None:
    """A window that caught nothing is sealed, and says of every source why."""
    assert failed.causes["wrong-password"] >= {GapCause.AUTH_FAILED}
    for name in ("away", "no-such-path", "no-tls", "silent"):
        assert failed.causes[name] & {GapCause.UNREACHABLE, GapCause.STALLED, GapCause.LOST}, failed.causes


def test_no_part_of_an_address_is_written(failed: Failed) -> None:
    """Neither in a log (at its most talkative), nor in an event, the database, the spool or the vault; and the token
    only in its own file.
    """
    places = leaks.written(failed.house.home)
    token = (failed.house.home / "token").read_text().strip()
    assert len(places) > 30 and len(places["dump"]) > 10_000 and len(failed.house.log()) > 1_000
    secrets = {*PARTS, LOGIN.user, LOGIN.password}
    assert leaks.found({*secrets, token}, places) == {(str(failed.house.home / "token"), token)}


def test_no_part_of_an_address_is_shown(failed: Failed) -> None:
    """Neither in the arguments or the environment of any process, of which there were many, nor on any face."""
    assert len({place.split()[0].split("/")[2] for place in failed.shown}) > 10
    assert leaks.found({*PARTS, LOGIN.user, LOGIN.password}, {**failed.shown, **failed.answers}) == set()


@pytest.mark.parametrize("secret", ["pa55:Vt6=y", "a?b/c d"])
@pytest.mark.parametrize("before", ["", "r", "rt", "rts"])
def test_a_leak_would_be_found(secret: str, before: str) -> None:
    """The search itself: in plain text, percent-encoded in whole or in part, and anywhere inside base64."""
    text = f"{before}{secret}@host"
    written = (text, quote(text), quote(text, safe=":=@"))
    for data in [*(each.encode() for each in written), base64.b64encode(text.encode()), text.encode().hex().encode()]:
        assert leaks.found([secret], {"log": b"..." + data + b"..."}) == {("log", secret)}
