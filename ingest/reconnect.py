"""When to try a lost source again. Pure: the caller brings seconds and a random number."""

from dataclasses import dataclass

from archiver.vocabulary import GapCause

FIRST_S = 0.5
CAP_S = 3.0
REFUSED_CAP_S = 15.0
STEADY_S = 60.0


@dataclass(frozen=True, slots=True)
class Backoff:
    """Jittered exponential waits from `FIRST_S` to `CAP_S` seconds: a source that returns is caught soon, and one
    attempt in three seconds is no storm. Where a password was refused they grow to `REFUSED_CAP_S`: cameras lock out
    who tries too often. Only `STEADY_S` seconds of media make it start over, so that a camera which answers and dies
    at once is not hammered.
    """

    failures: int = 0
    refused: bool = False

    def after_loss(self, media_s: float, cause: GapCause) -> "Backoff":
        """After a stream that gave `media_s` seconds of media, 0 when it never gave any."""
        return Backoff(1 if media_s >= STEADY_S else self.failures + 1, cause is GapCause.AUTH_FAILED)

    def delay_s(self, chance: float) -> float:
        """How long to wait before the next attempt; `chance` is in [0, 1)."""
        if self.failures == 0:
            return 0.0
        cap = REFUSED_CAP_S if self.refused else CAP_S
        ceiling = min(cap, FIRST_S * 2.0 ** min(self.failures - 1, 16))
        return ceiling * (0.5 + chance / 2)
