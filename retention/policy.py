"""How long a record is kept: the retention rules as pure functions of facts and time.

Days are calendar days in the archive's time zone. A record is kept through its last day and may be appraised
for disposal from the next one. Rule numbers are those of the archive's evidence rules.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from archiver.errors import InputError
from archiver.times import utc
from archiver.values import Policy, ProjectEnd
from archiver.vocabulary import CHINESE, EndBasis

MINIMUM_YEARS = 15
"""Government Procurement Law Art. 42: at least fifteen years from the end of the procurement. Nothing goes
below."""

MAXIMUM_YEARS = 100
"""A lock can't be taken back, so a slip of the keyboard must not make one of a thousand years."""

LAW = "Government Procurement Law Art. 42"
LAW_ZH = "《政府采购法》第四十二条"

_BASES: dict[str, str] = {
    EndBasis.ACCEPTANCE: "acceptance",
    EndBasis.QUERY_REPLY: "reply to a query",
    EndBasis.COMPLAINT_DECISION: "complaint decision",
    EndBasis.TERMINATION: "termination",
}


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a date is what it is, in words: English and Chinese."""

    en: str
    zh: str


@dataclass(frozen=True, slots=True)
class Record:
    """The facts that the date of one capture follows from.

    `bound` is the date that it already has (None before the first), `policies` every version that was in
    force since it was bound, `end` the fact that starts its period (None while the procurement goes on).
    """

    capture_end: datetime
    bound: datetime | None
    policies: tuple[Policy, ...]
    end: ProjectEnd | None = None
    complaint_open: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "capture_end", utc(self.capture_end))


@dataclass(frozen=True, slots=True)
class Keeping:
    """How long a record is kept: locked until `until`; `due` is its last day, None while no end is known."""

    until: datetime
    due: date | None
    eligible: bool
    reason: Reason


def check_years(years: int, field: str = "years") -> int:
    """`years` if a policy may ask for it; InputError otherwise (nothing goes below 15)."""
    if not MINIMUM_YEARS <= years <= MAXIMUM_YEARS:
        allowed = f"{MINIMUM_YEARS} to {MAXIMUM_YEARS} years"
        raise InputError(f"a retention of {years} years is not allowed: {allowed} ({LAW})", errors={field: allowed})
    return years


def last_day(day: date, years: int) -> date:
    """`years` calendar years after `day`; a 29 February that isn't there rolls to 1 March (rule 3)."""
    leap_day = day.month == 2 and day.day == 29
    year = day.year + years
    if leap_day and not _is_leap(year):
        return date(year, 3, 1)
    return day.replace(year=year)


def after_day(day: date, zone: ZoneInfo) -> datetime:
    """When `day` is over in the archive's time zone: locks last till then (UTC)."""
    following = day + timedelta(days=1)
    return utc(datetime(following.year, following.month, following.day, tzinfo=zone))


def day_before(moment: datetime, zone: ZoneInfo) -> date:
    """The last whole day that a lock until `moment` covers."""
    return (utc(moment).astimezone(zone) - timedelta(microseconds=1)).date()


def local_day(moment: datetime, zone: ZoneInfo) -> date:
    return utc(moment).astimezone(zone).date()


def years_later(moment: datetime, years: int, zone: ZoneInfo) -> datetime:
    """When the day `years` after the local day of `moment` is over."""
    return after_day(last_day(local_day(moment, zone), years), zone)


def in_force(policies: Iterable[Policy], moment: datetime) -> tuple[Policy, ...]:
    """Of each policy the latest version that had taken effect at `moment`."""
    latest: dict[str, Policy] = {}
    for policy in sorted(policies, key=lambda policy: policy.version):
        if policy.effective_from <= moment:
            latest[policy.id] = policy
    return tuple(latest.values())


def ever_bound(policies: Sequence[Policy], bound_at: datetime, now: datetime) -> tuple[Policy, ...]:
    """The versions that count for a record bound at `bound_at`: those in force then, and every later one.

    A shorter one changes nothing, since the longest decides; a longer one extends all (rule 6).
    """
    later = tuple(policy for policy in policies if bound_at < policy.effective_from <= now)
    return in_force(policies, bound_at) + later


def governing_years(policies: Iterable[Policy], minimum: int = MINIMUM_YEARS) -> int:
    """The longest of the legal minimum and every policy (rule 5)."""
    return max([MINIMUM_YEARS, minimum, *(policy.years for policy in policies)])


def project_end(ends: Sequence[ProjectEnd], bases: Collection[str] = frozenset(EndBasis)) -> ProjectEnd | None:
    """The fact that starts the period: of `ends`, in the order they were stated, the latest day (rule 4).

    A second statement on the same basis corrects the first (rule 2). `bases` are those that count.
    """
    stated = {end.basis: end for end in ends if end.basis in bases}
    return max(stated.values(), key=lambda end: end.day, default=None)


def decide(record: Record, now: datetime, zone: ZoneInfo, minimum: int = MINIMUM_YEARS) -> Keeping:
    """The date of a record at `now`: the latest that any rule asks for, never before `record.bound` (rules 5
    and 6).
    """
    years = governing_years(record.policies, minimum)
    asked = _asked(record, now, years, zone)
    until = max(asked, years_later(record.capture_end, years, zone), record.bound or asked)
    due = None if record.end is None else day_before(until, zone)
    return Keeping(
        until=until,
        due=due,
        eligible=due is not None and not record.complaint_open and now >= until,
        reason=_reason(record, day_before(until, zone), years, longer=until > asked),
    )


def _asked(record: Record, now: datetime, years: int, zone: ZoneInfo) -> datetime:
    """What the rules ask for, whatever was locked before (rules 3 and 10)."""
    if record.end is not None:
        return after_day(last_day(record.end.day, years), zone)
    if record.bound is not None and needs_renewal(record.bound, now, years, zone):
        return years_later(max(now, record.capture_end), years, zone)
    return record.bound or years_later(record.capture_end, years, zone)


def needs_renewal(bound: datetime, now: datetime, years: int, zone: ZoneInfo) -> bool:
    """Whether a year has passed since the lock reached `years` ahead: then it is renewed (rule 10)."""
    return bound <= years_later(now, years - 1, zone)


def _is_leap(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def _reason(record: Record, day: date, years: int, *, longer: bool) -> Reason:
    basis, basis_zh = _ground(record.policies, years)
    if longer:
        en = "it was locked until then before, and a date is never lowered"
        zh = "此前已锁定至该日,保管日期不得提前"
    elif record.end is None:
        en = f"the procurement has not ended: {basis} asks for {years} years from its end; the date moves on each year"
        zh = f"采购活动尚未结束:依据{basis_zh},自采购结束之日起保存{years}年,日期逐年顺延"
    else:
        en = (
            f"the procurement ended on {record.end.day} ({_BASES.get(record.end.basis, record.end.basis)}, "
            f"{record.end.document}) and {basis} asks for {years} years from then"
        )
        zh = (
            f"采购活动于{record.end.day}结束({CHINESE.get(record.end.basis, record.end.basis)},"
            f"{record.end.document}),依据{basis_zh}须保存{years}年"
        )
    if record.complaint_open:
        en += "; a complaint is open, so it can't be disposed of before that is decided"
        zh += ";投诉处理期间不得销毁"
    return Reason(f"kept until {day} because {en}", f"保存至{day},因为{zh}")


def _ground(policies: Sequence[Policy], years: int) -> tuple[str, str]:
    """What the number of years rests on: the longest policy, or the law itself."""
    for policy in policies:
        if policy.years == years:
            return policy.basis, policy.basis
    return LAW, LAW_ZH
