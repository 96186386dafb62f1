"""``bench thread``: what counts as the recorded verdict, and how the table tells it."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from faultline import cli
from faultline.campaign import rows
from faultline.campaign.benchmark import REPLAYS, Entry, Sighting, Trial, read_set
from faultline.campaign.rows import THREAD_TREES, Row
from faultline.kinds import ExitStatus, FaultlineError, FindingKind
from faultline.report.thread import row_lines, thread_markdown
from faultline.tree import find_tree
from faultline.verdict.reach import ChangedLine, Reach

DATA, DIFFERENCE, LEAK = FindingKind.WRONG_DATA, FindingKind.BASE_DIFFERENCE, FindingKind.LOCK_LEAK


def entry(*expected: FindingKind, also: tuple[FindingKind, ...] = ()) -> Entry:
    return Entry("x.cocci", "a title", ("6.12",), "S", expected, "a mail", also=also, by_eye="nothing")


def row(entry: Entry, *kinds: FindingKind, replayed: int = REPLAYS) -> Row:
    """A proposal of which a check finds these kinds."""
    allowed = {*entry.expected, *entry.also}
    trial = Trial(
        "x",
        entry,
        tuple(Sighting(kind, 1.5, 7, None, replayed) for kind in entry.expected if kind in kinds),
        tuple(kind for kind in entry.expected if kind not in kinds),
        tuple(kind for kind in kinds if kind not in allowed),
        programs=1234,
        seconds=20.0,
        kinds=kinds,
    )
    return Row("x", entry, "6.12", trial)


SAME, WRONG, RIGHT = entry(), entry(DATA, also=(LEAK,)), entry(also=(DIFFERENCE,))


@pytest.mark.parametrize(
    ("row", "expected", "verdict", "passed"),
    [
        (row(SAME), "same", "same", True),
        (row(SAME, DIFFERENCE), "same", "right, not the same", False),
        (row(SAME, DATA), "same", "wrong-data", False),
        (row(WRONG, DATA), "wrong-data", "wrong-data", True),
        (row(WRONG, DATA, LEAK), "wrong-data", "wrong-data", True),
        (row(WRONG), "wrong-data", "same", False),
        (row(WRONG, LEAK), "wrong-data", "lock-leak", False),
        (row(WRONG, DATA, FindingKind.HANG), "wrong-data", "wrong-data, hang", False),
        (row(WRONG, DATA, replayed=99), "wrong-data", "wrong-data", False),
        (row(RIGHT), "right", "same", True),
        (row(RIGHT, DIFFERENCE), "right", "right, not the same", True),
        (row(RIGHT, DATA), "right", "wrong-data", False),
    ],
)
def test_a_verdict_is_held_against_the_recorded_one(row: Row, expected: str, verdict: str, passed: bool) -> None:
    assert (row.expected, row.verdict, row.passed) == (expected, verdict, passed)
    complained = any("not as recorded" in text for _, text in row_lines(row))
    assert complained == (not passed)
    assert (f"**{verdict}**" in thread_markdown([row])) == (not passed)


def test_where_no_changed_line_ran_nothing_is_the_same() -> None:
    lines = tuple(ChangedLine(file="mm/a.c", line=1, text="x", state=state) for state in ("not-reached", "reached"))
    tested = row(SAME)
    assert tested.trial is not None
    for seen, verdict in ((lines[:1], "not tested"), (lines, "same")):
        one = replace(tested, trial=replace(tested.trial, reach=Reach(lines=seen, functions=())))
        assert (one.verdict, one.passed) == (verdict, verdict == "same")
    assert replace(tested, trial=replace(tested.trial, programs=0)).verdict == "not tested"


def test_what_does_not_apply_is_right_where_nothing_is_recorded() -> None:
    elsewhere = Row("x", SAME, "6.1", misfit="rule split matches nowhere")
    assert elsewhere.passed
    assert not replace(elsewhere, version="6.12").passed
    assert "- x on 6.1: rule split matches nowhere" in thread_markdown([elsewhere])


def test_all_proposals_are_tried_on_every_tree(monkeypatch: pytest.MonkeyPatch, tmp_path, capsys) -> None:
    (tmp_path / "Makefile").write_text("VERSION = 6\nPATCHLEVEL = 1\n")
    (tmp_path / "mm").mkdir()
    (tmp_path / "mm/memory.c").write_text("int x;\n")
    tree = find_tree(str(tmp_path))
    tried = []

    def apply(path, patches):
        tried.append(patches[0].stem)
        if patches[0].stem == "t1":
            raise FaultlineError("t1.cocci: rule a matches nowhere")

    def attempt(name, entry, folder, kernel, **_):
        return row(entry, *entry.expected).trial

    monkeypatch.setattr(rows, "find_tree", lambda spec, say: tree)
    monkeypatch.setattr(rows, "Overlay", apply)
    monkeypatch.setattr(rows, "attempt", attempt)
    assert cli.command_line(["bench", "thread", "-q", "--tree", "a", "--tree", "b", "--json"]) == ExitStatus.CLEAN
    told = json.loads(capsys.readouterr().out)["rows"]
    names = list(read_set("thread"))
    assert tried == [one["name"] for one in told] == [*names, *names]
    assert len(names) == 8
    assert [one["verdict"] for one in told if one["misfit"]] == ["does not apply"] * 2
    assert all(one["by_eye"] for one in told)
    monkeypatch.setattr(rows, "attempt", lambda name, entry, *_, **__: row(entry, FindingKind.TOOL_ERROR).trial)
    assert cli.command_line(["bench", "thread", "-q", "--tree", "a"]) == ExitStatus.FINDINGS
    assert "not as recorded: tool-error was found" in capsys.readouterr().out
    assert THREAD_TREES == ("debian:6.12", "debian:6.1", "debian:7.2")
