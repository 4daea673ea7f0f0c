"""The recorder process shares its machine with the cameras: it stays small."""

import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]
HEAVY = ("av", "minio", "pydantic", "fastapi", "starlette", "dbos", "apscheduler", "rich", "typer", "numpy", "alembic")
PROBE = f"""
import sys
import archiver.adapters.catalogue.catalogue, archiver.adapters.clock
import ingest.adapters.ffmpeg, ingest.adapters.recorder_process, ingest.adapters.spool
import ingest.desk, ingest.recording, ingest.recovery, ingest.rounds, ingest.worker
print([name for name in {HEAVY!r} if name in sys.modules])
"""


def test_recording_loads_no_heavy_package() -> None:
    """What deposits, serves and transcodes lives in other processes."""
    found = subprocess.run([sys.executable, "-c", PROBE], cwd=CHECKOUT, capture_output=True, check=True, text=True)
    assert found.stdout.strip() == "[]"
