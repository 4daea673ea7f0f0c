"""The command line: data on stdout, the rest on stderr, exit codes that scripts rely on (docs/cli.md)."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from api.commands import captures, evidence, operations, registry, retention, roles
from api.output import Output
from archiver.errors import ArchiverError, InputError

FLAGS = ("--json",)
WITH_VALUE = ("--home",)

app = typer.Typer(
    help="An audio/video evidence archive for public procurement.\n\n"
    "--home FOLDER and --json may stand anywhere on the line.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    add_completion=False,
)


@app.callback()
def settle(
    context: typer.Context,
    home: Annotated[Path | None, typer.Option(help="The home folder (else ARCHIVER_HOME).")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    context.obj = Output(as_json=json, home=home)


app.add_typer(registry.project, name="project")
app.add_typer(registry.location, name="location")
app.add_typer(registry.source, name="source")
app.add_typer(captures.capture, name="capture")
app.add_typer(retention.app, name="retention")
app.add_typer(operations.database, name="db")
app.add_typer(operations.token, name="token")
for commands in (captures.commands, evidence.commands, operations.commands, roles.commands):
    for command in commands:
        app.command()(command)


def main(arguments: list[str] | None = None) -> int:
    """Run one command; its exit code."""
    words = _globals_first(sys.argv[1:] if arguments is None else arguments)
    output = Output(as_json="--json" in words, home=None)
    try:
        return int(app(words, standalone_mode=False, prog_name="archiver") or 0)
    except ArchiverError as error:
        output.failure(error)
        return error.exit_code
    except typer.TyperException as error:
        output.failure(InputError(_usage(error)))
        return InputError.exit_code
    except (typer.Abort, KeyboardInterrupt):
        print("interrupted", file=sys.stderr)
        return 130


def _usage(error: typer.TyperException) -> str:
    """What was wrong with the words, and where to read how they go."""
    message = getattr(error, "format_message", lambda: str(error))()
    context = getattr(error, "ctx", None)
    return f"{message} (see {context.command_path if context else 'archiver'} --help)"


def _globals_first(words: list[str]) -> list[str]:
    """`--json` and `--home` moved to the front, where the parser wants them. What follows `--` stays as it is."""
    front: list[str] = []
    rest: list[str] = []
    given = iter(words)
    for word in given:
        if word == "--":
            rest += [word, *given]
        elif word in WITH_VALUE:
            front += [word, *(value for value in (next(given, None),) if value is not None)]
        elif word in FLAGS or word.startswith(tuple(f"{name}=" for name in WITH_VALUE)):
            front.append(word)
        else:
            rest.append(word)
    return front + rest
