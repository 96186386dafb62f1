"""The variant that looks for data races: planted ones are found, what a lock orders is not, and seeds show none."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from machines import TWO_PAGES, copied_library

from faultline.campaign.source import corpora_dir
from faultline.kinds import FindingKind
from faultline.program.codec import encode
from faultline.program.ops import lacking
from faultline.program.schedule import Schedule
from faultline.program.text import parse_program, read_repro
from faultline.verdict.finding import Finding
from faultline.verdict.judge import Blame, Judge, machine_finding, open_judge
from faultline.verdict.overlap import Schedules
from faultline.verdict.races import known_races, read_races

pytestmark = pytest.mark.kernel

SEEDS = sorted((corpora_dir() / "seeds").glob("par-*.prog"))
RUNS = 100
TWO_TASKS = parse_program(TWO_PAGES)
FIELD = "vm_area_struct.vm_pgoff"


def judge_of(folder: Path, *patches: Path) -> Judge:
    races = known_races(read_races(corpora_dir() / "known"), "6.12")
    base = copied_library(folder, "base", variant="race") if patches else None
    subject = copied_library(folder, "subject", *patches, variant="race")
    return open_judge(lambda _: None, subject=subject, base=base, schedules=Schedules(runs=RUNS), races=races)


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Judge:
    return judge_of(tmp_path_factory.mktemp("race"))


def races_of(judge: Judge, canary: str) -> list[Finding]:
    """What a few schedules show while the fault is planted."""
    judge.subject.machine.plant(canary)  # type: ignore[attr-defined]
    try:
        return list(judge.overlap(judge.subject, TWO_TASKS).findings(Schedules(runs=10)))
    finally:
        judge.subject.machine.plant("none")  # type: ignore[attr-defined]


def test_a_plain_write_by_two_tasks_is_found_with_both(judge: Judge) -> None:
    found = races_of(judge, "race")
    assert len(found) == 10
    finding = found[0]
    assert finding.kind is FindingKind.DATA_RACE
    assert finding.signature == f"data-race:par:{FIELD}-fl_write_mapping-fl_write_mapping"
    assert finding.happened.startswith(f"{FIELD}: ")
    assert finding.other is not None
    assert finding.other.function == "fl_write_mapping"
    assert "fl_write_mapping" in {place.function for place in finding.frames}
    (other,) = finding.tasks
    assert {other.name, "p0.1"} == {"p0.0", "p0.1"}
    assert other.frames[0].function == "fl_write_mapping"
    assert [lock.name for lock in other.locks] == ["mmap_lock"] == [lock.name for lock in finding.locks]
    assert races_of(judge, "none") == []


def test_a_plain_write_under_a_lock_is_none(judge: Judge) -> None:
    assert races_of(judge, "race-locked") == []


def test_nothing_is_looked_for_unless_asked(judge: Judge) -> None:
    machine = judge.subject.machine
    machine.plant("race")  # type: ignore[attr-defined]
    try:
        machine.run_overlapping(encode(TWO_TASKS), Schedule())
        assert machine.finding is None
    finally:
        machine.plant("none")  # type: ignore[attr-defined]


def test_the_same_run_shows_the_same_race(judge: Judge) -> None:
    judge.subject.machine.plant("race")  # type: ignore[attr-defined]
    try:
        runs = []
        for _ in range(5):
            judge.subject.machine.run_overlapping(encode(TWO_TASKS), Schedule("random", 7, 4), races=True)  # type: ignore[call-arg]
            seen = judge.subject.machine.finding
            assert seen is not None
            runs.append(machine_finding(seen, TWO_TASKS, judge.subject.locate, b""))
        assert all(run == runs[0] for run in runs)
    finally:
        judge.subject.machine.plant("none")  # type: ignore[attr-defined]


@pytest.mark.parametrize("path", SEEDS, ids=lambda path: path.stem)
def test_seeds_show_no_race(judge: Judge, path: Path) -> None:
    ops = read_repro(path).ops
    if lacking(ops, judge.has):
        pytest.skip("the base profile lacks what it needs")
    for finding in judge.overlap(judge.subject, ops).findings(Schedules(runs=RUNS)):
        assert finding.kind is not FindingKind.DATA_RACE, finding.happened


@pytest.mark.parametrize("patch", ["anon-vma-unlocked", "anon-vma-plain"])
def test_a_patch_that_takes_the_order_away_is_found(tmp_path: Path, patch: str) -> None:
    if not shutil.which("spatch"):
        pytest.skip("spatch is missing: apt-get install coccinelle")
    checked = judge_of(tmp_path, corpora_dir() / "races" / f"{patch}.cocci")
    verdict = checked.judge(read_repro(corpora_dir() / "seeds" / "par-first-writes.prog").ops)
    assert verdict.blame is Blame.NEW
    assert verdict.finding is not None
    assert verdict.finding.kind is FindingKind.DATA_RACE
    assert verdict.finding.happened.startswith("vm_area_struct.anon_vma: ")
