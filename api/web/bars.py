"""Coverage bars: a window as a picture of what is recorded, missing and still to come. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from archiver.timeline import Interval
from archiver.values import Gap, SourceCoverage

WIDTH = 1000


@dataclass(frozen=True, slots=True)
class Block:
    """A stretch of a bar, in thousandths of its width. `gap` says why it is missing."""

    x: float
    width: float
    span: Interval
    gap: Gap | None = None


@dataclass(frozen=True, slots=True)
class Bar:
    """One source's bar; what no block covers is still to come."""

    source: str
    name: str
    window: Interval
    blocks: tuple[Block, ...]
    recorded_s: float
    missing_s: float
    gaps: tuple[Gap, ...]

    @property
    def first(self) -> datetime | None:
        """When the first recorded stretch begins."""
        return next((block.span.start for block in self.blocks if block.gap is None), None)


def bar(source: str, name: str, window: Interval, covered: SourceCoverage | None) -> Bar:
    recorded: Sequence[Interval] = covered.recorded if covered else ()
    gaps = covered.gaps if covered else ()
    blocks = [_block(window, span, None) for span in recorded] + [_block(window, gap.span, gap) for gap in gaps]
    return Bar(
        source,
        name,
        window,
        tuple(sorted(blocks, key=lambda block: block.x)),
        sum(span.length.total_seconds() for span in recorded),
        sum(gap.span.length.total_seconds() for gap in gaps),
        gaps,
    )


def _block(window: Interval, span: Interval, gap: Gap | None) -> Block:
    """A gap is never thinner than can be seen."""
    x = (span.start - window.start) / window.length * WIDTH
    width = max(span.length / window.length * WIDTH, 4.0 if gap else 0.5)
    return Block(round(min(x, WIDTH - width), 2), round(width, 2), span, gap)
