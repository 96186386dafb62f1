"""Operations that overlap, through the command line."""

from __future__ import annotations

import pytest
from commands import ROOT

from faultline.kinds import ExitStatus

T1 = ROOT / "corpora/thread/t1.cocci"
DEFECT = ROOT / "corpora/seeds/par-resolve-dontneed.prog"
LOCK_MISUSE = {"pte-unlocked-access", "unlock-not-owner"}
HEADER = "# faultline repro v1\nschedule: {}\n"
BLOCK = "p0.0 mmap a0 rw\npar {\n  p0.0 write a0 =1\n  p0.1 read a0\n}\n"


def test_a_check_under_schedules_finds_the_lock_defect_of_the_thread_and_its_repro_replays(faultline):
    options = ("--programs", 600, "--seed", 1, "--schedules", "mix", "--json")
    done = faultline("check", "--patch", T1, *options)
    assert done.status == ExitStatus.FINDINGS
    found = next(finding for finding in done.json["findings"] if finding["kind"] in LOCK_MISUSE)
    for _ in range(3):
        replayed = faultline("replay", found["repro"])
        assert replayed.status == ExitStatus.FINDINGS
        assert found["signature"] in replayed.out
        assert "base: clean" in replayed.out


def test_all_schedules_of_a_program(faultline):
    clean = faultline("replay", DEFECT, "--schedules", "exhaustive")
    assert clean.status == ExitStatus.CLEAN
    assert ", all there are: " in clean.out
    broken = faultline("replay", DEFECT, "--patch", T1, "--schedules", "exhaustive")
    assert broken.status == ExitStatus.FINDINGS
    assert any(kind in broken.out for kind in LOCK_MISUSE)


def test_a_campaign_of_exhaustive_searches(faultline):
    done = faultline("run", "--schedules", "exhaustive:1", "--programs", 40, "--seed", 1, "--json")
    assert done.status == ExitStatus.CLEAN, done.out
    assert done.json["programs"] == 40


@pytest.mark.parametrize(
    ("policy", "says"),
    [
        ("often", "one of mix, random[:N], pct[:DEPTH], exhaustive[:PREEMPTIONS]"),
        ("mix:3", "one of mix"),
        ("pct:deep", "one of mix"),
    ],
)
def test_an_unknown_policy_is_one_line(faultline, policy, says):
    done = faultline("run", "--schedules", policy)
    assert done.status == ExitStatus.USAGE
    assert says in done.err
    assert "Traceback" not in done.err


def test_schedules_of_a_program_without_blocks_are_a_mistake(faultline, tmp_path):
    (tmp_path / "one.prog").write_text("p0.0 mmap a0 rw\n")
    done = faultline("replay", "one.prog", "--schedules", "mix")
    assert done.status == ExitStatus.USAGE
    assert "one.prog: --schedules is for operations that overlap" in done.err


@pytest.mark.parametrize(
    ("schedule", "says"),
    [
        ("p3.0@1>p0.1", "p3.0 does nothing in or before that block"),
        ("p9.0@1>p0.1", "names no task"),
        ("4:p0.0@1>p0.1", "the program has 1 blocks"),
        ("p0.0", "is no decision"),
    ],
)
def test_a_schedule_that_does_not_fit_its_program_is_one_line(faultline, tmp_path, schedule, says):
    (tmp_path / "odd.repro").write_text(HEADER.format(schedule) + BLOCK)
    done = faultline("replay", "odd.repro")
    assert done.status == ExitStatus.USAGE
    assert "odd.repro: schedule: " in done.err
    assert says in done.err
    assert "Traceback" not in done.err


def test_tasks_that_wait_for_what_nobody_does_are_no_hang(faultline, tmp_path):
    (tmp_path / "waits.prog").write_text(
        "p0.0 mmap a0+2 rw\np0.0 uffd-open u0\nm uffd-register u0 a0+2 missing\n"
        "par {\n  p0.0 read a0\n  p0.1 write a1 =1\n}\n"
    )
    done = faultline("replay", "waits.prog", "--schedules", "exhaustive")
    assert done.status == ExitStatus.CLEAN
    assert "no finding" in done.out
    assert done.out.count("blocks on a page fault") == 2
