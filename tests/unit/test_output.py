"""What the command line prints for people."""

import pytest

from api.output import Output

ID = "01m86gmprzvgb4wrtakxkw3tcm"
AS_TEXT = Output(as_json=False, home=None)


@pytest.fixture(autouse=True)
def narrow(monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")


def test_brackets_are_text(capsys):
    """What a person or a program wrote in square brackets is shown as it is, whatever it looks like."""
    AS_TEXT.thing({"title": "[lot 1] [/bold] [red]"})
    AS_TEXT.listing([{"title": "[tcp] [/bold]"}], ["title"])
    shown = capsys.readouterr().out
    assert "[lot 1] [/bold] [red]" in shown
    assert "[tcp] [/bold]" in shown


@pytest.mark.parametrize("name", ["id", "capture"])
def test_an_id_is_never_cut(capsys, name):
    """An id can be copied from a narrow screen; the other columns give way."""
    row = {name: ID, "state": "sealed", "window": "start: 2026-11-24T10:11:59Z, end: 2026-11-24T10:12:29Z"}
    AS_TEXT.listing([row], row)
    assert ID in capsys.readouterr().out


def test_nothing_of_a_long_value_is_left_out(capsys):
    """A value without spaces, as Chinese text is, goes on in the next line."""
    reason = "采购活动尚未结束依据政府采购法" * 5
    AS_TEXT.thing({"reason_zh": reason})
    shown = capsys.readouterr().out
    assert "…" not in shown
    assert "".join(shown.split()).removeprefix("reason_zh") == reason
