"""check --strict: what a patch changes inside, and what it says is meant."""

from __future__ import annotations

import pytest
from commands import ROOT
from test_reach import NEVER

from faultline.kinds import ExitStatus

FLUSH = """\
// files: mm/memory.c
// SPDX-License-Identifier: GPL-2.0-only
// {rule}
@@
@@
 do_anonymous_page(...)
 {{
 <...
+flush_tlb_page(vma, vmf->address);
 set_ptes(...);
 ...>
 }}
"""
PROGRAMS = 600


@pytest.fixture
def check(faultline, tmp_path):
    def run(rule, *options):
        (tmp_path / "flush.cocci").write_text(FLUSH.format(rule=rule))
        return faultline(
            "check", "--patch", "flush.cocci", "--programs", PROGRAMS, "--schedules", "none", "--seed", 1, "--json",
            *options,
        )  # fmt: skip

    return run


def test_one_flush_more_is_seen_where_it_is_asked_for(check, faultline):
    assert check("says nothing").status == ExitStatus.CLEAN
    done = check("says nothing", "--strict")
    assert done.status == ExitStatus.FINDINGS
    assert {(finding["kind"], finding["aspect"]) for finding in done.json["findings"]} == {
        ("base-difference", "tlb-flushes")
    }
    finding = next(finding for finding in done.json["findings"] if finding["operation"] == "write")
    assert (finding["expected"], finding["happened"]) == ("0 TLB flushes", "1 TLB flush")
    replayed = faultline("replay", finding["repro"])
    assert replayed.status == ExitStatus.FINDINGS
    assert "signature  base-difference:write:tlb-flushes" in replayed.out


def test_what_the_patch_says_is_meant_is_counted_and_no_finding(check):
    done = check("Faultline-harmless: base-difference:*:tlb-flushes  a flush more", "--strict")
    assert done.status == ExitStatus.CLEAN, done.out
    assert done.json["findings"] == []
    assert done.json["harmless"]["base-difference:write:tlb-flushes"] > 100


def test_the_patch_of_a_series_that_differs_inside_is_named(faultline, tmp_path):
    (tmp_path / "never.cocci").write_text(NEVER)
    (tmp_path / "flush.cocci").write_text(FLUSH.format(rule="says nothing"))
    patches = ("--patch", "never.cocci", "--patch", "flush.cocci")
    options = ("--programs", 120, "--schedules", "none", "--seed", 1, "--json")
    done = faultline("check", *patches, "--strict", *options)
    assert done.status == ExitStatus.FINDINGS, done.err
    first, second = done.json["series"]["patches"]
    assert (first["state"], second["state"]) == ("clean", "findings")
    assert "base-difference:write:tlb-flushes" in second["findings"]


def test_what_breaks_a_rule_cannot_be_meant(check):
    done = check("Faultline-harmless: wrong-data:*:*  it is fine", "--strict")
    assert done.status == ExitStatus.USAGE
    assert "flush.cocci:3: Faultline-harmless" in done.err


def test_a_refactor_that_is_one_differs_in_nothing(faultline):
    done = faultline(
        "check", "--patch", ROOT / "corpora/thread/t3.cocci", "--strict", "--programs", PROGRAMS, "--schedules", "none",
        "--seed", 1,
    )  # fmt: skip
    assert done.status == ExitStatus.CLEAN, done.out
