"""What a terminal shows while a campaign runs, and what is written where there is none."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from faultline.campaign.run import Progress
from faultline.report import console
from faultline.report.console import Reporter, Screen
from faultline.report.repro import Setting
from faultline.report.result import About, environment

PROGRESS = Progress(12_345, 10.0, 30.0, 2)


@pytest.fixture
def show(monkeypatch: pytest.MonkeyPatch, tmp_path):
    """Tells a reporter of progress; what comes of it on standard error."""

    def run(progress: Progress, *, terminal: bool, quiet: bool = False, width: int = 100) -> str:
        written = io.StringIO()
        monkeypatch.setattr(
            console, "Console",
            lambda **_: Console(file=written, force_terminal=terminal, width=width, highlight=False),
        )  # fmt: skip
        monkeypatch.setattr(console, "PLAIN_EVERY", 0.0)
        screen = Screen(quiet=quiet)
        about = About(Setting("debian:6.12", "base", seed=1), "run", "faultline run", "now", environment(None))
        reporter = Reporter(screen, about, tmp_path)
        with screen.progress():
            reporter.progress(progress)
        return written.getvalue()

    return run


def plain(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text)


def test_a_terminal_has_a_bar_the_rate_and_the_findings(show) -> None:
    text = show(PROGRESS, terminal=True)
    assert "12,345 programs, 1,234/s, 2 findings, 30 s left" in plain(text)
    assert re.search(rf"[━╸╺]{{{console.BAR_WIDTH}}} ", plain(text))
    assert re.search(r"\x1b\[[0-9;]*31m2 findings", text), "findings stand out"


def test_what_ran_of_the_patch_is_said_if_it_is_known(show) -> None:
    text = show(Progress(10, 1.0, None, 0, 12, 42), terminal=False)
    assert text == "10 programs, 10/s, 0 findings, 12 of 42 changed lines and branches\n"


def test_without_an_end_there_is_no_bar(show) -> None:
    text = plain(show(Progress(10, 1.0, None, 0), terminal=True))
    assert "10 programs, 10/s, 0 findings" in text
    assert "━" not in text


def test_a_narrow_terminal_gets_one_line(show) -> None:
    lines = [line for line in re.split(r"[\r\n]+", plain(show(PROGRESS, terminal=True, width=40))) if line.strip()]
    assert max(map(len, lines)) <= 40
    assert len({line.strip() for line in lines}) == 1


def test_elsewhere_it_is_plain_lines(show) -> None:
    assert show(PROGRESS, terminal=False) == "12,345 programs, 1,234/s, 2 findings, 30 s left\n"


@pytest.mark.parametrize("terminal", [True, False])
def test_quiet_is_silent(show, terminal: bool) -> None:
    assert show(PROGRESS, terminal=terminal, quiet=True) == ""
