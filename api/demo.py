"""The whole story on real input: virtual cameras, a booked window, a cut, a seal, a search, an export, a proof."""

import hashlib
import secrets
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import av

from api.client import Client, wait_for
from api.output import note
from archiver.errors import InputError, UnavailableError
from archiver.times import to_text
from config.serving import ADDRESS_FILE
from config.settings import FILE_NAME, load
from config.wiring import Installation
from ingest.cameras.background import BackgroundFarm
from ingest.cameras.codecs import AudioCodec, VideoCodec
from ingest.cameras.digest import Login
from ingest.cameras.farm import CameraSpec, FarmOptions
from ingest.cameras.faults import FaultKind

MARK = "DEMO-"
ROOM_A, ROOM_B = "演示一室 Demo room A", "演示二室 Demo room B"
LEAD_S = 7.0
CUT_AFTER_S, CUT_S = 10.0, 6.0
START_S, SEAL_S, JOB_S = 30.0, 90.0, 120.0
TOML = """# Written by `archiver demo`: short segments, so that their joins can be seen; any free port.
[ingest]
segment_s = 10.0

[api]
listen = "127.0.0.1:0"
"""


@dataclass(frozen=True, slots=True)
class Camera:
    """A virtual camera of the demo and the room it hangs in."""

    name: str
    room: str
    video: VideoCodec
    audio: AudioCodec


CAMERAS = (
    Camera("front", ROOM_A, VideoCodec.H264, AudioCodec.AAC),
    Camera("table", ROOM_A, VideoCodec.H265, AudioCodec.PCMU),
    Camera("other", ROOM_B, VideoCodec.H264, AudioCodec.AAC),
)
CUT = CAMERAS[0]


def run(home: Path, seconds: float, stay: bool, show: Callable[[Mapping[str, Any]], None]) -> bool:
    """Tell the story once; `show` gets its result as soon as it is there. With `stay` everything goes on running until
    Ctrl-C. Whether all of it held.
    """
    prepare(home)
    with cameras() as farm, running(home) as client:
        result = Story(home, client, farm, seconds).tell()
        broken = holds(result, seconds)
        show(result)
        for claim in broken:
            note(f"NOT SO: {claim}")
        if stay:
            note(f"the page: {result['api']} (sign in with the token in {result['token_file']}); Ctrl-C ends it")
            wait_for_interrupt()
    return not broken


def prepare(home: Path) -> None:
    """Make the home ready. InputError if it holds captures that are not the demo's."""
    ready = Installation(load(home))
    ready.set_up()
    try:
        organisation = ready.settings.archive.organisation
        captures = ready.booking.captures(organisation, 500).items
        numbers = {ready.registering.project(organisation, one.project).number for one in captures}
    finally:
        ready.close()
    strange = sorted(number for number in numbers if not number.startswith(MARK))
    if strange:
        raise InputError(
            f"{home} holds captures of other projects ({', '.join(strange[:3])}): name another folder for the demo",
            errors={"DIR": "an empty folder, or one that an earlier demo made"},
        )
    if not (home / FILE_NAME).exists():
        (home / FILE_NAME).write_text(TOML, encoding="utf-8")


@contextmanager
def cameras() -> Iterator[BackgroundFarm]:
    """Three cameras over RTSP on loopback; the loops they show are encoded once and kept in the user's cache folder."""
    note("starting three virtual cameras (the first time, their pictures are encoded)")
    login = Login("viewer", secrets.token_urlsafe(9))
    specs = [CameraSpec(camera.name, camera.video, camera.audio) for camera in CAMERAS]
    with BackgroundFarm(specs, FarmOptions(login=login)) as farm:
        yield farm


@contextmanager
def running(home: Path) -> Iterator[Client]:
    """`archiver up` on the home, stopped at the end; its log lies in the home."""
    note(f"starting archiver up on {home}")
    (home / ADDRESS_FILE).unlink(missing_ok=True)
    with (home / "archiver.log").open("ab") as log:
        command = [sys.executable, "-m", "api", "--home", str(home), "up"]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=log)
    try:
        yield Client(_address(home, process), (home / "token").read_text(encoding="utf-8").strip())
    finally:
        process.terminate()
        process.wait()


def _address(home: Path, process: "subprocess.Popen[bytes]") -> str:
    def look() -> str:
        if process.poll() is not None:
            raise UnavailableError(f"archiver up ended with code {process.returncode}: see {home / 'archiver.log'}")
        try:
            return (home / ADDRESS_FILE).read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            return ""

    return str(wait_for("the API's start", START_S, look))


class Story:
    """One booked window from request to proof, all through the HTTP API."""

    def __init__(self, home: Path, client: Client, farm: BackgroundFarm, seconds: float) -> None:
        self._home = home
        self._client = client
        self._farm = farm
        self._seconds = seconds

    def tell(self) -> dict[str, Any]:
        """The demo's JSON object (docs/cli.md)."""
        wait_for("the API's answer", START_S, self._answers)
        rooms, sources = self._rooms(), {}
        for camera in CAMERAS:
            sources[camera.name] = self._source(camera, rooms[camera.room])
        capture = self._book(rooms[ROOM_A])
        self._cut(capture)
        sealed = self._sealed(capture["id"])
        export = self._export(sealed, sources[CUT.name])
        verification = self._job(f"/captures/{sealed['id']}/verifications", {})
        return {
            "captures": [{**sealed, "segments": self._segments(sealed["id"])}],
            "other_sources_recorded": self._stored(sources["other"]),
            "search": {"hits": len(self._client.get(f"/search?project={sealed['project']}")["items"])},
            "verify": verification["result"],
            "export": export,
            **self._kept(sealed),
        }

    def _answers(self) -> bool:
        try:
            self._client.get("/projects?limit=1")
        except UnavailableError:
            return False
        return True

    def _rooms(self) -> dict[str, str]:
        known = {one["name"]: one["id"] for one in self._client.get("/locations?limit=500")["items"]}
        for name in (ROOM_A, ROOM_B):
            if name not in known:
                known[name] = self._client.post("/locations", {"name": name})["id"]
        return known

    def _source(self, camera: Camera, room: str) -> str:
        """The source's id: added once, its address (another port, another password) changed in later runs."""
        url = self._farm.urls[camera.name]
        for known in self._client.get(f"/sources?location={room}")["items"]:
            if known["name"] == camera.name:
                return str(self._client.patch(f"/sources/{known['id']}", {"url": url})["id"])
        return str(self._client.post("/sources", {"location": room, "name": camera.name, "url": url})["id"])

    def _book(self, room: str) -> dict[str, Any]:
        start = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=LEAD_S)
        end = start + timedelta(seconds=self._seconds)
        number = f"{MARK}{start:%Y%m%d-%H%M%S}"
        project = self._client.post("/projects", {"number": number, "title": "演示采购项目 Demo procurement"})
        window = {"start": to_text(start), "end": to_text(end)}
        body = {"project": project["id"], "location": room, "title": "开标 Bid opening", **window}
        note(f"booked room A from {start:%H:%M:%S} to {end:%H:%M:%S} UTC")
        return dict(self._client.post("/captures", body))

    def _cut(self, capture: Mapping[str, Any]) -> None:
        """Unplug one camera for some seconds, in the middle of the window."""
        start = datetime.fromisoformat(capture["window"]["start"])
        wait_s = (start - datetime.now(UTC)).total_seconds() + CUT_AFTER_S
        self._farm.fault(CUT.name, FaultKind.REFUSE, after_s=wait_s, seconds=CUT_S)
        note(f"camera {CUT.name} will be cut off {CUT_AFTER_S:.0f} s into the window, for {CUT_S:.0f} s")

    def _sealed(self, id: str) -> dict[str, Any]:
        seen = ""

        def look() -> dict[str, Any] | None:
            nonlocal seen
            capture: dict[str, Any] = self._client.get(f"/captures/{id}")
            if capture["state"] != seen:
                seen = capture["state"]
                note(f"  {seen}")
            return capture if seen == "sealed" else None

        return dict(wait_for("the seal", LEAD_S + self._seconds + SEAL_S, look))

    def _job(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        job = self._client.post(path, body)

        def look() -> dict[str, Any] | None:
            now: dict[str, Any] = self._client.get(f"/jobs/{job['id']}")
            return now if now["state"] in ("done", "failed") else None

        done = dict(wait_for(f"job {job['id']}", JOB_S, look))
        if done["state"] == "failed":
            raise UnavailableError(f"job {job['id']} failed: {done['error']}")
        return done

    def _export(self, capture: Mapping[str, Any], source: str) -> dict[str, Any]:
        """Take the cut camera's whole window away, as one file."""
        result = self._job(f"/captures/{capture['id']}/exports", {"sources": [source]})["result"]
        file = result["files"][0]
        path = self._home / "demo" / file["name"].replace(source, f"{CUT.name}-{capture['id']}")
        path.parent.mkdir(exist_ok=True)
        digest = hashlib.sha256()
        with self._client.open("GET", file["url"]) as answer, path.open("wb") as out:
            while piece := answer.read(2**20):
                digest.update(piece)
                out.write(piece)
        if f"sha256:{digest.hexdigest()}" != file["sha256"]:
            raise UnavailableError(f"{path} is not what was exported: its digest differs")
        note(f"exported {path}")
        return {"path": str(path), "sha256": digest.hexdigest(), "duration_s": duration(path)}

    def _segments(self, id: str) -> int:
        manifest = self._client.get(f"/captures/{id}/seal")["manifest"]
        return sum(len(source["segments"]) for source in manifest["sources"])

    def _stored(self, source: str) -> int:
        """Bytes of a source in the vault, whatever the catalogue says."""
        ready = Installation(load(self._home))
        return sum(stored.size for stored in ready.vault.list(f"{ready.settings.archive.site}/{source}"))

    def _kept(self, capture: Mapping[str, Any]) -> dict[str, Any]:
        ready = Installation(load(self._home))
        return {
            "vault_label": ready.vault.label.value,
            "retain_until": capture["retain_until"],
            "retain_reason": capture["retain_reason"],
            "api": self._client.address,
            "home": str(self._home),
            "token_file": str(ready.settings.token_file),
        }


def duration(path: Path) -> float:
    """Seconds that a player shows."""
    with av.open(str(path)) as container:
        return round((container.duration or 0) / 1_000_000, 3)


def holds(result: Mapping[str, Any], seconds: float) -> list[str]:
    """What didn't hold, in words; empty when all did."""
    capture = result["captures"][0]
    cut = [gap for gap in capture["gaps"] if gap["cause"] in ("lost", "unreachable")]
    claims = {
        "the capture is sealed": capture["state"] == "sealed",
        "recorded and missing add up": round(capture["recorded_s"] + capture["missing_s"], 6) == capture["expected_s"],
        "the cut stands in the completeness statement with its cause": bool(cut),
        "only the cut is missing": capture["missing_s"] < CUT_S * 3,
        "nothing of room B was recorded": result["other_sources_recorded"] == 0,
        "the search finds it": result["search"]["hits"] >= 1,
        "it verifies": result["verify"]["ok"],
        "the export is as long as the window": abs(result["export"]["duration_s"] - seconds) < 1,
    }
    return [claim for claim, held in claims.items() if not held]


def wait_for_interrupt() -> None:
    """Until SIGINT or SIGTERM."""
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    stopped.wait()
