"""Whose finding a program shows."""

from __future__ import annotations

import pytest
from fake_machine import PLANTS, FakeMachine, fake_judge, locate

from faultline.kinds import FindingKind
from faultline.program.text import parse_program
from faultline.verdict.finding import END
from faultline.verdict.judge import Blame, Judge, Side

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
