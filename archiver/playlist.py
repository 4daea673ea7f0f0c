"""An HLS playlist (RFC 8216) of stored recordings: byte ranges of the segments themselves. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil

from archiver.stretches import Placed, Run
from archiver.timeline import Interval
from archiver.values import Segment


@dataclass(frozen=True, slots=True)
class Group:
    """Fragments of one segment that begin with a keyframe: what a player can fetch and decode alone."""

    fragments: tuple[Placed, ...]

    @property
    def first(self) -> Placed:
        return self.fragments[0]

    @property
    def seconds(self) -> float:
        return (self.fragments[-1].end - self.first.start).total_seconds()

    @property
    def size(self) -> int:
        return sum(fragment.entry.size for fragment in self.fragments)


def playlist(runs: Sequence[Run], window: Interval, *, ended: bool) -> str:
    """Addresses are relative to the playlist. Without `ended` a player asks again for more."""
    lined = [(run, [group for group in groups(run) if _inside(group, window)]) for run in runs]
    longest = max((group.seconds for _, kept in lined for group in kept), default=1.0)
    lines = ["#EXTM3U", "#EXT-X-VERSION:7", "#EXT-X-INDEPENDENT-SEGMENTS", f"#EXT-X-TARGETDURATION:{ceil(longest)}"]
    lines += ["#EXT-X-PLAYLIST-TYPE:VOD" if ended else "#EXT-X-PLAYLIST-TYPE:EVENT", "#EXT-X-MEDIA-SEQUENCE:0"]
    for number, (run, kept) in enumerate(entry for entry in lined if entry[1]):
        lines += _recording(run, kept, later=number > 0)
    return "\n".join([*lines, *(["#EXT-X-ENDLIST"] if ended else [])]) + "\n"


def groups(run: Run) -> Iterator[Group]:
    """The run's fragments, a group from each keyframe, and a new one where a segment begins."""
    held: list[Placed] = []
    for fragment in run.fragments:
        begins = fragment.entry.keyframe and any(one.entry.keyframe for one in held)
        if held and (begins or fragment.segment.key != held[-1].segment.key):
            yield Group(tuple(held))
            held = []
        held.append(fragment)
    if held:
        yield Group(tuple(held))


def _recording(run: Run, kept: Sequence[Group], *, later: bool) -> Iterator[str]:
    if later:
        yield "#EXT-X-DISCONTINUITY"
    segment = run.fragments[0].segment
    yield f'#EXT-X-MAP:URI="{_address(segment)}",BYTERANGE="{segment.init_size}@0"'
    for index, group in enumerate(kept):
        if index and _hole(kept[index - 1], group):
            yield "#EXT-X-DISCONTINUITY"
        yield f"#EXT-X-PROGRAM-DATE-TIME:{group.first.start.isoformat(timespec='milliseconds')}"
        yield f"#EXTINF:{group.seconds:.6f},"
        yield f"#EXT-X-BYTERANGE:{group.size}@{group.first.entry.offset}"
        yield _address(group.first.segment)


def _hole(before: Group, after: Group) -> bool:
    """Whether decode times leave a hole: anchors never make one inside a recording."""
    last = before.fragments[-1].entry
    return after.first.entry.tfdt > last.tfdt + last.duration + before.first.segment.timescale // 10


def _inside(group: Group, window: Interval) -> bool:
    return group.first.start < window.end and group.fragments[-1].end > window.start


def _address(segment: Segment) -> str:
    return f"segments/{segment.recording}/{segment.seq}.mp4"
