"""What every command starts from: the installation at the home folder, and who is asking."""

import getpass
from typing import cast

import typer

from api.output import Output
from archiver.requests import Request
from archiver.values import Principal
from archiver.vocabulary import Role
from config.settings import load
from config.wiring import Installation

PAGE = 100


def output(context: typer.Context) -> Output:
    return cast(Output, context.obj)


def installation(context: typer.Context, *, anew: bool = False) -> Installation:
    """The home folder, made ready on first use; `anew` also where its catalogue is lost."""
    ready = _opened(context)
    ready.set_up(anew=anew)
    return ready


def vault_and_keys(context: typer.Context) -> Installation:
    """As `installation`, but where the catalogue is lost, or was not copied along, none is made."""
    ready = _opened(context)
    if not ready.has_lost_catalogue():
        ready.set_up()
    return ready


def _opened(context: typer.Context) -> Installation:
    ready = Installation(load(output(context).home))
    context.call_on_close(ready.close)
    return ready


def operator() -> Principal:
    """Who sits at this machine: whoever may read the home folder's keys is its administrator."""
    return Principal(f"local:{getpass.getuser()}", "local", Role.ADMINISTRATOR)


def organisation(ready: Installation) -> str:
    return ready.settings.archive.organisation


def request(ready: Installation) -> Request:
    return Request(ready.settings.archive.organisation, operator())
