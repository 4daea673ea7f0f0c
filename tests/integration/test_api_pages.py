"""The page without a browser: every address of it answers, in both languages, to a person who is signed in."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from httpx import Client

from tests.api_rig import ORIGIN, Api, client_of, open_api
from tests.archive_rig import Archive


@pytest.fixture
def api(home: Path, archive: Archive, sealed: str) -> Api:
    return open_api(home, archive.clock)


@pytest.fixture
def client(api: Api) -> Iterator[Client]:
    """Signed in by the form, as a browser does it."""
    with client_of(api.app, headers={"Origin": ORIGIN}) as client:
        signed = client.post("/signin", data={"token": api.token, "next": "/book"})
        assert (signed.status_code, signed.headers["location"]) == (303, "/book")
        yield client


@pytest.mark.parametrize(("language", "words"), [("zh", "采集任务"), ("en", "Recordings")])
def test_every_page_answers_in_both_languages(
    archive: Archive, client: Client, sealed: str, language: str, words: str
) -> None:
    """Also with a player, and with nothing found; nothing inline that the security policy would refuse."""
    client.post("/language", data={"language": language, "next": "/"})
    watched = f"/captures/{sealed}?source={archive.sources(sealed)[0]}"
    for path in (
        "/",
        "/?state=booked",
        "/book",
        "/find",
        "/find?text=x&from=bad",
        "/registry",
        f"/captures/{sealed}",
        watched,
    ):
        answer = client.get(path)
        assert answer.status_code in (200, 422), path
        assert words in answer.text
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "<script>" not in answer.text and "style=" not in answer.text and "onclick" not in answer.text
    assert "/media.mp4?" in client.get(watched).text


def test_a_window_is_booked_by_the_form_once(archive: Archive, client: Client, sealed: str) -> None:
    """Sent twice it is one booking; a mistake comes back beside its field with what was typed."""
    with archive.catalogue.reading() as tx:
        capture = tx.captures.get(sealed)
    form = {"project": capture.project, "location": capture.location, "title": "评标", "key": "a"}
    times = {"start": "2026-11-23T10:00", "end": "2026-11-23T11:00:00"}
    first = client.post("/book", data=form | times)
    assert first.status_code == 303
    assert client.post("/book", data=form | times).headers["location"] == first.headers["location"]
    assert "评标" in client.get(first.headers["location"]).text
    wrong = client.post("/book", data=form | times | {"end": "2026-11-23T09:30", "key": "b"})
    assert wrong.status_code == 422
    assert 'aria-describedby="why-end"' in wrong.text


def test_what_is_typed_is_shown_as_text(client: Client) -> None:
    """No markup from a name becomes markup of the page."""
    client.post("/registry/locations", data={"name": "<b onmouseover=x>房间</b>"})
    page = client.get("/registry").text
    assert "<b onmouseover" not in page
    assert "&lt;b onmouseover" in page


def test_after_signing_in_nobody_is_sent_elsewhere(api: Api) -> None:
    """`next` is a path of our own or nothing."""
    with client_of(api.app, headers={"Origin": ORIGIN}) as client:
        for target in ("//evil.test", "https://evil.test", "/\\evil.test", "javascript:x", "/\t/evil.test"):
            answer = client.post("/signin", data={"token": api.token, "next": target})
            assert answer.headers["location"] == "/"


def test_errors_are_pages_for_people(client: Client) -> None:
    """Not JSON, and in their language."""
    answer = client.get(f"/captures/{'0' * 26}", headers={"Accept-Language": "zh-CN"})
    assert (answer.status_code, answer.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert "没有找到" in answer.text
