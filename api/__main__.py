"""`python -m api` is the `archiver` command: how its processes start each other."""

import sys

from api.cli import main

sys.exit(main())
