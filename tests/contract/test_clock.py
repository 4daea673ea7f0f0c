"""Clocks: aware UTC, a second hand that only grows, and an honest word on NTP."""

from datetime import UTC, datetime, timedelta

import pytest

from archiver.adapters import clock as module
from archiver.adapters.clock import SystemClock
from archiver.ports import Clock
from tests.doubles import ManualClock, RealClock

STATES = {"synchronised", "unsynchronised", "unknown"}


@pytest.fixture(params=[SystemClock, RealClock, ManualClock])
def clock(request) -> Clock:
    return request.param()


def test_now_is_utc(clock):
    """Times are aware, in UTC, and don't go back between two readings."""
    first, second = clock.now(), clock.now()
    assert first.tzinfo is UTC and first <= second


def test_monotonic_only_grows(clock):
    """Seconds that never go back."""
    readings = [clock.monotonic() for _ in range(100)]
    assert readings == sorted(readings)


def test_ntp_state_is_one_of_its_words(clock):
    """Synchronised, not, or unknown: never a guess."""
    assert clock.ntp_state() in STATES


class TestSystemClock:
    """What the host's clock alone promises."""

    def test_it_is_the_hosts(self):
        """It tells the time of this machine."""
        assert abs(SystemClock().now() - datetime.now(UTC)) < timedelta(seconds=5)

    @pytest.mark.parametrize(
        ("status", "words"),
        [(None, "unknown"), (0x2001, "synchronised"), (0x40, "unsynchronised"), (0x2041, "unsynchronised")],
    )
    def test_what_the_kernel_says(self, monkeypatch, status, words):
        """STA_UNSYNC of adjtimex(2) decides; a kernel that can't be asked gives unknown."""
        monkeypatch.setattr(module, "_kernel_status", lambda: status)
        assert SystemClock().ntp_state() == words
