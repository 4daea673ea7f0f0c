"""Times of the core: aware UTC datetimes, whole microseconds where they are stored."""

from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


def utc(moment: datetime) -> datetime:
    """`moment` in UTC; a naive one is a mistake of the caller (ValueError)."""
    if moment.tzinfo is None:
        raise ValueError(f"{moment} has no time zone")
    return moment.astimezone(UTC)


def to_us(moment: datetime) -> int:
    """Microseconds since 1970 of an aware time."""
    return (utc(moment) - EPOCH) // MICROSECOND


def from_us(us: int) -> datetime:
    """The UTC time of microseconds since 1970."""
    return EPOCH + timedelta(microseconds=us)


def to_text(moment: datetime) -> str:
    """ISO 8601 UTC with microseconds, as stored documents carry it: 2026-11-23T01:00:00.000000Z."""
    return utc(moment).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def from_text(text: str) -> datetime:
    """Reads `to_text`, and any ISO 8601 time with an offset; ValueError for anything else."""
    return utc(datetime.fromisoformat(text))
