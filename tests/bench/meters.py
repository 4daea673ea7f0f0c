"""What a process costs: CPU-seconds and PSS, from /proc."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
MIB = 2**20


@dataclass(frozen=True, slots=True)
class Cost:
    """`cpu_s`: user and system time, reaped children included; `pss`: proportional memory, bytes."""

    cpu_s: float
    pss: int

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(self.cpu_s + other.cpu_s, self.pss + other.pss)


def cost(pids: Iterable[int]) -> Cost:
    """Of these processes together; one that has ended meanwhile counts nothing."""
    return sum((_cost(pid) for pid in pids), Cost(0.0, 0))


def _cost(pid: int) -> Cost:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return Cost(0.0, 0)
    pss = next(int(line.split()[1]) * 1024 for line in rollup.splitlines() if line.startswith("Pss:"))
    return Cost(sum(map(int, fields[11:15])) / TICKS, pss)


def machine() -> str:
    """What this was measured on."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(":")[2].strip() for line in lines if "model name" in line), "unknown processor")
    return f"{os.cpu_count()} x {model}"


def load() -> float:
    """Runnable processes, averaged over a minute: what else was going on."""
    return os.getloadavg()[0]
