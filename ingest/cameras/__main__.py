"""`python -m ingest.cameras COUNT [NAME:VIDEO:AUDIO …]`: a farm without the rest of the archive."""

import sys

from ingest.cameras.command import CamerasOptions, run_cameras

if __name__ == "__main__":
    sys.exit(run_cameras(CamerasOptions(count=int(sys.argv[1]), specs=sys.argv[2:])))
