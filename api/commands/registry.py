"""`archiver project`, `location`, `source`: what there is to record, and for which procurement."""

import sys
from datetime import date
from typing import Annotated
from urllib.parse import urlsplit

import typer

from api.commands.context import PAGE, installation, organisation, output, request
from api.output import note
from api.views import location_view, project_view, source_view
from archiver.errors import InputError
from archiver.registering import NewProject

Limit = Annotated[int, typer.Option(min=1, max=500, help="Items a page.")]
Cursor = Annotated[str | None, typer.Option(help="Where the last page ended.")]

project = typer.Typer(help="Procurements.", no_args_is_help=True)
location = typer.Typer(help="Rooms.", no_args_is_help=True)
source = typer.Typer(help="Cameras and microphones.", no_args_is_help=True)


@project.command("add")
def add_project(
    context: typer.Context,
    number: Annotated[str, typer.Option(help="The procurement's number.")],
    title: Annotated[str, typer.Option()],
    buyer: Annotated[str | None, typer.Option()] = None,
    method: Annotated[str | None, typer.Option()] = None,
    lot: Annotated[list[str] | None, typer.Option(help="A lot; may be repeated.")] = None,
) -> None:
    """Register a procurement."""
    ready = installation(context)
    made = ready.registering.add_project(request(ready), NewProject(number, title, buyer, method, tuple(lot or ())))
    output(context).thing(project_view(made))


@project.command("list")
def list_projects(context: typer.Context, limit: Limit = PAGE, cursor: Cursor = None) -> None:
    """Registered procurements."""
    ready = installation(context)
    page = ready.registering.projects(organisation(ready), limit, cursor)
    output(context).listing([project_view(one) for one in page.items], ("id", "number", "title"), page.next)


@project.command("show")
def show_project(context: typer.Context, id: str) -> None:
    """One procurement, with its end event if there is one."""
    ready = installation(context)
    output(context).thing(project_view(ready.registering.project(organisation(ready), id)))


@project.command("end")
def end_project(
    context: typer.Context,
    id: str,
    day: Annotated[str, typer.Option("--date", help="The day the procurement ended, YYYY-MM-DD.")],
    basis: Annotated[str, typer.Option(help="acceptance, query_reply, complaint_decision or termination.")],
    document: Annotated[str, typer.Option(help="The document that states it.")],
    signer: Annotated[str, typer.Option(help="Who signed that document.")],
) -> None:
    """State the end of a procurement: its retention runs from there. A correction is a new statement."""
    ready = installation(context)
    ready.registering.project(organisation(ready), id)
    ended = ready.ending.end(id, _day(day), basis, document, signer, request(ready).principal)
    output(context).thing(project_view(ended))


@location.command("add")
def add_location(context: typer.Context, name: Annotated[str, typer.Option()]) -> None:
    """Register a room."""
    ready = installation(context)
    output(context).thing(location_view(ready.registering.add_location(request(ready), name)))


@location.command("list")
def list_locations(context: typer.Context, limit: Limit = PAGE, cursor: Cursor = None) -> None:
    """Registered rooms."""
    ready = installation(context)
    page = ready.registering.locations(organisation(ready), limit, cursor)
    output(context).listing([location_view(one) for one in page.items], ("id", "name", "site"), page.next)


@source.command("add")
def add_source(
    context: typer.Context,
    url: Annotated[str, typer.Argument(help="rtsp:// or rtsps:// address; - reads it from standard input.")],
    location: Annotated[str, typer.Option(help="The room's id.")],
    name: Annotated[str, typer.Option()],
) -> None:
    """Register a camera or microphone. Everything of its address beyond host and port is kept as a secret."""
    ready = installation(context)
    made = ready.registering.add_source(request(ready), location, name, _address(url))
    output(context).thing(source_view(made))


@source.command("list")
def list_sources(
    context: typer.Context,
    location: Annotated[str | None, typer.Option(help="Only this room's.")] = None,
    limit: Limit = PAGE,
    cursor: Cursor = None,
) -> None:
    """Registered sources."""
    ready = installation(context)
    page = ready.registering.sources(organisation(ready), limit, cursor, location)
    columns = ("id", "name", "location", "address")
    output(context).listing([source_view(one) for one in page.items], columns, page.next)


@source.command("test")
def test_source(context: typer.Context, id: str) -> None:
    """Connect, look at picture and sound, and say what comes."""
    ready = installation(context)
    found = ready.test_source(organisation(ready), id)
    output(context).thing({"ok": found.ok, "codecs": list(found.codecs), "problem": found.problem})
    raise typer.Exit(0 if found.ok else 5)


@source.command("remove")
def remove_source(context: typer.Context, id: str) -> None:
    """Take a source out of the lists. What was recorded of it stays."""
    ready = installation(context)
    output(context).thing(source_view(ready.registering.remove_source(request(ready), id)))


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise InputError(f"--date {text!r} is not a day; write 2026-11-24", errors={"date": "YYYY-MM-DD"}) from None


def _address(given: str) -> str:
    """The address as typed, or the first line of standard input for `-`. Other processes can read an argument."""
    if given == "-":
        line = sys.stdin.readline().strip()
        if not line:
            raise InputError("standard input has no address", errors={"url": "an rtsp:// or rtsps:// address"})
        return line
    parts = urlsplit(given)
    if "@" in parts.netloc or parts.query:
        note("warning: a password on the command line can be read by every process; use - and standard input")
    return given
