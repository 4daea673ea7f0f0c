"""The API's description: an example for every JSON answer, with the names that the program really gives."""

from pathlib import Path

from api import examples
from tests.api_rig import open_api
from tests.archive_rig import Archive

QUIET = {"/api/v1/session", "/healthz", "/readyz", "/metrics"}


def described(home: Path, archive: Archive) -> dict[str, dict]:
    return open_api(home, archive.clock).app.openapi()["paths"]


def test_answers_of_the_registry_captures_and_jobs_have_examples(home: Path, archive: Archive) -> None:
    """Whoever writes a client sees what comes, and what a problem looks like."""
    paths = described(home, archive)
    for path, methods in paths.items():
        if not any(word in path for word in ("projects", "locations", "captures", "search", "jobs")):
            continue
        for method, operation in methods.items():
            answers = operation["responses"]
            if "default" in answers:
                success = next(code for code in answers if code.startswith("2"))
                assert "example" in answers[success]["content"]["application/json"], (method, path)
                assert "example" in answers["default"]["content"]["application/problem+json"], (method, path)
    assert sum("default" in one["responses"] for each in paths.values() for one in each.values()) >= 20


def test_the_examples_have_the_real_names(home: Path, archive: Archive, sealed: str) -> None:
    """An example that the program has outgrown is worse than none."""
    with open_api(home, archive.clock).client() as client:
        capture = client.get(f"/api/v1/captures/{sealed}").json()
        found = client.get("/api/v1/search").json()["items"][0]
        project = client.get(f"/api/v1/projects/{capture['project']}").json()
    assert capture.keys() == examples.CAPTURE.keys()
    assert capture["sources"][0].keys() == examples.CAPTURE["sources"][0].keys()
    assert found.keys() == examples.HIT.keys()
    assert project.keys() == examples.PROJECT.keys()
