"""`archiver retention`: until when each record is kept, and why."""

from typing import Annotated, Any

import typer

from api.commands.context import installation, organisation, output, request
from api.output import moment, shown
from config.wiring import Installation
from retention.due import DueItem

app = typer.Typer(help="Until when records are kept, and why.", no_args_is_help=True)


@app.command("due")
def due(context: typer.Context) -> None:
    """Every capture that is kept: whether it may be appraised for disposal, and since when."""
    ready = installation(context)
    items = [_view(ready, item) for item in ready.due_dates.items(organisation(ready))]
    output(context).listing(items, ("capture", "eligible", "due", "reason"))


@app.command("explain")
def explain(context: typer.Context, capture: str) -> None:
    """One capture's date, and the reason in words."""
    ready = installation(context)
    output(context).thing(_view(ready, ready.due_dates.explain(capture)))


@app.command("policy")
def policy(
    context: typer.Context,
    years: Annotated[int, typer.Option(help="Calendar years; never under the legal minimum.")],
    basis: Annotated[str, typer.Option(help="The rule or contract that asks for it.")],
    effective: Annotated[str | None, typer.Option("--from", help="Default: now.")] = None,
) -> None:
    """Set a new version of the policy. A longer one extends what is kept; a shorter one binds later records only."""
    ready = installation(context)
    start = None if effective is None else moment(effective, ready.settings.zone, "from")
    made = ready.policies.set(organisation(ready), years, basis, request(ready).principal, effective_from=start)
    output(context).thing(
        {
            "id": made.id,
            "version": made.version,
            "years": made.years,
            "basis": made.basis,
            "effective_from": shown(made.effective_from, ready.settings.zone),
        }
    )


def _view(ready: Installation, item: DueItem) -> dict[str, Any]:
    return {
        "capture": item.capture,
        "eligible": item.eligible,
        "due": item.due and item.due.isoformat(),
        "until": shown(item.until, ready.settings.zone),
        "reason": item.reason,
        "reason_zh": item.reason_zh,
    }
