"""Whose finding a program shows."""

from __future__ import annotations

import pytest
from fake_machine import PLANTS, FakeMachine, fake_judge, locate

from faultline.kinds import FindingKind
from faultline.program.schedule import Schedule
from faultline.program.text import parse_program
from faultline.verdict.finding import END
from faultline.verdict.judge import Blame, Judge, Side, decisions_of

READ = parse_program("p0.0 mmap a0 rw\np0.0 write a0 =5\np0.0 read a0\n")
FORK = parse_program("p0.0 mmap a0 rw\np0.0 fork p1\np1.0 read a0\n")


def test_a_tree_that_keeps_to_the_oracle_is_clean() -> None:
    assert fake_judge().judge(READ).finding is None


def test_a_wrong_byte_is_found_where_it_is_read() -> None:
    finding = fake_judge("wrong_read").judge(READ).finding
    assert finding is not None
    assert (finding.kind, finding.op, finding.signature) == (FindingKind.WRONG_DATA, 2, "wrong-data:read:value")
    assert "5" in finding.expected
    assert "4" in finding.happened
    assert finding.because
    assert finding.because[0].source


def test_what_the_machine_found_names_the_innermost_kernel_function() -> None:
    finding = fake_judge("bug_in_fork").judge(FORK).finding
    assert finding is not None
    assert finding.signature == "kernel-bug:fork:do_wp_page"
    assert [place.function for place in finding.frames] == ["fl_lock", "pte_unmap", "do_wp_page", "handle_mm_fault"]
    assert finding.op == 1


def test_what_happened_first_counts() -> None:
    ops = parse_program("p0.0 mmap a0 rw\np0.0 read a0\np0.0 fork p1\n")

    def both(ops, trace):
        cut, seen = PLANTS["bug_in_fork"](ops, trace)
        return PLANTS["wrong_read"](ops, trace)[0][: len(cut)], seen

    finding = Judge(Side(FakeMachine(both), locate)).judge(ops).finding
    assert finding is not None
    assert (finding.kind, finding.op) == (FindingKind.WRONG_DATA, 1)


@pytest.mark.parametrize(
    ("patched", "base", "blame"),
    [
        (["wrong_read"], [], Blame.NEW),
        (["wrong_read"], ["wrong_read"], None),
        (["wrong_read"], ["bug_in_fork"], Blame.NEW),
        ([], ["wrong_read"], Blame.FIXED),
        ([], [], None),
    ],
)
def test_only_what_the_patch_brings_is_the_patchs(patched: list[str], base: list[str], blame: Blame | None) -> None:
    verdict = fake_judge(*patched, base=base).judge(READ)
    assert (verdict.blame if verdict.finding else None) == blame


def test_the_same_finding_on_base_is_the_bases() -> None:
    ops = parse_program("p0.0 mmap a0 rw\np0.0 fork p1\np1.0 read a0\n")
    verdict = fake_judge("bug_in_fork", base=["bug_in_fork"]).judge(ops)
    assert verdict.blame is Blame.BASE


def test_a_known_signature_is_told_apart() -> None:
    verdict = fake_judge("wrong_read", known=["wrong-data:read:value"]).judge(READ)
    assert verdict.blame is Blame.KNOWN


def test_a_failure_of_our_own_code_is_a_tool_error_with_its_place() -> None:
    finding = fake_judge("broken_tool").judge(parse_program("p0.0 munmap a0\n")).finding
    assert finding is not None
    assert (finding.kind, finding.operation) == (FindingKind.TOOL_ERROR, END)
    assert finding.aspect == "RuntimeError-broken_tool"
    assert finding.frames[0].line > 0


# --- operations that overlap ---

#: A load by one task, a store by another, which by default comes first.
BLOCK = parse_program(
    "p0.0 mmap a0+2 rw\np0.0 write a1 =5\npar {\n  p0.0 write a0 =1\n  p0.1 read a0\n  p0.2 read a1\n}\n"
)


def test_a_finding_of_one_order_has_its_schedule_and_comes_back() -> None:
    judge = fake_judge("read_before_write", base=[])
    finding = judge.judge(BLOCK).finding
    assert finding is not None
    assert finding.kind is FindingKind.LOCK_LEAK
    assert finding.schedule
    assert judge.trial(judge.subject, BLOCK, decisions_of(finding)).finding == finding
    smaller = [*BLOCK[:1], *BLOCK[2:5]]
    shown = judge.again(smaller, finding)
    assert shown is not None
    assert shown.signature == finding.signature
    assert judge.trial(judge.subject, smaller, decisions_of(shown)).finding == shown
    assert judge.again(BLOCK[:3], finding) is None
    assert judge.simplest(BLOCK, finding).schedule.count(">") == 1


def test_a_program_without_its_finding_is_clean_under_every_schedule() -> None:
    verdict = fake_judge(base=[]).judge(BLOCK)
    assert (verdict.finding, verdict.undecided) == (None, ())


def test_what_the_base_shows_under_the_same_schedule_alone_is_the_bases() -> None:
    judge = fake_judge("read_before_write", base=["read_before_write"])
    assert judge.base is not None
    found = judge.judge(BLOCK)
    assert found.blame is Blame.BASE
    assert found.finding is not None
    assert judge.again(BLOCK, found.finding) is None
    assert judge.again(BLOCK, found.finding, Blame.BASE) is not None


def test_with_another_seed_a_program_runs_under_other_schedules() -> None:
    def schedules(seed: int, times: int) -> list[Schedule]:
        judge = fake_judge()
        seen = []
        run_overlapping = judge.subject.machine.run_overlapping

        def noting(wire: bytes, schedule: Schedule, *, paranoid: bool = False) -> bytes:
            seen.append(schedule)
            return run_overlapping(wire, schedule, paranoid=paranoid)

        judge.subject.machine.run_overlapping = noting  # type: ignore[method-assign]
        judge.judge(BLOCK, seed=seed, times=times)
        return [schedule for schedule in seen if schedule.policy in ("random", "pct")]

    few, others, more = schedules(0, 1), schedules(1, 1), schedules(0, 3)
    assert few == schedules(0, 1)
    assert not set(few) & set(others)
    assert few == more[: len(few)]
    assert len(more) > 2 * len(few)
