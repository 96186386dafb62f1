"""Campaigns over fake machines: what is found, kept, minimised and counted, and that nothing is lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from fake_machine import judge_maker

from faultline.campaign.run import Progress, Result, run
from faultline.campaign.worker import Plan, Record
from faultline.kinds import FaultlineError, FindingKind
from faultline.program.text import format_program, parse_program
from faultline.report.series import fix_lines
from faultline.verdict.judge import Blame, Judge

HERE = Path(__file__).parent
PROGRAMS = 400


@dataclass
class Log:
    """A listener that keeps all it is told."""

    records: list[Record] = field(default_factory=list)
    last: Progress | None = None

    def found(self, record: Record) -> None:
        self.records.append(record)

    def progress(self, progress: Progress) -> None:
        self.last = progress


def plan(*plants: str, base: list[str] | None = None, known: tuple[str, ...] = ()) -> Plan:
    return Plan(judge_maker(*plants, base=base, known=known), seed=7, jobs=2, programs=PROGRAMS)


def told(result: Result) -> list[tuple[str, int, str, bool]]:
    return [
        (record.finding.signature, record.index, format_program(record.ops), record.minimised)
        for record in result.records
    ]


def test_a_clean_tree_has_no_finding_and_every_program_is_counted() -> None:
    log = Log()
    result = run(plan(), log)
    assert (result.records, result.programs, result.interrupted) == ([], PROGRAMS, False)
    assert log.records == []


def test_a_finding_is_told_at_once_and_again_with_few_operations() -> None:
    log = Log()
    result = run(replace(plan("wrong_read"), jobs=1), log)
    raw, small = log.records
    assert (raw.minimised, small.minimised) == (False, True)
    assert len(small.ops) == 2
    assert [record.finding.signature for record in result.records] == ["wrong-data:read:value"]
    assert result.count(Blame.NEW) > 10


def test_results_depend_on_the_seed_alone() -> None:
    one = run(plan("wrong_read", "bug_in_fork"), Log())
    again = run(plan("wrong_read", "bug_in_fork"), Log())
    alone = run(replace(plan("wrong_read", "bug_in_fork"), jobs=1), Log())
    other = run(replace(plan("wrong_read", "bug_in_fork"), seed=8), Log())
    assert told(one) == told(again) == told(alone)
    assert one.signatures == again.signatures == alone.signatures
    assert len(one.records) == 2
    assert one.signatures != other.signatures


def test_the_corpus_runs_first_and_as_it_stands() -> None:
    program = parse_program("p0.0 mmap a3 rw\np0.0 read a3\n")
    log = Log()
    run(replace(plan("wrong_read"), jobs=1, programs=1, corpus=(program,)), log)
    assert (log.records[0].index, log.records[0].ops) == (0, program)


def test_findings_of_the_base_and_known_ones_are_counted_apart() -> None:
    result = run(plan("wrong_read", base=["wrong_read"]), Log())
    assert result.records == []
    result = run(plan("wrong_read", known=("wrong-data:read:value",)), Log())
    assert result.records == []
    assert result.count(Blame.KNOWN) > 10
    result = run(plan(base=["bug_in_fork"]), Log())
    assert result.records == []
    assert result.count(Blame.FIXED) > 10


def test_what_only_the_base_shows_is_told_with_a_small_program() -> None:
    result = run(plan(base=["wrong_read"]), Log())
    assert result.records == []
    (cure,) = result.cures
    assert (cure.finding.signature, cure.known) == ("wrong-data:read:value", False)
    assert format_program(cure.ops) == "p0.0 mmap a0 rw\np0.0 read a0\n"
    assert fix_lines(result, {cure.finding.signature: 12}) == [
        "fixed: wrong-data:read:value, which only the base tree shows (12 programs)"
    ]
    again = run(plan(base=["wrong_read"], known=("wrong-data:*",)), Log())
    assert [(one.index, one.known) for one in again.cures] == [(cure.index, True)]
    assert fix_lines(again, {cure.finding.signature: 1}) == [
        "fixed: wrong-data:read:value, which only the base tree shows (1 program), listed in corpora/known"
    ]


def test_a_program_that_kills_its_worker_is_a_finding_and_the_campaign_goes_on() -> None:
    scan = parse_program("p0.0 mmap a0 rw\np0.0 write a0 =3\nm ksm-scan\n")
    read = parse_program("p0.0 mmap a0 rw\np0.0 read a0\n")
    log = Log()
    result = run(replace(plan("deadly_scan", "wrong_read"), jobs=1, programs=3, corpus=(scan, read, scan)), log)
    assert result.deaths == 2
    by_kind = {record.finding.kind: record for record in result.records}
    assert by_kind[FindingKind.KERNEL_BUG].finding.aspect == "process-SIGSEGV"
    assert format_program(by_kind[FindingKind.KERNEL_BUG].ops) == "m ksm-scan\n"
    assert by_kind[FindingKind.WRONG_DATA].index == 1
    assert [record.index for record in log.records if record.finding.kind is FindingKind.KERNEL_BUG] == [0, 0]


def test_a_program_that_kills_the_base_too_is_not_the_patchs() -> None:
    scan = parse_program("m ksm-scan\n")
    result = run(replace(plan("deadly_scan", base=["deadly_scan"]), jobs=1, programs=1, corpus=(scan,)), Log())
    assert (result.records, result.deaths, result.count(Blame.BASE)) == ([], 1, 1)


def test_a_program_that_kills_its_worker_in_one_order_is_minimised_too() -> None:
    text = "p0.0 mmap a0 rw\npar {\n  p0.0 write a0 =1\n  p0.1 read a0\n}\np0.0 read a0\n"
    deadly = replace(plan("deadly_order", base=[]), jobs=1, programs=1, corpus=(parse_program(text),), overlapping=1)
    result = run(deadly, Log())
    assert result.deaths == 1
    (record,) = result.records
    assert record.finding.aspect == "process-SIGSEGV"
    assert record.minimised
    assert format_program(record.ops) == "par {\n  p0.0 write a0 =1\n  p0.1 read a0\n}\n"


def slowly(before_run: Callable[[bytes], None]) -> Judge:
    """Opens a judge as a busy machine does."""
    time.sleep(1.5)
    return judge_maker("deadly_scan", "wrong_read")(before_run)


def test_a_worker_that_takes_long_to_start_again_is_not_stuck() -> None:
    programs = (parse_program("m ksm-scan\n"), parse_program("p0.0 mmap a0 rw\np0.0 read a0\n"))
    result = run(Plan(slowly, seed=7, jobs=1, programs=2, corpus=programs, patience=1), Log())
    assert {record.finding.kind for record in result.records} == {FindingKind.KERNEL_BUG, FindingKind.WRONG_DATA}
    assert result.deaths == 1


def test_a_program_that_gets_stuck_is_a_finding_and_the_campaign_goes_on() -> None:
    scan = parse_program("m ksm-scan\n")
    read = parse_program("p0.0 mmap a0 rw\np0.0 read a0\n")
    stuck = replace(plan("stuck_scan", "wrong_read"), jobs=1, programs=2, corpus=(scan, read), patience=1)
    result = run(stuck, Log())
    assert [record.finding.kind for record in result.records] == [FindingKind.HANG, FindingKind.WRONG_DATA]
    assert result.records[0].ops == scan


def test_an_exception_of_ours_is_a_tool_error_and_the_campaign_goes_on() -> None:
    result = run(plan("broken_tool"), Log())
    assert [record.finding.kind for record in result.records] == [FindingKind.TOOL_ERROR]
    assert result.programs == PROGRAMS
    assert len(result.records[0].ops) == 1


def test_the_first_finished_finding_can_end_the_campaign() -> None:
    result = run(replace(plan("wrong_read"), programs=None, settle=0.0), Log())
    assert [record.minimised for record in result.records] == [True]


def test_time_ends_a_campaign() -> None:
    log = Log()
    result = run(replace(plan(), programs=None, seconds=0.5), log)
    assert log.last is not None
    assert log.last.left is not None
    assert not result.interrupted


def unloadable(_: object) -> Judge:
    raise FaultlineError("no such library")


def test_workers_that_cannot_start_end_it_with_their_reason() -> None:
    with pytest.raises(FaultlineError, match="no such library"):
        run(replace(plan(), make_judge=unloadable), Log())


def explode(_: object) -> Judge:
    raise ZeroDivisionError


def test_a_bug_of_ours_in_a_worker_shows_its_traceback() -> None:
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        run(replace(plan(), make_judge=explode), Log())


SCRIPT = """
    import sys
    from dataclasses import replace
    from test_campaign_run import Log, plan
    from faultline.campaign.run import run
    class Loud(Log):
        def found(self, record):
            print("found", flush=True)
    if __name__ == "__main__":
        result = run(replace(plan("wrong_read"), programs=None), Loud())
        print("interrupted" if result.interrupted else "over", len(result.records), len(result.signatures), flush=True)
"""


def test_ctrl_c_keeps_what_was_found(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(SCRIPT))
    path = os.pathsep.join([str(HERE), *sys.path])
    process = subprocess.Popen(
        [sys.executable, str(script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
        start_new_session=True,
        # who started the tests in the background had them ignore it
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "found\n"
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the workers too
    out, err = process.communicate(timeout=60)
    assert out.splitlines()[-1] == "interrupted 1 1"
    assert err == ""
