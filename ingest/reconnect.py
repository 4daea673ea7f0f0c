"""When to try a lost source again. Pure: the caller brings seconds and a random number."""

from dataclasses import dataclass

FIRST_S = 0.5
CAP_S = 15.0
STEADY_S = 60.0


@dataclass(frozen=True, slots=True)
class Backoff:
    """Jittered exponential waits between `FIRST_S` and `CAP_S` seconds: short enough that a returning source is
    caught soon. Only `STEADY_S` seconds of media make it start over, so that a camera which answers and dies at once
    is not hammered.
    """

    failures: int = 0

    def after_loss(self, media_s: float) -> "Backoff":
        """After a stream that gave `media_s` seconds of media, 0 when it never gave any."""
        return Backoff(1 if media_s >= STEADY_S else self.failures + 1)

    def delay_s(self, chance: float) -> float:
        """How long to wait before the next attempt; `chance` is in [0, 1)."""
        if self.failures == 0:
            return 0.0
        ceiling = min(CAP_S, FIRST_S * 2.0 ** min(self.failures - 1, 16))
        return ceiling * (0.5 + chance / 2)
