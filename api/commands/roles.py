"""`archiver up`, `serve`, `work`, `tick`, `cameras`: the processes."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from api import demo as story
from api.commands.context import installation, output
from api.output import note
from config import processes
from config.develop import CHECKOUT
from config.wiring import Installation
from ingest.cameras.codecs import AudioCodec, VideoCodec
from ingest.cameras.command import CamerasOptions, run_cameras
from ingest.cameras.digest import Login
from ingest.cameras.farm import FarmOptions


def up(context: typer.Context) -> None:
    """Run everything on this machine: the API and page, a worker, and the clock."""
    ready = installation(context)
    note(f"token: {ready.settings.token_file}")
    ready.log_to_stderr()
    raise typer.Exit(processes.up(ready))


def serve(context: typer.Context) -> None:
    """Run the API and the page."""
    raise typer.Exit(processes.serve(_begin(context)))


def tick(context: typer.Context) -> None:
    """Run the clock: it says what is due, and works nothing itself."""
    raise typer.Exit(processes.tick(_begin(context)))


def work(
    context: typer.Context,
    keeper: Annotated[str | None, typer.Option(hidden=True, help="Deposit this worker's spool and run jobs.")] = None,
) -> None:
    """Run a worker: it records, deposits, seals, and makes copies."""
    ready = _begin(context)
    if keeper is not None:
        raise typer.Exit(processes.keep(ready, keeper))
    processes.work(ready)


def cameras(
    count: Annotated[int, typer.Option(min=1, max=200, help="How many, named cam1, cam2, …")] = 1,
    video: Annotated[VideoCodec, typer.Option()] = VideoCodec.H264,
    audio: Annotated[AudioCodec, typer.Option()] = AudioCodec.AAC,
    camera: Annotated[list[str] | None, typer.Option(help="A further one, as NAME:VIDEO:AUDIO.")] = None,
    profile: Annotated[str, typer.Option(help="demo (small) or bench (1080p, 4.2 Mbit/s).")] = "demo",
    cut: Annotated[list[str] | None, typer.Option(help="NAME:AT:SECONDS: gone for some seconds.")] = None,
    port: Annotated[int, typer.Option(min=0, max=65000, help="The first one's; 0 takes free ones.")] = 0,
    password: Annotated[str, typer.Option(help="A file with user:password on its first line; - for none.")] = "",
) -> None:
    """Run virtual cameras over real RTSP: one JSON line each with its address. Ctrl-C ends them."""
    farm = FarmOptions(port=port) if not password else FarmOptions(port=port, login=_login(password))
    options = CamerasOptions(count, video, audio, tuple(camera or ()), profile, tuple(cut or ()), farm)
    raise typer.Exit(run_cameras(options, sys.stdout))


def demo(
    context: typer.Context,
    folder: Annotated[Path | None, typer.Argument(metavar="DIR", help="Default: ARCHIVER_HOME, else .demo")] = None,
    once: Annotated[bool, typer.Option("--once", help="End by itself.")] = False,
    seconds: Annotated[float, typer.Option(min=30, max=3600, help="Length of the window.")] = 30.0,
) -> None:
    """Virtual cameras, a booked window, a camera cut off, seal, search, export, proof. Exit code 1 if any fails."""
    answer = output(context)
    home = folder or answer.home or Path(os.environ.get("ARCHIVER_HOME") or CHECKOUT / ".demo")
    held = story.run(home.expanduser().absolute(), seconds, not once, answer.thing)
    raise typer.Exit(0 if held else 1)


def _login(file: str) -> Login | None:
    if file == "-":
        return None
    user, _, password = Path(file).read_text(encoding="utf-8").split("\n", 1)[0].partition(":")
    return Login(user, password)


def _begin(context: typer.Context) -> Installation:
    ready = installation(context)
    ready.log_to_stderr()
    return ready


commands = (demo, up, serve, work, tick, cameras)
