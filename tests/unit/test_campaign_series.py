"""Which patch a finding is laid to: from what each step of a series shows, and by asking steps that are fakes."""

from __future__ import annotations

import os
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from fake_machine import judge_maker
from msgspec.structs import replace as changed

from faultline.build import BuiltLibrary
from faultline.campaign import series as campaign
from faultline.campaign.run import Result
from faultline.campaign.series import Ladder, SeriesCheck
from faultline.campaign.subject import Subject
from faultline.campaign.witness import Maker, Question, Witness
from faultline.campaign.worker import Crash, Cure, Plan, Record, crash_finding
from faultline.kinds import FaultlineError
from faultline.program.text import parse_program
from faultline.report.series import series_lines
from faultline.tree import TreeInfo
from faultline.verdict.judge import Blame
from faultline.verdict.series import PatchVerdict, SeriesVerdict, Step, curing, judge_series

READ = parse_program("p0.0 mmap a0 rw\np0.0 read a0\n", "x")
FORK = parse_program("p0.0 mmap a0 rw\np0.0 fork p1\n", "x")
SCAN = parse_program("p0.0 mmap a0 rw\nm ksm-scan\n", "x")
WRONG = "wrong-data:read:value"
TREE = TreeInfo(Path("/tree"), "debian:6.12", "6.12", "6.12.9", 6, 12)


def steps(count: int, **changes: Step) -> list[Step]:
    """So many steps; ``s2=...``: the second one is another."""
    return [changes.get(f"s{number}", Step(name=f"{number}/{count}")) for number in range(1, count + 1)]


def told(series: SeriesVerdict) -> list[str]:
    return [patch.state for patch in series.patches]


@pytest.mark.parametrize(
    ("row", "intervals"),
    [
        ([False, False, True, True], [("3/4", "", "")]),
        ([True, True, True, True], [("1/4", "", "")]),
        ([False, True, False, False], [("2/4", "", "3/4")]),
        ([True, False, True, False], [("1/4", "", "2/4"), ("3/4", "", "4/4")]),
        # what is not known neither ends a finding nor begins one, but leaves open which patch it was
        ([False, None, True, True], [("3/4", "1/4", "")]),
        ([True, None, None, True], [("1/4", "", "")]),
        ([True, None, False, None], [("1/4", "", "3/4")]),
        ([False, False, False, False], []),
        ([None, None, None, None], []),
    ],
)
def test_where_a_finding_begins_and_ends(row: list[bool | None], intervals: list[tuple[str, str, str]]) -> None:
    series = judge_series(steps(4), {"k:o:a": row}, {}, about={"k:o:a": ("text", "file")})
    assert [(one.by, one.since, one.until) for one in series.broken] == intervals
    assert all((one.program, one.repro) == ("text", "file") for one in series.broken)
    assert (series.unplaced == ()) == bool(intervals)
    for patch in series.patches:
        assert bool(patch.findings) == (patch.name in {by for by, _, _ in intervals})
        assert bool(patch.fixes) == (patch.name in {until for _, _, until in intervals})


def test_a_patch_has_the_state_that_matters_most() -> None:
    table = steps(
        6,
        s3=Step(name="3/6", same=True, why="it changes mm/x.c"),
        s5=Step(name="5/6", built=False, failure="does-not-compile", why="mm/a.c:1: error"),
        s6=Step(name="6/6", built=False, why="it comes after 5/6"),
    )
    shown = {"a": [True, False, False, False, None, None], "b": [False, True, True, True, None, None]}
    series = judge_series(table, shown, {"c": [False, False, False, True, None, None]})
    assert told(series) == ["findings", "findings", "not-tested", "fixes", "does-not-compile", "not-tested"]
    assert series.patches[1].fixes == ("a",)
    assert series.patches[3].fixes == ("c",)
    assert not series.whole
    assert [one.signature for one in series.mended] == ["a"]


def test_a_cure_is_of_the_patch_from_which_it_lasts() -> None:
    table = steps(4)
    assert curing(table, [False, True, True, True]) == "2/4"
    assert curing(table, [True, False, True, True]) == "3/4"
    assert curing(table, [None, None, True, None]) == "3/4"
    assert curing(table, [False, False, False, False]) == ""


def test_an_interrupted_series_calls_nothing_clean() -> None:
    series = judge_series(steps(2), {"a": [None, True]}, {}, interrupted=True)
    assert told(series) == ["not-tested", "findings"]
    assert series.patches[0].why == "interrupted"


def test_the_table_says_it_all() -> None:
    series = SeriesVerdict(
        patches=(
            PatchVerdict(name="1/2", subject="mm: one", author="", files=(), state="findings", findings=("a:b:c",)),
            PatchVerdict(
                name="2/2", subject="mm: two", author="", files=(), state="does-not-compile", why="x.c:1: bad"
            ),
        ),
        title="two patches",
        unplaced=("d:e:f",),
        interrupted=True,
    )
    text = "\n".join(line for _, line in series_lines(series))
    assert "series of 2 patches: two patches" in text
    assert "  1/2  findings          mm: one\n                         brings a:b:c" in text
    assert "  2/2  does-not-compile  mm: two\n                         x.c:1: bad" in text
    assert "not seen again, so no patch is named: d:e:f" in text
    assert "not all steps were asked" in text


# --- asking ---


def library(name: str) -> BuiltLibrary:
    return BuiltLibrary(Path(f"/libs/{name}.so"), name, "plain", "base", TREE, (), True, 0.0, ())


class Fakes(SeriesCheck):
    """A check whose steps are fakes: what each plants, by step."""

    plants: list[Maker]

    def _maker(self, number: int) -> Maker:
        return self.plants[number]


def check(*plants: Maker | None, base: list[str] | None = None, **changes: object) -> Fakes:
    """Steps with these judges; None: the step was not built."""
    table = [
        Step(name=f"{number}", built=plant is not None, failure=None if plant else "does-not-compile")
        for number, plant in enumerate(plants, 1)
    ]
    libraries = tuple(library(str(number)) if plant else None for number, plant in enumerate(plants, 1))
    ladder = Ladder(tuple(table), libraries, library("base"), 0.0)
    whole = next(plant for plant in reversed(plants) if plant)
    plan = Plan(whole, seed=1, jobs=1, programs=60)
    one = Fakes(ladder, Subject(library("whole"), library("base"), frozenset()), plan, lambda _: None)
    one.plants = list(plants)  # type: ignore[arg-type]
    one.samples = False
    for name, value in changes.items():
        setattr(one, name, value)
    return one


def found(maker: Maker, ops: list) -> Record:
    """The finding that a judge makes of a program."""
    verdict = maker(lambda _: None).judge(ops)
    assert verdict.finding is not None
    return Record(verdict.finding, ops, 0, minimised=True)


def kept(record: Record, upto: int) -> Path:
    return Path(f"{record.finding.kind.value}-{upto}.repro")


GOOD = judge_maker(base=[])
BAD = judge_maker("wrong_read", base=[])


def test_the_patch_that_brings_a_finding_is_named() -> None:
    result = Result(1, [found(BAD, READ)])
    series = check(GOOD, BAD, BAD).run(result, kept)
    assert told(series) == ["clean", "findings", "clean"]
    assert [(one.signature, one.by, one.until, one.repro) for one in series.broken] == [
        (WRONG, "2", "", "wrong-data-3.repro")
    ]
    assert series.broken[0].program == "p0.0 mmap a0 rw\np0.0 read a0\n"


def test_a_step_that_is_not_built_leaves_open_which_patch_it_was() -> None:
    series = check(GOOD, None, BAD).run(Result(1, [found(BAD, READ)]), kept)
    assert told(series) == ["clean", "does-not-compile", "findings"]
    assert series.broken[0].since == "1"
    assert not series.interrupted


def test_what_a_later_patch_mends_is_found_by_a_short_campaign() -> None:
    result = Result(1)
    series = check(GOOD, BAD, BAD, GOOD, samples=True).run(result, kept)
    assert told(series) == ["clean", "findings", "clean", "fixes"]
    assert [(one.signature, one.by, one.until, one.repro) for one in series.mended] == [
        (WRONG, "2", "4", "wrong-data-3.repro")
    ]
    assert result.records == []


def test_what_a_short_campaign_finds_and_the_whole_shows_too_is_a_finding_of_the_whole() -> None:
    result = Result(1)
    series = check(GOOD, BAD, BAD, samples=True).run(result, kept)
    assert [record.finding.signature for record in result.records] == [WRONG]
    assert told(series) == ["clean", "findings", "clean"]


def test_the_patch_that_cures_a_finding_of_the_base_is_named() -> None:
    cured, broken = judge_maker(base=["wrong_read"]), judge_maker("wrong_read", base=["wrong_read"])
    verdict = cured(lambda _: None).judge(READ)
    assert verdict.blame is Blame.FIXED
    assert verdict.finding is not None
    result = Result(1, cures=[Cure(verdict.finding, READ, 0)])
    series = check(broken, cured, cured).run(result, kept)
    assert told(series) == ["clean", "fixes", "clean"]
    assert series.patches[1].fixes == (WRONG,)


def test_a_renamed_function_is_the_same_defect_but_another_kind_is_not() -> None:
    record = found(BAD, READ)
    renamed = replace(record, finding=changed(record.finding, aspect="old_name"))
    assert told(check(BAD, BAD).run(Result(1, [renamed]), kept)) == ["findings", "clean"]
    other = judge_maker("bug_in_fork", base=[])
    bug = found(other, FORK)
    assert told(check(GOOD, other).run(Result(1, [bug]), kept)) == ["clean", "findings"]
    assert check(BAD, BAD).run(Result(1, [bug]), kept).unplaced == (bug.finding.signature,)


def test_a_program_that_kills_the_process_shows_its_finding() -> None:
    deadly = judge_maker("deadly_scan", base=[])
    crash = Record(crash_finding(Crash(0, b"", signal.SIGSEGV)), SCAN, 0)
    series = check(GOOD, deadly, deadly).run(Result(1, [crash, found(BAD, READ)]), kept)
    assert told(series) == ["clean", "findings", "clean"]
    assert [one.signature for one in series.broken] == [crash.finding.signature]
    assert series.unplaced == (WRONG,)  # asked of a new process


def test_a_stuck_program_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    witness = Witness(judge_maker("stuck_scan", base=[]), patience=1)
    finding = found(BAD, READ).finding
    try:
        assert witness.shows(Question(SCAN, finding)) is True
        assert witness.shows(Question(SCAN, finding, Blame.FIXED)) is None
        assert witness.shows(Question(READ, finding)) is False
    finally:
        witness.close()


def _not_loaded(_: object) -> object:
    raise FaultlineError("no such library")


def test_a_judge_that_cannot_be_opened_is_an_error() -> None:
    with pytest.raises(FaultlineError, match="a step of the series cannot be run: no such library"):
        Witness(_not_loaded).shows(Question(READ, found(BAD, READ).finding))  # type: ignore[arg-type]


def test_what_was_not_asked_in_time_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(campaign, "ASK_SECONDS", -1.0)
    series = check(GOOD, BAD).run(Result(1, [found(BAD, READ)]), kept)
    assert told(series) == ["not-tested", "not-tested"]
    assert series.unplaced == (WRONG,)
    assert series.interrupted


def test_ctrl_c_while_asking_keeps_what_is_known() -> None:
    """The second step hangs until the interrupt comes."""
    record = replace(found(BAD, READ), ops=[*SCAN, *READ])
    stuck = judge_maker("stuck_scan", base=[])
    result = Result(1, [record])
    timer = threading.Thread(target=lambda: (time.sleep(3), os.kill(os.getpid(), signal.SIGINT)))
    timer.start()
    try:
        series = check(GOOD, stuck).run(result, kept)
    finally:
        timer.join()
    assert result.interrupted
    assert series.interrupted
    assert series.patches[0].state == "not-tested"


def test_after_ctrl_c_in_the_campaign_nothing_is_asked() -> None:
    result = Result(1, [found(BAD, READ)], interrupted=True)
    series = check(GOOD, BAD, samples=True).run(result, kept)
    assert told(series) == ["not-tested", "not-tested"]
    assert series.interrupted
