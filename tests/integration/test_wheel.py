"""The wheel, in an environment that holds nothing else of this checkout."""

import json
import os
import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]
QUIET = ("--quiet", "--disable-pip-version-check", "--no-deps")


def run(*words: str | Path, cwd: Path = CHECKOUT, home: Path) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("ARCHIVER", "PYTHON"))}
    environment |= {"ARCHIVER_HOME": str(home / "home")}
    done = subprocess.run(list(map(str, words)), cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_wheel_has_all_it_needs(tmp_path: Path) -> None:
    """Installed with the locked packages into an empty environment, `archiver doctor` finds all well, from /; the
    catalogue's migrations, the page's templates and the style sheet are in it.
    """
    venv = tmp_path / "venv"
    run(sys.executable, "-m", "venv", venv, home=tmp_path)
    pip = venv / "bin" / "pip"
    run(pip, "wheel", *QUIET, "--wheel-dir", tmp_path / "dist", CHECKOUT, home=tmp_path)
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    run(pip, "install", *QUIET, "--require-hashes", "-r", "requirements/runtime.txt", home=tmp_path)
    run(pip, "install", *QUIET, wheel, home=tmp_path)
    doctor = run(venv / "bin" / "archiver", "doctor", "--json", cwd=Path("/"), home=tmp_path)
    assert json.loads(doctor)["ok"] is True
    package = next((venv / "lib").glob("python3.*")) / "site-packages"
    for part in ("api/web/templates/base.html", "api/web/static/style.css", "config/archiver.example.toml"):
        assert (package / part).is_file()
    assert not (package / "tests").exists()
