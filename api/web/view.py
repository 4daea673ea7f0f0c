"""How pages are rendered: language, time zone, words, templates."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs
from zoneinfo import ZoneInfo

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from api.services import Services
from api.web import words
from api.web.words import Language
from archiver.errors import InputError
from archiver.mistakes import Mistake

LANGUAGE_COOKIE = "archiver_language"
MAX_FORM = 64 * 1024

templates = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


@dataclass(frozen=True, slots=True)
class Form:
    """What a form sent: one text for each field, empty where it has none."""

    values: Mapping[str, str] = field(default_factory=dict)
    lists: Mapping[str, list[str]] = field(default_factory=dict)

    def text(self, name: str) -> str:
        return self.values.get(name, "").strip()

    def moment(self, name: str, zone: ZoneInfo, label: str | None = None) -> datetime:
        """A local time of the archive's zone, or one with an offset; InputError names `label`."""
        found = self.optional_moment(name, zone, label)
        if found is None:
            raise InputError("a time is missing", errors={label or name: Mistake.REQUIRED})
        return found

    def optional_moment(self, name: str, zone: ZoneInfo, label: str | None = None) -> datetime | None:
        text = self.text(name)
        try:
            found = _in_zone(datetime.fromisoformat(text), zone) if text else None
            if found is not None and not 1970 <= found.year < 9000:
                raise ValueError(text)
        except ValueError:
            raise InputError("a time can't be read", errors={label or name: Mistake.NO_OFFSET}) from None
        return found


def _in_zone(given: datetime, zone: ZoneInfo) -> datetime:
    """A wall-clock time as a moment; ValueError for one that the zone skips or repeats, as it would be a guess."""
    if given.tzinfo is not None:
        return given
    early, late = given.replace(tzinfo=zone, fold=0), given.replace(tzinfo=zone, fold=1)
    if early.utcoffset() != late.utcoffset():
        raise ValueError(f"{given} is not one moment in {zone.key}")
    return early


async def read_form(request: Request) -> Form:
    """A dependency: the urlencoded form of the request."""
    data = bytearray()
    async for piece in request.stream():
        data += piece
        if len(data) > MAX_FORM:
            raise InputError("this form is too large")
    lists = parse_qs(data.decode("utf-8", "replace"), keep_blank_values=True)
    return Form({name: values[-1] for name, values in lists.items()}, lists)


def language(request: Request, svc: Services) -> Language:
    """The reader's choice, else what the browser prefers, else the archive's."""
    chosen = words.as_language(request.cookies.get(LANGUAGE_COOKIE, ""))
    if chosen:
        return chosen
    for part in request.headers.get("accept-language", "").split(","):
        preferred = words.as_language(part.strip()[:2].lower())
        if preferred:
            return preferred
    return words.as_language(svc.language) or "zh"


def render(request: Request, svc: Services, template: str, status: int = 200, **values: Any) -> HTMLResponse:
    """A page in the reader's language."""
    spoken = language(request, svc)
    here = request.url.path + (f"?{request.url.query}" if request.url.query and request.method == "GET" else "")
    text = templates.get_template(template).render(
        t=partial(words.word, spoken),
        term=partial(words.term, spoken),
        wrong=partial(words.mistake, spoken),
        reason=partial(words.reason, spoken),
        said=partial(words.said, spoken),
        language=spoken,
        here=here if request.method == "GET" else "/",
        when=partial(when, svc.zone),
        clock=partial(clock, svc.zone),
        local=partial(local, svc.zone),
        length=length,
        zone=zone_name(svc.zone, svc.clock.now()),
        vault_label=svc.vault.label,
        **{"errors": {}, "message": None, "nav": None, "signed_in": True, **values},
    )
    return HTMLResponse(text, status)


def when(zone: ZoneInfo, moment: datetime) -> str:
    """2026-11-24 09:30:00 +08:00."""
    text = moment.astimezone(zone).isoformat(sep=" ", timespec="seconds")
    return f"{text[:19]} {text[19:]}"


def clock(zone: ZoneInfo, moment: datetime) -> str:
    """09:30:00.0, on the archive's wall."""
    return moment.astimezone(zone).strftime("%H:%M:%S.%f")[:-5]


def local(zone: ZoneInfo, moment: datetime) -> str:
    """As an input of local time wants it."""
    return moment.astimezone(zone).strftime("%Y-%m-%dT%H:%M:%S")


def length(seconds: float) -> str:
    """1:02:03.4, hours only where there are any."""
    tenths = round(seconds * 10)
    minutes, rest = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    tail = f"{minutes:02d}:{rest // 10:02d}.{rest % 10}" if hours else f"{minutes}:{rest // 10:02d}.{rest % 10}"
    return f"{hours}:{tail}" if hours else tail


def zone_name(zone: ZoneInfo, now: datetime) -> str:
    """Asia/Shanghai (UTC+08:00)."""
    offset = now.astimezone(zone).isoformat()[-6:]
    return f"{zone.key} (UTC{offset})"
