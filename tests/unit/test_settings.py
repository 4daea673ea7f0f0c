"""Settings: what wins over what, and what is refused. The environment is the process's own, changed for a test."""

import os
import tomllib
from pathlib import Path

import pytest

from archiver.errors import SettingsError
from config import settings

HERE = Path(__file__).parent
EXAMPLE = HERE.parents[1] / "config" / "archiver.example.toml"


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(settings.PREFIX):
            monkeypatch.delenv(name)


def test_the_environment_outranks_the_defaults_of_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable, nested by two underscores, wins."""
    monkeypatch.setenv("ARCHIVER_INGEST__SEGMENT_S", "10")
    assert settings.load(HERE, {"ingest": {"segment_s": 30}}).ingest.segment_s == 10


def test_overrides_outrank_the_defaults() -> None:
    """What the caller proposes is used where nobody said otherwise."""
    assert settings.load(HERE, {"ingest": {"segment_s": 30}}).ingest.segment_s == 30


@pytest.mark.parametrize("name", ["ARCHIVER_INGESTT__SEGMENT_S", "ARCHIVER_INGEST__SEGMENTS", "ARCHIVER_NOTHING"])
def test_a_misspelt_variable_is_refused_by_name(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """A setting that would be passed over in silence is an error that names it."""
    monkeypatch.setenv(name, "1")
    with pytest.raises(SettingsError, match=r"(?i)segment_?s|nothing"):
        settings.load(HERE)


@pytest.mark.parametrize("years", ["14", "0", "-1", "14.99"])
def test_no_configuration_goes_below_fifteen_years(monkeypatch: pytest.MonkeyPatch, years: str) -> None:
    """Government Procurement Law Art. 42."""
    monkeypatch.setenv("ARCHIVER_RETENTION__MINIMUM_YEARS", years)
    with pytest.raises(SettingsError, match=r"retention\.minimum_years"):
        settings.load(HERE)


@pytest.mark.parametrize("zone", ["Nowhere/Town", "", "../etc/passwd"])
def test_a_time_zone_must_be_known(zone: str) -> None:
    """Dates of retention hang on it."""
    with pytest.raises(SettingsError, match=r"archive\.time_zone"):
        settings.load(HERE, {"archive": {"time_zone": zone}})


def test_home_given_outranks_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """`--home` is what somebody typed just now."""
    monkeypatch.setenv("ARCHIVER_HOME", "/elsewhere")
    assert settings.load(HERE).home == HERE
    assert settings.load().home == Path("/elsewhere")


def test_the_api_listens_on_loopback_unless_told_otherwise() -> None:
    """And an IPv6 address is split as one."""
    assert settings.load(HERE).api.host == "127.0.0.1"
    api = settings.load(HERE, {"api": {"listen": "[::1]:0"}}).api
    assert (api.host, api.port) == ("::1", 0)


def test_secrets_are_not_printed() -> None:
    """A settings object in a log shows no key."""
    loaded = settings.load(HERE, {"vault": {"secret_key": "hush-hush"}})
    assert "hush" not in repr(loaded)
    assert loaded.vault.secret_key.get_secret_value() == "hush-hush"


def test_the_example_shows_every_setting_with_its_default() -> None:
    """What stands in the example, uncommented, is what the program does without it."""
    lines = EXAMPLE.read_text(encoding="utf-8").splitlines()
    text = "\n".join(line.removeprefix("# ") if line.startswith("# ") and " = " in line else line for line in lines)
    shown = tomllib.loads(text)
    defaults = settings.load(HERE)
    assert settings.load(HERE, shown) == defaults
    for section in settings.Settings.model_fields.keys() - {"home"}:
        assert shown[section].keys() == type(getattr(defaults, section)).model_fields.keys()
