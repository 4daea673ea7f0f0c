"""What the page's player plays: which source, from which moment, and whether a browser can."""

from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode

from api.services import Services
from archiver.copies import PendingError
from archiver.errors import InputError, MixedFormatsError, NotFoundError
from archiver.surveying import Survey
from archiver.times import to_text
from archiver.values import Job
from archiver.vocabulary import JobState


@dataclass(frozen=True, slots=True)
class Player:
    """`url` is None where nothing can be played; then `problem` is a word of the page, or there are `parts`. `making`
    is the job that makes what can be played.
    """

    source: str
    name: str
    at: datetime
    url: str | None = None
    problem: str | None = None
    parts: tuple[tuple[datetime, datetime], ...] = ()
    copy: bool = False
    making: Job | None = None


def player(
    svc: Services, organisation: str, survey: Survey, source: str, at: datetime | None, to: datetime | None
) -> Player | None:
    """None while nobody asked to watch."""
    capture = survey.capture
    if source not in capture.sources:
        return None
    name = survey.names[capture.sources.index(source)]
    start, end = at or capture.window.start, to or capture.window.end
    try:
        media = svc.playback.browser(organisation, capture.id, source, start, end)
    except MixedFormatsError as error:
        return Player(source, name, start, parts=error.parts)
    except PendingError as error:
        return _pending(source, name, start, error.job)
    except (NotFoundError, InputError):
        return Player(source, name, start, problem="no_media_at")
    query = urlencode({"from": to_text(start), "to": to_text(end), "rendition": "browser"})
    url = f"/api/v1/captures/{capture.id}/sources/{source}/media.mp4?{query}"
    return Player(source, name, media.span.start, url, copy=media.copy)


def _pending(source: str, name: str, at: datetime, job: Job | None) -> Player:
    """A failed copy isn't waited for."""
    if job is None:
        return Player(source, name, at, problem="rendition_later")
    if job.state is JobState.FAILED:
        return Player(source, name, at, problem="rendition_failed")
    return Player(source, name, at, problem="rendition_pending", making=job)
