"""`archiver capture` and `archiver search`: windows booked, watched over and found."""

from typing import Annotated

import typer

from api.commands.context import PAGE, installation, organisation, output, request
from api.commands.registry import Cursor, Limit
from api.output import moment
from api.views import camera_clock_view, capture_view, hit_view
from archiver.booking import NewCapture
from archiver.searching import stretch
from archiver.values import Capture, Query
from archiver.vocabulary import CaptureState
from config.wiring import Installation

capture = typer.Typer(help="Windows to record.", no_args_is_help=True)
COLUMNS = ("id", "state", "window", "expected_s", "recorded_s", "missing_s")


@capture.command("book")
def book(
    context: typer.Context,
    project: Annotated[str, typer.Option(help="The project's id.")],
    location: Annotated[str, typer.Option(help="The room's id.")],
    start: Annotated[str, typer.Option("--from", help="2026-11-24T09:30, or with an offset.")],
    end: Annotated[str, typer.Option("--to", help="The same.")],
    source: Annotated[list[str] | None, typer.Option(help="Only this source; may be repeated.")] = None,
    title: Annotated[str | None, typer.Option()] = None,
) -> None:
    """Book a window: the room's cameras and microphones are recorded by themselves."""
    ready = installation(context)
    zone = ready.settings.zone
    new = NewCapture(
        project, location, moment(start, zone, "from"), moment(end, zone, "to"), title, tuple(source or ())
    )
    _show(context, ready, ready.booking.book(request(ready), new))


@capture.command("list")
def list_captures(
    context: typer.Context,
    state: Annotated[CaptureState | None, typer.Option()] = None,
    limit: Limit = PAGE,
    cursor: Cursor = None,
) -> None:
    """Captures, newest window first."""
    ready = installation(context)
    page = ready.booking.captures(organisation(ready), limit, cursor, state)
    items = [capture_view(survey) for survey in ready.surveying.several(page.items)]
    output(context).listing(items, COLUMNS, page.next)


@capture.command("show")
def show(context: typer.Context, id: str) -> None:
    """One capture: state, coverage of each source, gaps with their causes, how long it is kept, and how far the clocks
    of its cameras are from the host's, by which everything is placed.
    """
    ready = installation(context)
    shown = capture_view(ready.surveying.one(organisation(ready), id))
    clocks = ready.inspecting.camera_clocks(organisation(ready), id)
    told = [{"source": source, **camera_clock_view(claim)} for source, claim in clocks.items()]
    output(context).thing({**shown, "camera_clocks": told})


@capture.command("extend")
def extend(context: typer.Context, id: str, end: Annotated[str, typer.Option("--to", help="The later end.")]) -> None:
    """Move the end of a capture that is not over to a later time."""
    ready = installation(context)
    _show(context, ready, ready.booking.extend(request(ready), id, moment(end, ready.settings.zone, "to")))


@capture.command("stop")
def stop(context: typer.Context, id: str) -> None:
    """End the recording now. The rest of the window is stated as a gap, stopped by a person."""
    ready = installation(context)
    _show(context, ready, ready.booking.stop(request(ready), id))


@capture.command("cancel")
def cancel(context: typer.Context, id: str) -> None:
    """Take back a capture that has not begun."""
    ready = installation(context)
    _show(context, ready, ready.booking.cancel(request(ready), id))


def search(
    context: typer.Context,
    project: Annotated[str | None, typer.Option(help="The project's id.")] = None,
    location: Annotated[str | None, typer.Option(help="The room's id.")] = None,
    source: Annotated[str | None, typer.Option(help="The source's id.")] = None,
    start: Annotated[str | None, typer.Option("--from")] = None,
    end: Annotated[str | None, typer.Option("--to")] = None,
    text: Annotated[str | None, typer.Option(help="Words of a title, number or name.")] = None,
    state: Annotated[CaptureState | None, typer.Option()] = None,
    limit: Limit = PAGE,
    cursor: Cursor = None,
) -> None:
    """Find captures; all filters combine."""
    ready = installation(context)
    first, last = (
        None if given is None else moment(given, ready.settings.zone, name)
        for given, name in ((start, "from"), (end, "to"))
    )
    query = Query(organisation(ready), project, location, source, stretch(first, last), text, state)
    page = ready.searching.find(query, limit, cursor)
    output(context).listing(
        [hit_view(hit) for hit in page.items], ("capture", "project", "location", "matched", "why"), page.next
    )


def _show(context: typer.Context, ready: Installation, changed: Capture) -> None:
    output(context).thing(capture_view(ready.surveying.one(changed.organisation, changed.id)))


commands = (search,)
