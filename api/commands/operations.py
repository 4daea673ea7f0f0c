"""`archiver doctor`, `rebuild`, `db` and `token`: the installation itself."""

from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from api.commands.context import installation, organisation, output, request
from api.output import note, shown
from api.views import token_view
from archiver.adapters.catalogue import schema
from archiver.adapters.signer import trust
from archiver.errors import InputError
from archiver.vocabulary import Role
from config.doctor import examine

database = typer.Typer(help="The catalogue's tables.", no_args_is_help=True)
token = typer.Typer(help="API tokens.", no_args_is_help=True)


def doctor(context: typer.Context) -> None:
    """Say what is wrong with this installation, and how to mend it. Exit code 1 if something is."""
    ready = installation(context)
    symptoms = examine(ready)
    ok = all(symptom.ok or symptom.warning for symptom in symptoms)
    if output(context).as_json:
        output(context).thing({"ok": ok, "home": str(ready.settings.home), "checks": [asdict(one) for one in symptoms]})
    else:
        for one in symptoms:
            mark = "ok  " if one.ok else "note" if one.warning else "BAD "
            print(f"{mark}  {one.name}: {one.found}" + ("" if one.ok else f"\n      {one.mend}"))
        print("all is well" if ok else "something is wrong: see above")
    raise typer.Exit(0 if ok else 1)


def rebuild(
    context: typer.Context,
    trusted: Annotated[
        Path | None, typer.Option("--trust", help="Roots of a lost home, PEM: trusted from now on.")
    ] = None,
) -> None:
    """Make the catalogue again from the vault alone, into an empty one. Lists what is in no vault and so is gone."""
    ready = installation(context, anew=True)
    if trusted is not None:
        trust(ready.settings.keys / "trusted", _read(trusted))
    result = ready.rebuild()
    output(context).thing(
        {
            "batches": result.batches,
            "events": result.events,
            "segments": result.segments,
            "seals": result.seals,
            "last_event_at": shown(result.last_event_at, ready.settings.zone),
            "gone": list(result.gone),
        }
    )


@database.command("upgrade")
def upgrade(context: typer.Context) -> None:
    """Bring the catalogue's tables to this program's version."""
    ready = installation(context)
    differences = schema.check(ready.settings.catalogue_url)
    output(context).thing({"ok": not differences, "differences": differences})


@token.command("create")
def create_token(
    context: typer.Context,
    name: Annotated[str, typer.Option(help="Whose it is, or what for.")],
    days: Annotated[int | None, typer.Option(min=1, max=3650, help="Expires after so many days.")] = None,
) -> None:
    """Make a token. It is shown this once and kept nowhere."""
    ready = installation(context)
    expires = None if days is None else ready.clock.now() + timedelta(days=days)
    made, secret = ready.tokens.create(request(ready), name, Role.ADMINISTRATOR, expires)
    note("keep this token now: it can't be shown again")
    output(context).thing({**token_view(made), "token": secret})


@token.command("list")
def list_tokens(context: typer.Context) -> None:
    """Tokens, without their secrets."""
    ready = installation(context)
    items = [token_view(one) for one in ready.tokens.list(organisation(ready))]
    output(context).listing(items, ("id", "name", "role", "created_at", "expires_at", "revoked_at"))


@token.command("revoke")
def revoke_token(context: typer.Context, id: str) -> None:
    """From now on the token opens nothing."""
    ready = installation(context)
    output(context).thing(token_view(ready.tokens.revoke(request(ready), id)))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} can't be read: {error.strerror}", errors={"trust": "a PEM file"}) from None


commands = (doctor, rebuild)
