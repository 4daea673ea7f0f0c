"""`archiver export` and `archiver verify`: what is taken away, and what is proved."""

import hashlib
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress as Bar

from api.commands.context import installation, output, request, vault_and_keys
from api.output import moment, note
from api.views import verification_view
from archiver import takeaways
from archiver.adapters.shelf import FolderShelf
from archiver.canonical import digest_of, digest_text
from archiver.errors import InputError, NotFoundError
from archiver.exporting import INDEX, Exporting, Wanted
from archiver.ids import is_id
from archiver.ports import Progress
from archiver.values import Verification
from archiver.verifying import verification_run


def export(
    context: typer.Context,
    capture: str,
    out: Annotated[Path, typer.Option("--out", help="A file for one part, else a folder with index.json.")],
    start: Annotated[str | None, typer.Option("--from", help="Default: the window's start.")] = None,
    end: Annotated[str | None, typer.Option("--to", help="Default: the window's end.")] = None,
    source: Annotated[list[str] | None, typer.Option(help="Only this source; may be repeated.")] = None,
    format: Annotated[str, typer.Option(help="mp4")] = "mp4",
) -> None:
    """Write a stretch of a capture to files, with their digests. Nothing is re-encoded."""
    ready = installation(context)
    if out.exists():
        raise InputError(f"{out} exists already; name a new file or folder", errors={"out": "a path that is free"})
    zone = ready.settings.zone
    wanted = Wanted(
        tuple(source or ()),
        None if start is None else moment(start, zone, "from"),
        None if end is None else moment(end, zone, "to"),
        format,
    )
    name = ready.new_id()
    shelf = out.with_name(f".{out.name}.{name}")
    exporting = Exporting(ready.catalogue, ready.clock, ready.new_id, ready.jobs, ready.playback, FolderShelf(shelf))
    try:
        with _Shown("exporting") as progress:
            result = exporting.export(request(ready), capture, wanted, name, progress)
        output(context).thing({**result, "path": str(_place(shelf / name, out, result["files"]))})
    finally:
        shutil.rmtree(shelf, ignore_errors=True)


def _place(work: Path, out: Path, files: Sequence[dict[str, Any]]) -> Path:
    """One part becomes the file itself, several the folder. MOV parts are named .mov."""
    if len(files) > 1 or not out.suffix:
        work.rename(out)
        return out
    name = str(files[0]["name"])
    target = out.with_suffix(Path(name).suffix)
    if target.exists():
        raise InputError(f"{target} exists already; name a new file", errors={"out": "a path that is free"})
    (work / name).rename(target)
    return target


def verify(
    context: typer.Context,
    what: Annotated[str | None, typer.Argument(help="A capture's id, or the folder of an exported copy.")] = None,
    all: Annotated[bool, typer.Option("--all", help="Every capture, and that nothing else lies in the vault.")] = False,
    trust: Annotated[Path | None, typer.Option(help="PEM file with the roots that you trust.")] = None,
) -> None:
    """Read every byte again and check it against what was sealed. Exit code 1 if anything doesn't hold."""
    if (what is None) is not all:
        raise InputError("name one capture, or --all", errors={"what": "a capture's id, or --all"})
    if what is not None and Path(what).is_dir():
        _verify_export(context, Path(what))
        return
    ready = vault_and_keys(context)
    verifying = ready.verifying_with(None if trust is None else _pem(trust))
    capture = None if all else what
    with _Shown("verifying") as progress:
        outcome = verifying.verify_all(progress) if capture is None else verifying.verify(_known(capture), progress)
    if ready.has_lost_catalogue():
        note("there is no catalogue here: this was verified by the vault alone, and no event states it")
    else:
        with ready.catalogue.transaction() as tx:
            tx.events.append(verification_run(capture, outcome, request(ready).principal, ready.clock.now()))
    _show(context, outcome)


def _known(capture: str) -> str:
    if not is_id(capture):
        raise NotFoundError(f"there is no capture and no folder {capture}")
    return capture


def _pem(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} can't be read: {error.strerror}", errors={"trust": "a PEM file"}) from None


def _show(context: typer.Context, outcome: Verification) -> None:
    view = verification_view(outcome)
    if output(context).as_json:
        output(context).thing(view)
    else:
        _say(view)
    raise typer.Exit(0 if outcome.ok else 1)


def _say(view: dict[str, Any]) -> None:
    for check in view["checks"]:
        print(f"{check['number']:>3}  {'holds' if check['ok'] else 'FAILS'}  {check['name']}")
    for finding in view["findings"]:
        print(f"{finding['severity']}: {finding['code']}: {finding['object']}")
        print(f"       expected {finding['expected']}; found {finding['found']}")
    print("everything that was checked holds" if view["ok"] else "NOT everything holds")


def _verify_export(context: typer.Context, folder: Path) -> None:
    """No home folder is needed."""
    index = folder / INDEX
    if not index.is_file():
        raise InputError(f"{folder} has no {INDEX}: it is no export", errors={"what": "the folder of an export"})
    found = {
        str(path.relative_to(folder)): _read(path)
        for path in sorted(folder.rglob("*"))
        if path != index and not path.is_dir()
    }
    _show(context, takeaways.verify(index.read_bytes(), found))


def _read(path: Path) -> takeaways.Found:
    """A link counts as what it is, an empty file that nobody listed: it is not followed."""
    if path.is_symlink() or not path.is_file():
        return takeaways.Found(0, digest_of(b""))
    with path.open("rb") as file:
        return takeaways.Found(path.stat().st_size, digest_text(hashlib.file_digest(file, "sha256").hexdigest()))


class _Shown:
    """A bar on stderr while something runs; nothing when stderr is no terminal."""

    def __init__(self, what: str) -> None:
        self._bar = Bar(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty())
        self._task = self._bar.add_task(what, total=None)

    def __enter__(self) -> Progress:
        self._bar.start()
        return self._tell

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def _tell(self, done: int, total: int | None = None) -> None:
        self._bar.update(self._task, completed=done, total=total)


commands = (export, verify)
