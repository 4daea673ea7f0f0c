"""Puts this checkout on its virtual environment's path and writes the `archiver` command, as an editable install does.

A build backend would have to be downloaded for that; two small files do the same from what is already here.
"""

import site
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
COMMAND = """#!{python}
import sys
from api.cli import main
sys.exit(main())
"""


def install() -> Path:
    """Write the path file and the command; the command's path."""
    Path(site.getsitepackages()[0], "archiver-checkout.pth").write_text(f"{CHECKOUT}\n", encoding="utf-8")
    command = Path(sys.prefix, "bin", "archiver")
    command.write_text(COMMAND.format(python=sys.executable), encoding="utf-8")
    command.chmod(0o755)
    return command


if __name__ == "__main__":
    if sys.prefix == sys.base_prefix:
        sys.exit("config.develop writes into a virtual environment; run it with that environment's python")
    install()
