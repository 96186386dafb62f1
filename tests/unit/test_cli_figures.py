"""The figures' table and their data."""

from __future__ import annotations

import json

from faultline import bench, cli
from faultline.bench import STANDARD_PROGRAM, Figure
from faultline.cli import bench as bench_command
from faultline.kinds import ExitStatus, FaultlineError
from faultline.oracle.model import Oracle
from faultline.program.text import parse_program
from faultline.program.trace import Status
from faultline.program.traceview import parse_trace
from faultline.report.figures import figure_line


def figures(kernel, jobs, say):
    yield Figure("fast", 200_000, "programs/s", 100_000, True)
    yield Figure("slow", 90, "s", 60, False)
    yield Figure("plain", 7, "programs/s", None, True)
    yield Figure("profile", 30, "programs/s", None, True, base=60)
    yield Figure("broken", None, "programs/s", None, True, note="does not build")


def test_each_figure_stands_beside_its_goal(monkeypatch, capsys):
    monkeypatch.setattr(bench_command, "speed", figures)
    assert cli.command_line(["bench", "speed"]) == ExitStatus.CLEAN
    _, fast, slow, plain, profile, broken = capsys.readouterr().out.splitlines()
    assert fast.split() == ["fast", "200,000", "programs/s", ">=", "100,000", "2.00", "x"]
    assert slow.split() == ["slow", "90", "s", "<=", "60", "0.67", "x"]
    assert plain.split() == ["plain", "7", "programs/s"]
    assert profile.split() == ["profile", "30", "programs/s", "0.50", "x", "base"]
    assert broken.split() == ["broken", "-", "does", "not", "build"]


def test_the_data_say_the_same(monkeypatch, capsys):
    monkeypatch.setattr(bench_command, "speed", figures)
    assert cli.command_line(["bench", "speed", "--json", "-q"]) == ExitStatus.CLEAN
    fast, slow, plain, profile, broken = json.loads(capsys.readouterr().out)["figures"]
    assert (fast["value"], fast["goal"], fast["goal_is"], fast["ratio"]) == (200_000, 100_000, "at least", 2)
    assert (slow["goal_is"], round(slow["ratio"], 2)) == ("at most", 0.67)
    assert (plain["goal"], plain["ratio"]) == (None, None)
    assert (profile["value"], profile["base"]) == (30, 60)
    assert (broken["value"], broken["note"]) == (None, "does not build")


def test_the_standard_program_does_what_it_is_there_for():
    ops = parse_program(STANDARD_PROGRAM)
    steps = parse_trace(Oracle().expect(ops).trace, ops, snapshots=True)
    statuses = [step.status for step in steps]
    assert statuses.count(Status.BLOCKED) == 1
    assert set(statuses) == {Status.DONE, Status.BLOCKED}
    assert sum(len(step.completions) for step in steps) == 1


def test_where_the_running_kernel_cannot_be_used_its_rows_say_why(monkeypatch):
    monkeypatch.setattr(bench, "requirement_missing", lambda: "it needs root; run it with sudo")
    rows = [figure_line(figure)[1] for figure in bench._live_figures(None, lambda _: None)]
    assert len(rows) == 2
    assert all(row.endswith(" - skipped: it needs root; run it with sudo") for row in rows)


def test_a_busy_running_kernel_is_a_row_that_says_so(monkeypatch):
    def busy(measure, subject):
        raise FaultlineError("another faultline works on the live kernel", ExitStatus.SKIPPED)

    monkeypatch.setattr(bench, "requirement_missing", lambda: None)
    monkeypatch.setattr(bench, "_in_child", busy)
    assert {figure.note for figure in bench._live_figures(None, lambda _: None)} == {
        "skipped: another faultline works on the live kernel"
    }
