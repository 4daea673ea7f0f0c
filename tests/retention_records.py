"""Records and policies for the tests of the retention rules."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from archiver.values import Policy, ProjectEnd
from archiver.vocabulary import EndBasis
from retention.policy import Record

SHANGHAI = ZoneInfo("Asia/Shanghai")
CAPTURE_END = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)

days = st.dates(date(2000, 1, 1), date(2200, 12, 31))
moments = st.integers(946_684_800, 7_258_118_400).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))
year_counts = st.integers(15, 100)
zones = st.sampled_from(["Asia/Shanghai", "UTC", "America/New_York", "Pacific/Apia", "America/Sao_Paulo"]).map(ZoneInfo)


def policy(years: int, *, id: str = "legal", version: int = 1, since: datetime = datetime(2020, 1, 1, tzinfo=UTC)):
    return Policy(id, "centre", version, years, f"rule of {years} years", since)


def end(day: date, basis: EndBasis = EndBasis.ACCEPTANCE, document: str = "doc 7") -> ProjectEnd:
    return ProjectEnd(day, basis, document, "Li Hua")


def record(**facts) -> Record:
    return Record(**{"capture_end": CAPTURE_END, "bound": None, "policies": (), **facts})


records = st.builds(
    Record,
    capture_end=moments,
    bound=st.none() | moments,
    policies=st.lists(year_counts.map(policy), max_size=3).map(tuple),
    end=st.none() | days.map(end),
    complaint_open=st.booleans(),
)
