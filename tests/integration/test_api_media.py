"""Sound and picture over HTTP: ranges, conditions, what is shown, and who watched."""

import io
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import av
import pytest
from httpx import Client

from archiver.canonical import digest_of
from archiver.vocabulary import EventType, JobState
from tests.api_rig import Api, open_api
from tests.archive_rig import WINDOW, Archive, Footage, cut, cut_stream
from tests.catalogue_facts import span
from tests.mp4_streams import asset, with_first_offset

FRAME_S = 0.1


@pytest.fixture
def api(home: Path, archive: Archive, sealed: str) -> Api:
    return open_api(home, archive.clock)


@pytest.fixture
def client(api: Api) -> Iterator[Client]:
    with api.client() as client:
        yield client


def base(archive: Archive, capture: str) -> str:
    return f"/api/v1/captures/{capture}/sources/{archive.sources(capture)[0]}"


def moment(seconds: float) -> str:
    return (WINDOW.start + timedelta(seconds=seconds)).isoformat()


def frames(data: bytes) -> list[float]:
    """When each picture is shown, in seconds from the file's beginning; every packet is decoded."""
    with av.open(io.BytesIO(data), "r") as container:
        return [float(frame.time) for frame in container.decode(video=0)]


def test_the_window_is_one_file_with_every_frame(client: Client, archive: Archive, sealed: str) -> None:
    """40 frames in 4 s, over the join of two segments; length and type are stated."""
    answer = client.get(f"{base(archive, sealed)}/media.mp4")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "video/mp4"
    assert int(answer.headers["content-length"]) == len(answer.content)
    assert len(frames(answer.content)) == 40


def test_any_stretch_begins_and_ends_where_asked(client: Client, archive: Archive, sealed: str) -> None:
    """[1.5, 3.2) s: its 17 frames, give or take one at either end, though no key picture lies at 1.5 s."""
    query = {"from": moment(1.5), "to": moment(3.2)}
    answer = client.get(f"{base(archive, sealed)}/media.mp4", params=query)
    shown = frames(answer.content)
    assert abs(len(shown) - 17) <= 2
    assert shown[0] <= 2 * FRAME_S
    start = datetime.fromisoformat(answer.headers["media-start"])
    assert abs((start - WINDOW.start).total_seconds() - 1.5) < FRAME_S


def test_a_guessed_first_picture_moves_no_stretch(archive: Archive, home: Path, tmp_path: Path) -> None:
    """A recording whose edit list was made for a first picture of another offset gives the same pictures of any
    stretch as one without, also after a join with another."""
    stream = asset("h264_mulaw.mov")
    shown = []
    for number, odd in enumerate((stream, with_first_offset(stream, 1024))):
        capture = archive.book(span(100 * number, 100 * number + 10))
        source = archive.sources(capture)[0]
        archive.deposit(cut_stream(tmp_path, source, odd, 100 * number))
        archive.deposit(cut_stream(tmp_path, source, stream, 100 * number + 5))
        with open_api(home, archive.clock).client() as client:
            query = {"from": moment(100 * number + 1.55), "to": moment(100 * number + 7.35)}
            answer = client.get(f"{base(archive, capture)}/media.mp4", params=query)
        shown.append(packets(answer.content))
    assert shown[0] == shown[1] and len(shown[0]) > 45


def packets(data: bytes) -> list[tuple[bytes, float]]:
    """Every picture that is shown, coded, and when."""
    with av.open(io.BytesIO(data), "r") as container:
        shown = (packet for packet in container.demux(video=0) if packet.size and not packet.is_discard)
        return [(bytes(packet), round(float(packet.pts * packet.time_base), 3)) for packet in shown]


def test_ranges_conditions_and_head(client: Client, archive: Archive, sealed: str) -> None:
    """Every range is the same bytes as the whole; 206, 304, 416 and HEAD are as RFC 9110 says."""
    url = f"{base(archive, sealed)}/media.mp4"
    whole = client.get(url)
    data, etag = whole.content, whole.headers["etag"]
    size = len(data)
    tail = (f"{size - 9}-", size - 9, size), ("-77", size - 77, size), (f"5-{size * 2}", 5, size)
    for text, first, last in (("0-0", 0, 1), ("100-4999", 100, 5000), *tail):
        part = client.get(url, headers={"Range": f"bytes={text}"})
        assert part.status_code == 206
        assert part.content == data[first:last]
        assert part.headers["content-range"] == f"bytes {first}-{last - 1}/{size}"
    for outside in (f"bytes={size}-", "bytes=-0"):
        answer = client.get(url, headers={"Range": outside})
        assert (answer.status_code, answer.headers["content-range"]) == (416, f"bytes */{size}")
    for ignored in ("bytes=0-1,3-4", "lines=1-2", "bytes=9-1", "bytes=-", "nonsense"):
        assert client.get(url, headers={"Range": ignored}).content == data
    assert client.get(url, headers={"If-None-Match": f'"x", W/{etag}'}).status_code == 304
    assert client.head(url, headers={"If-None-Match": etag}).status_code == 304
    assert client.get(url, headers={"Range": "bytes=0-9", "If-Range": etag}).status_code == 206
    assert client.get(url, headers={"Range": "bytes=0-9", "If-Range": '"old"'}).status_code == 200
    head = client.head(url, headers={"Range": "bytes=0-9"})
    assert (head.status_code, head.headers["content-length"], head.content) == (206, "10", b"")


def test_the_bytes_follow_from_the_question(api: Api, client: Client, archive: Archive, sealed: str) -> None:
    """Asked again, also of another server, they and their ETag are the same; another stretch has another ETag."""
    url = f"{base(archive, sealed)}/media.mp4"
    first = client.get(url)
    with open_api(api.archive.home, archive.clock).client() as other:
        again = other.get(url)
    assert (again.content, again.headers["etag"]) == (first.content, first.headers["etag"])
    assert client.get(url, params={"from": moment(1)}).headers["etag"] != first.headers["etag"]


def test_stretches_outside_the_window_and_other_sources_are_refused(
    client: Client, archive: Archive, sealed: str
) -> None:
    """422 names the field; a source that is not the capture's is not found."""
    answer = client.get(f"{base(archive, sealed)}/media.mp4", params={"from": moment(-60), "to": moment(2)})
    assert [one["field"] for one in answer.json()["errors"]] == ["from"]
    assert client.get(f"/api/v1/captures/{sealed}/sources/{'0' * 26}/media.mp4").status_code == 404


def test_a_playlist_names_byte_ranges_that_are_there(client: Client, archive: Archive, sealed: str) -> None:
    """Init and ranges, taken as the playlist says, are media; the times begin at the window's."""
    playlist = client.get(f"{base(archive, sealed)}/index.m3u8")
    lines = playlist.text.splitlines()
    assert lines[0] == "#EXTM3U" and lines[-1] == "#EXT-X-ENDLIST"
    assert f"#EXT-X-PROGRAM-DATE-TIME:{WINDOW.start.isoformat(timespec='milliseconds')}" in lines
    address = next(line for line in lines if not line.startswith("#"))
    segment = client.get(f"{base(archive, sealed)}/{address}")
    size, offset = map(int, next(line for line in lines if "BYTERANGE:" in line).partition(":")[2].split("@"))
    init = int(next(line for line in lines if "EXT-X-MAP" in line).partition('BYTERANGE="')[2].partition("@")[0])
    assert frames(segment.content[:init] + segment.content[offset : offset + size])
    assert sum(float(line[8:].rstrip(",")) for line in lines if line.startswith("#EXTINF")) == pytest.approx(4, abs=0.3)


def test_a_gap_stays_a_gap_in_time(archive: Archive, home: Path, capture: str, tmp_path: Path) -> None:
    """Two recordings 2 s apart are one file whose pictures have a hole of 2 s, and a playlist with a discontinuity."""
    source = archive.sources(capture)[0]
    archive.deposit([*cut(tmp_path, source, start_s=-3), *cut(tmp_path, source, start_s=3)])
    with open_api(home, archive.clock).client() as client:
        shown = frames(client.get(f"{base(archive, capture)}/media.mp4").content)
        assert "#EXT-X-DISCONTINUITY" in client.get(f"{base(archive, capture)}/index.m3u8").text.splitlines()
    hole = max(later - earlier for earlier, later in pairwise(shown))
    assert hole == pytest.approx(2.1, abs=0.15)
    assert len(shown) == pytest.approx(20, abs=2)


def test_mixed_formats_are_named_part_by_part(archive: Archive, home: Path, capture: str, tmp_path: Path) -> None:
    """409 with the parts, each of which can be had."""
    source = archive.sources(capture)[0]
    archive.deposit([*cut(tmp_path, source, start_s=-2), *cut(tmp_path, source, "h265_aac.mp4", start_s=2)])
    with open_api(home, archive.clock).client() as client:
        answer = client.get(f"{base(archive, capture)}/media.mp4")
        assert (answer.status_code, answer.json()["code"]) == (409, "MIXED_FORMATS")
        parts = answer.json()["parts"]
        assert len(parts) == 2
        assert all(frames(client.get(part["url"]).content) for part in parts)


def test_g711_is_sent_as_quicktime(archive: Archive, home: Path, capture: str, tmp_path: Path) -> None:
    """The bytes are MOV, so that is the type."""
    archive.deposit(cut(tmp_path, archive.sources(capture)[0], "h264_mulaw.mov"))
    with open_api(home, archive.clock).client() as client:
        answer = client.get(f"{base(archive, capture)}/media.mp4")
    assert answer.headers["content-type"] == "video/quicktime"
    assert len(frames(answer.content)) == 40


def test_a_picture_is_a_jpeg_of_the_width_asked(client: Client, archive: Archive, sealed: str) -> None:
    """From the key picture at or before the moment; where nothing was, 404."""
    answer = client.get(f"{base(archive, sealed)}/thumbnail.jpg", params={"at": moment(2.5), "width": 64})
    assert (answer.status_code, answer.content[:2]) == (200, b"\xff\xd8")
    assert client.get(f"{base(archive, sealed)}/thumbnail.jpg", params={"at": moment(90)}).status_code == 404


def test_a_picture_of_another_time_is_not_this_captures(
    client: Client, archive: Archive, sealed: str, tmp_path: Path
) -> None:
    """The same camera records other tenders: what lies outside the window and its rolls is not shown for this one."""
    archive.deposit(cut(tmp_path, archive.sources(sealed)[0], start_s=60))
    answer = client.get(f"{base(archive, sealed)}/thumbnail.jpg", params={"at": moment(62)})
    assert answer.status_code == 404
    assert views(archive, sealed) == []


def test_a_fetched_export_is_a_view(api: Api, client: Client, archive: Archive, sealed: str) -> None:
    """Whoever takes the file sees the picture, whoever had it made; the index alone shows nothing."""
    asked = client.post(f"/api/v1/captures/{sealed}/exports", json={"from": moment(1), "to": moment(3)})
    job = api.services.inspecting.job("centre", asked.json()["id"])
    result = api.services.exporting.run(job.arguments, lambda done, total=None: None)
    with archive.catalogue.transaction() as tx:
        tx.jobs.update(replace(job, state=JobState.DONE, result=result))
    folder = f"/api/v1/jobs/{job.id}/files"
    assert client.get(f"{folder}/index.json").status_code == 200
    assert client.head(f"{folder}/{result['files'][0]['name']}").status_code == 200
    assert views(archive, sealed) == []
    assert client.get(f"{folder}/{result['files'][0]['name']}").status_code == 200
    assert [(view["phase"], view["source"]) for view in views(archive, sealed)] == [
        ("opened", result["files"][0]["source"])
    ]


def test_a_view_is_two_events_however_many_ranges(api: Api, client: Client, archive: Archive, sealed: str) -> None:
    """One before the first byte, one after five idle minutes with what was served; a HEAD is no view."""
    url = f"{base(archive, sealed)}/media.mp4"
    client.head(url)
    assert views(archive, sealed) == []
    for text in ("0-99", "100-199", "-50"):
        client.get(url, headers={"Range": f"bytes={text}", "X-Purpose": "complaint 7"})
    assert [event["phase"] for event in views(archive, sealed)] == ["opened"]
    archive.clock.pass_s(301)
    assert api.services.viewing.close_idle() == 1
    closed = views(archive, sealed)[-1]
    assert closed["phase"] == "closed"
    assert closed["ranges"]


def test_a_server_that_died_leaves_an_unknown_end(api: Api, client: Client, archive: Archive, sealed: str) -> None:
    """What the next start closes is stated as such."""
    client.get(f"{base(archive, sealed)}/media.mp4")
    archive.clock.pass_s(1)
    assert api.services.viewing.close_interrupted() == 1
    assert views(archive, sealed)[-1]["phase"] == "unknown_end"


def test_an_export_is_asked_for_made_and_fetched(api: Api, client: Client, archive: Archive, sealed: str) -> None:
    """202 and a job; then files whose digests the index names, made twice the same, and stated once."""
    asked = client.post(f"/api/v1/captures/{sealed}/exports", json={"from": moment(1), "to": moment(3)})
    assert asked.status_code == 202
    job = api.services.inspecting.job("centre", asked.json()["id"])
    told: list[tuple[int, int | None]] = []
    first = api.services.exporting.run(job.arguments, lambda done, total=None: told.append((done, total)))
    assert api.services.exporting.run(job.arguments, lambda done, total=None: None) == first
    assert told[-1] == (told[0][1], told[0][1]), "a finished export is shown as finished"
    files = {file["name"]: file["sha256"] for file in first["files"]}
    assert len(files) == 2
    folder = archive.home / "exports" / job.id
    index = json.loads((folder / "index.json").read_bytes())
    assert {file["name"]: file["sha256"] for file in index["files"]} == files
    for name, digest in files.items():
        assert digest_of((folder / name).read_bytes()) == digest
        assert len(frames((folder / name).read_bytes())) == pytest.approx(20, abs=2)
    with archive.catalogue.reading() as tx:
        assert [event.type for event in tx.events.chain(sealed)].count(EventType.EXPORT_MADE) == 1


def test_the_seal_is_shown_with_its_signature(client: Client, sealed: str) -> None:
    """Manifest, signature and chain, and what the vault is worth."""
    answer = client.get(f"/api/v1/captures/{sealed}/seal").json()
    assert answer["manifest"]["capture"]["id"] == sealed
    assert answer["certificates"].startswith("-----BEGIN CERTIFICATE-----")
    assert answer["vault_label"] == "write-once by software"


def test_coverage_and_custody_add_up(client: Client, sealed: str, segments: list[Footage]) -> None:
    """Recorded and missing are the window; the chain begins with the booking and every link fits."""
    for one in client.get(f"/api/v1/captures/{sealed}/coverage").json()["sources"]:
        assert one["recorded_s"] + one["missing_s"] == pytest.approx(one["expected_s"])
    events = client.get(f"/api/v1/captures/{sealed}/custody").json()["items"]
    assert events[0]["type"] == "capture.booked"
    assert [event["previous"] for event in events[1:]] == [event["hash"] for event in events[:-1]]


def views(archive: Archive, capture: str) -> list[dict[str, object]]:
    with archive.catalogue.reading() as tx:
        return [dict(event.payload) for event in tx.events.chain(capture) if event.type == EventType.SEGMENT_VIEWED]
