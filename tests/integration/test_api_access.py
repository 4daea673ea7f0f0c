"""Who may ask the API for what, and what it answers to nonsense."""

import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fastapi.routing import APIRoute, RouteContext, iter_route_contexts
from httpx import Client

from api.deps import COOKIE_FREE, Needs, Public
from api.problems import problem
from api.web import words
from archiver.mistakes import Mistake
from archiver.vocabulary import EventType, Role
from tests.api_rig import ORIGIN, Api, client_of, open_api, services
from tests.archive_rig import Archive

UNSAFE = {"POST", "PUT", "PATCH", "DELETE"}
WORDS = [
    "",
    "0",
    "-1",
    "../../etc/passwd",
    "\x00",
    "开标",
    "a" * 3000,
    "null",
    "[]",
    "2026-13-40T99:00:00Z",
    "1e400",
    "%",
]
BODIES: list[Any] = [
    None,
    [],
    {},
    7,
    "x",
    {"a": {"b": []}},
    {"number": 1, "title": None},
    {"start": "9999-12-31T23:59:59Z"},
]


@pytest.fixture
def api(home: Path, archive: Archive) -> Api:
    return open_api(home, archive.clock)


@pytest.fixture
def client(api: Api) -> Iterator[Client]:
    with api.client() as client:
        yield client


def routes(api: Api) -> list[RouteContext]:
    found = [one for one in iter_route_contexts(api.app.routes) if isinstance(one.original_route, APIRoute)]
    assert len(found) > 30
    return found


def guards(route: RouteContext) -> list[object]:
    return [one.call for one in route.dependant.dependencies if isinstance(one.call, Needs | Public)]


def test_every_route_declares_the_permission_that_it_needs(api: Api) -> None:
    """A route that names neither a permission nor that anybody may is refused by this test."""
    assert [route.path for route in routes(api) if len(guards(route)) != 1] == []


def test_nothing_but_signing_in_and_health_is_public(api: Api) -> None:
    """The list of what anybody may ask is short, and written here."""
    public = {route.path for route in routes(api) if isinstance(guards(route)[0], Public)}
    assert public == COOKIE_FREE | {"/healthz", "/readyz", "/metrics"}


def test_without_a_token_every_guarded_route_is_401(api: Api) -> None:
    """No token and a wrong one get a 401 of the API, and the sign-in page of the pages."""
    with api.client(signed_in=False) as client:
        for route in routes(api):
            if isinstance(guards(route)[0], Public):
                continue
            for method in route.methods - {"OPTIONS"}:
                answer = client.request(method, address(route), follow_redirects=False)
                page = not route.path.startswith("/api")
                assert answer.status_code == (303 if page else 401), (method, route.path, answer.text)
        wrong = client.get("/api/v1/captures", headers={"Authorization": "Bearer arc_wrong"})
        assert wrong.status_code == 401
        assert wrong.headers["www-authenticate"] == "Bearer"
        assert wrong.headers["content-type"] == "application/problem+json"


def test_unsafe_methods_with_a_cookie_need_the_same_origin(api: Api) -> None:
    """A session alone, from no origin or another one, changes nothing anywhere."""
    with api.client(signed_in=False) as client:
        assert client.post("/api/v1/session", json={"token": api.token}).status_code == 204
        assert client.get("/api/v1/captures").status_code == 200
        for route in routes(api):
            if not isinstance(guards(route)[0], Needs):
                continue
            for method in route.methods & UNSAFE:
                for headers in ({}, {"Origin": "http://evil.test"}, {"Origin": "null"}):
                    answer = client.request(method, address(route), headers=headers)
                    assert answer.status_code == 403, (method, route.path, headers)
        made = client.post("/api/v1/locations", json={"name": "开标室"}, headers={"Origin": ORIGIN})
        assert made.status_code == 201


def test_a_session_can_not_be_made_up_and_ends(api: Api, archive: Archive) -> None:
    """The cookie is sealed with the server's key and lasts 12 hours."""
    with api.client(signed_in=False) as client:
        sent = client.post("/api/v1/session", json={"token": api.token})
        assert "HttpOnly" in sent.headers["set-cookie"]
        assert "SameSite=strict" in sent.headers["set-cookie"]
        value = client.cookies["archiver_session"]
        for forged in (value[:-1] + ("0" if value[-1] != "0" else "1"), "", "a.b.c", "..", value.replace(".", ".9", 1)):
            assert client.get("/api/v1/captures", headers={"Cookie": f"archiver_session={forged}"}).status_code == 401
        archive.clock.pass_s(12 * 3600 + 1)
        assert client.get("/api/v1/captures").status_code == 401


def test_a_role_without_the_permission_is_refused_and_that_is_an_event(api: Api) -> None:
    """403, with who asked for what in the chain of the system."""
    token = api.token_of(Role.SYSTEM)
    with api.client(signed_in=False) as client:
        answer = client.get("/api/v1/captures", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 403
    with api.archive.catalogue.reading() as tx:
        refused = [event for event in tx.events.chain("system") if event.type == EventType.ACCESS_REFUSED]
    assert refused[-1].payload == {"what": "GET /api/v1/captures", "permission": "read"}


def test_a_purpose_may_be_chinese_and_stands_in_the_event(api: Api) -> None:
    """It is UTF-8; what is too long, or no text, is refused by name."""
    token = api.token_of(Role.SYSTEM)
    with api.client(signed_in=False) as client:

        def ask(purpose: bytes) -> tuple[int, str]:
            headers = {b"Authorization": f"Bearer {token}".encode(), b"X-Purpose": purpose}
            answer = client.get("/api/v1/captures", headers=headers)
            return answer.status_code, answer.text

        assert ask("质疑处理".encode())[0] == 403
        for purpose in (b"\xff", b"a\tb", b"x" * 201):
            status, text = ask(purpose)
            assert (status, "X-Purpose" in text) == (422, True), text
    with api.archive.catalogue.reading() as tx:
        refused = [event for event in tx.events.chain("system") if event.type == EventType.ACCESS_REFUSED]
    assert [event.principal.purpose for event in refused] == ["质疑处理"]


def test_nonsense_is_never_a_failure(api: Api, client: Client) -> None:
    """Whatever stands in paths, queries and bodies: no 5xx, and every refusal of the API is a problem document."""
    chance = random.Random(7)
    for route in routes(api):
        for method in route.methods - {"OPTIONS", "HEAD"}:
            for _ in range(4):
                names = [one.alias for one in route.dependant.query_params]
                query = {name: chance.choice(WORDS) for name in names if chance.random() < 0.7}
                body = chance.choice(BODIES) if method in UNSAFE else None
                path = address(route, chance.choice(["x", "0" * 26, "%00", "开"]))
                answer = client.request(method, path, params=query, json=body, follow_redirects=False)
                assert answer.status_code < 500, (method, path, query, body, answer.text)
                if answer.status_code >= 400 and path.startswith("/api"):
                    assert answer.json()["type"].startswith("urn:archiver:problem:"), (path, answer.text)


def test_a_capture_can_not_be_deleted(client: Client) -> None:
    """405, as a problem document."""
    answer = client.delete(f"/api/v1/captures/{'0' * 26}")
    assert answer.status_code == 405
    assert answer.json()["code"] == "METHOD_NOT_ALLOWED"


def test_health_says_which_part_is_away(home: Path, archive: Archive) -> None:
    """`readyz` is 503 and names the part, without its secrets."""
    from api.app import create_app
    from archiver.errors import VaultUnavailableError

    def full() -> None:
        raise VaultUnavailableError("the spool is full")

    with client_of(create_app(replace(services(archive, home), check_spool=full))) as client:
        assert client.get("/healthz").json() == {"status": "alive"}
        answer = client.get("/readyz")
        assert answer.status_code == 503
        assert answer.json() == {"catalogue": "ok", "vault": "ok", "spool": "VAULT_UNAVAILABLE"}
        assert "archiver_requests_total" in client.get("/metrics").text


def test_every_mistake_has_its_chinese_words() -> None:
    """A person who reads Chinese is never left with an English reason."""
    assert all(words.mistake("zh", str(one)) != str(one) for one in Mistake)


def test_a_problem_has_a_stable_urn() -> None:
    """RFC 9457 with our code in it."""
    assert b'"type":"urn:archiver:problem:not_found"' in problem(404, "NOT_FOUND", "x").body


def address(route: RouteContext, value: str = "0" * 26) -> str:
    path = route.path
    for name in route.param_convertors:
        path = path.replace("{" + name + "}", "0" if name == "seq" and value == "0" * 26 else value)
    return path.replace("{seq}", "0")
