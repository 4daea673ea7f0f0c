"""Registering, booking, finding over HTTP."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from httpx import Client

from api.web.view import Form
from archiver.booking import NewCapture
from archiver.errors import InputError
from archiver.requests import Request
from archiver.timeline import Interval
from tests.api_rig import OPERATOR, ORGANISATION, Api, open_api
from tests.archive_rig import Archive

SECRET = "pa55-w0rd"


@pytest.fixture
def api(home: Path, archive: Archive) -> Api:
    return open_api(home, archive.clock)


@pytest.fixture
def client(api: Api) -> Iterator[Client]:
    with api.client() as client:
        yield client


@pytest.fixture
def room(client: Client) -> dict[str, str]:
    """A project, a location and a source, by id."""
    project = client.post("/api/v1/projects", json={"number": "ZFCG-1", "title": "云服务采购"}).json()["id"]
    location = client.post("/api/v1/locations", json={"name": "开标一室"}).json()["id"]
    url = f"rtsp://admin:{SECRET}@192.168.1.20:554/stream?key={SECRET}"
    source = client.post("/api/v1/sources", json={"location": location, "name": "主席台", "url": url}).json()["id"]
    return {"project": project, "location": location, "source": source}


def window(api: Api, start_s: float, end_s: float) -> dict[str, str]:
    now = api.archive.clock.now()
    return {
        "start": (now + timedelta(seconds=start_s)).isoformat(),
        "end": (now + timedelta(seconds=end_s)).isoformat(),
    }


def booked(api: Api, client: Client, room: dict[str, str], start_s: float, end_s: float, **more: Any) -> Any:
    body = {"project": room["project"], "location": room["location"], **window(api, start_s, end_s)}
    return client.post("/api/v1/captures", json=body, **more)


def test_an_address_is_shown_as_scheme_host_and_port_only(api: Api, client: Client, room: dict[str, str]) -> None:
    """Its password is in no answer and in no event; the recorder can still have it."""
    answer = client.get(f"/api/v1/sources/{room['source']}")
    assert answer.json()["address"] == "rtsp://192.168.1.20:554/…"
    assert SECRET not in client.get("/api/v1/sources").text
    with api.archive.catalogue.reading() as tx:
        assert SECRET not in str(tx.events.chain(room["source"]))
    assert SECRET in api.services.registering.address("centre", room["source"])


@pytest.mark.parametrize(
    "url",
    ["http://192.168.1.20/", "file:///etc/passwd", "rtsp://8.8.8.8/", "rtsp://elsewhere.test/", "rtsp://none.test/",
     "rtsp://[::ffff:8.8.8.8]/", "rtsp://0.0.0.0/", "rtsp://192.168.1.20/a\nfile 'x'", "rtsp:///x", "rtsp://h:99999/",
     "x"],
)  # fmt: skip
def test_other_addresses_are_refused_by_field(client: Client, room: dict[str, str], url: str) -> None:
    """Schemes and networks are an allow-list, for literal and resolved hosts alike (I12); the answer repeats none."""
    answer = client.post("/api/v1/sources", json={"location": room["location"], "name": "x", "url": url})
    assert answer.status_code == 422
    assert [one["field"] for one in answer.json()["errors"]] == ["url"]
    assert url not in answer.text or url == "x"


def test_a_window_is_booked_and_its_duty_planned(api: Api, client: Client, room: dict[str, str]) -> None:
    """The answer is the capture as the command line shows it; a duty covers the window with its rolls."""
    answer = booked(api, client, room, 3600, 7200)
    assert answer.status_code == 201
    capture = answer.json()
    assert (capture["state"], capture["project"]) == ("booked", room["project"])
    assert [one["source"]["id"] for one in capture["sources"]] == [room["source"]]
    now = api.archive.clock.now()
    with api.archive.catalogue.reading() as tx:
        duties = tx.duties.of_source(room["source"], Interval(now, now + timedelta(days=1)))
    assert [duty.span.start for duty in duties] == [now + timedelta(seconds=3595)]


def test_the_same_key_books_once(api: Api, client: Client, room: dict[str, str]) -> None:
    """Sent again it is the same capture; for another window it is a conflict."""
    key = {"Idempotency-Key": "one"}
    first = booked(api, client, room, 3600, 7200, headers=key).json()["id"]
    assert booked(api, client, room, 3600, 7200, headers=key).json()["id"] == first
    assert booked(api, client, room, 3600, 7300, headers=key).status_code == 409
    assert booked(api, client, room, 3600, 7200).json()["id"] != first


def test_the_same_key_is_answered_after_the_window_too(api: Api, client: Client, room: dict[str, str]) -> None:
    """A client that never got the first answer may ask again when the window is over."""
    now = api.archive.clock.now()
    window = {"start": (now + timedelta(hours=1)).isoformat(), "end": (now + timedelta(hours=2)).isoformat()}
    body = {"project": room["project"], "location": room["location"], **window}
    answers = []
    for _ in range(2):
        answers.append(client.post("/api/v1/captures", json=body, headers={"Idempotency-Key": "late"}))
        api.archive.clock.pass_s(4 * 3600)
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json()["id"] == answers[1].json()["id"]
    assert client.post("/api/v1/captures", json=body, headers={"Idempotency-Key": "new"}).status_code == 422


@pytest.mark.parametrize(
    ("span", "field"),
    [((-7200, -3600), "end"), ((7200, 3600), "end"), ((60, 90000), "end"), ((400 * 86400, 400 * 86400 + 60), "start")],
)
def test_windows_that_can_not_be_are_refused_by_field(
    api: Api, client: Client, room: dict[str, str], span: tuple[int, int], field: str
) -> None:
    """Ended, backwards, over a day, over a year ahead."""
    answer = booked(api, client, room, *span)
    assert answer.status_code == 422
    assert [one["field"] for one in answer.json()["errors"]] == [field]


def test_a_window_is_measured_in_real_time_not_on_the_wall(api: Api, room: dict[str, str]) -> None:
    """Where the clocks change, a window that looks a while long on the wall may end before it starts, and one that
    looks a day long may last longer."""
    zone = ZoneInfo("America/New_York")
    request = Request(ORGANISATION, OPERATOR)
    for start, end in (
        (datetime(2027, 3, 14, 2, 30, tzinfo=zone), datetime(2027, 3, 14, 3, 15, tzinfo=zone)),
        (datetime(2027, 11, 6, 12, tzinfo=zone), datetime(2027, 11, 7, 12, tzinfo=zone)),
    ):
        api.archive.clock.pass_s((start - timedelta(days=1) - api.archive.clock.now()).total_seconds())
        with pytest.raises(InputError) as refused:
            api.services.booking.book(request, NewCapture(room["project"], room["location"], start, end))
        assert list(refused.value.errors) == ["end"]


@pytest.mark.parametrize("text", ["2026-11-01T01:30", "2027-03-14T02:30"])
def test_a_wall_clock_time_that_is_not_one_moment_is_refused(text: str) -> None:
    """The page asks for an offset rather than guess; a time with one means what it says."""
    zone = ZoneInfo("America/New_York")
    with pytest.raises(InputError):
        Form({"start": text}).moment("start", zone)
    exact = Form({"start": f"{text}:00+08:00"}).moment("start", zone)
    assert exact.isoformat() == f"{text}:00+08:00"


@pytest.mark.parametrize("origin", ["http://[", "http://testserver:99999999999", "null", ""])
def test_an_origin_that_is_none_is_another_one(api: Api, origin: str) -> None:
    """Whatever a browser, or somebody else, sends."""
    with api.client(signed_in=False) as client:
        assert client.post("/signin", data={"token": api.token}, headers={"Origin": origin}).status_code == 403


def test_a_window_that_has_begun_is_booked_and_can_be_stopped_once(
    api: Api, client: Client, room: dict[str, str]
) -> None:
    """It is recorded from now on; it can't be cancelled, but stopped, and stopping again changes nothing."""
    capture = booked(api, client, room, -60, 600).json()["id"]
    assert client.post(f"/api/v1/captures/{capture}/cancel").status_code == 409
    stopped = client.post(f"/api/v1/captures/{capture}/stop").json()
    api.archive.clock.pass_s(5)
    assert client.post(f"/api/v1/captures/{capture}/stop").json()["stopped_at"] == stopped["stopped_at"]
    extended = client.post(f"/api/v1/captures/{capture}/extend", json=window(api, 0, 900) | {"start": None})
    assert extended.status_code == 422
    answer = client.post(f"/api/v1/captures/{capture}/extend", json={"end": window(api, 0, 900)["end"]})
    assert answer.status_code == 409


def test_a_booking_is_changed_extended_and_cancelled(api: Api, client: Client, room: dict[str, str]) -> None:
    """Before it begins; afterwards nothing is planned any more."""
    capture = booked(api, client, room, 3600, 7200).json()["id"]
    changed = client.patch(f"/api/v1/captures/{capture}", json={"title": "第二次开标"})
    assert changed.json()["title"] == "第二次开标"
    longer = window(api, 3600, 9000)
    assert client.post(f"/api/v1/captures/{capture}/extend", json={"end": longer["end"]}).status_code == 200
    assert client.post(f"/api/v1/captures/{capture}/extend", json={"end": longer["start"]}).status_code == 422
    assert client.post(f"/api/v1/captures/{capture}/cancel").json()["state"] == "cancelled"
    now = api.archive.clock.now()
    with api.archive.catalogue.reading() as tx:
        assert not tx.duties.of_source(room["source"], Interval(now, now + timedelta(days=1)))


def test_captures_are_found_by_every_filter_together(api: Api, client: Client, room: dict[str, str]) -> None:
    """By words, project, room, source, time and state; and not when one of them doesn't fit."""
    booked(api, client, room, 3600, 7200)
    span, later = window(api, 3700, 3800), window(api, 9000, 9900)
    filters = {**room, "text": "云服务", "state": "booked", "from": span["start"], "to": span["end"]}
    assert len(client.get("/api/v1/search", params=filters).json()["items"]) == 1
    for wrong in (
        {"text": "道路"},
        {"state": "sealed"},
        {"project": "0" * 26},
        {"from": later["start"], "to": later["end"]},
    ):
        assert client.get("/api/v1/search", params={**filters, **wrong}).json()["items"] == []
