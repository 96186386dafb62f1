"""What a check says that patches cost: patches that take more of something, and one that does not."""

from __future__ import annotations

from typing import Any

import pytest

from faultline.kinds import ExitStatus
from faultline.program.text import parse_program

HEAD = "// files: mm/memory.c\n// SPDX-License-Identifier: GPL-2.0-only\n"
COSTLY = (
    HEAD
    + """\
// Flushes what is about to be flushed, and allocates a page that nobody needs.
@@
symbol vma, vmf;
@@
 wp_page_copy(struct vm_fault *vmf)
 {
 <...
+flush_tlb_page(vma, vmf->address);
+put_page(alloc_page(GFP_ATOMIC | __GFP_MOVABLE | __GFP_NOFAIL));
 ptep_clear_flush(...);
 ...>
 }

// Allocates an object that nobody needs.
@@
@@
 copy_page_range(...)
 {
 ... when any
+kfree(kmalloc(64, GFP_KERNEL | __GFP_NOFAIL));
 return ret;
 }

// Takes a lock, lets it go, and takes it again.
@@
symbol vma, vmf;
@@
 do_anonymous_page(...)
 {
 <...
 vmf->pte = pte_offset_map_lock(vma->vm_mm, ...);
+spin_unlock(vmf->ptl);
+spin_lock(vmf->ptl);
 ...>
 }
"""
)
REFACTOR = (
    HEAD
    + """\
@@
symbol vma, vmf, folio;
typedef bool;
@@
+static bool may_be_reused(struct vm_fault *vmf, struct folio *folio)
+{
+	if (!folio || !folio_test_anon(folio))
+		return false;
+	return PageAnonExclusive(vmf->page) || wp_can_reuse_anon_folio(folio, vmf->vma);
+}
+
 do_wp_page(struct vm_fault *vmf)
 {
 <...
-folio && folio_test_anon(folio) && (PageAnonExclusive(vmf->page) || wp_can_reuse_anon_folio(folio, vma))
+may_be_reused(vmf, folio)
 ...>
 }
"""
)
PROGRAMS = 1500
Cost = dict[str, Any]


@pytest.fixture
def cost(faultline, tmp_path):
    """What a check of a patch says of its cost; the check finds nothing else."""

    def check(patch: str) -> Cost:
        (tmp_path / "patch.cocci").write_text(patch)
        done = faultline(
            "check", "--patch", "patch.cocci", "--programs", PROGRAMS, "--schedules", "none", "--seed", 1, "--json",
        )  # fmt: skip
        assert done.status == ExitStatus.CLEAN, done.out + done.err
        found: Cost = done.json["cost"]
        assert found["programs"] + found["left_out"] == PROGRAMS
        return found

    return check


def changes(cost: Cost) -> dict[tuple[str, str], dict[str, Any]]:
    """By operation and what is counted, but for code that runs."""
    return {
        (one["operation"], one["counter"]): one
        for one in cost["changes"]
        if one["counter"] != "code regions of the changed files"
    }


def test_each_thing_that_is_taken_once_more_is_told_with_its_operation(cost):
    found = changes(cost(COSTLY))
    flush = found["write fault (write-protected)", "TLB flushes"]
    assert flush["after"] - flush["before"] >= flush["changed"] > 100
    assert (flush["median_before"], flush["median_after"]) == (1, 2)
    assert {"mprotect", "fork", "munmap"}.isdisjoint(op for op, counter in found if counter == "TLB flushes")
    spare = found["fork", "slab objects allocated"]
    assert spare["after"] - spare["before"] >= spare["changed"] > 300
    lock = found["write fault (no page)", "page table lock"]
    assert lock["after"] - lock["before"] >= lock["changed"] > 500
    page = found["write fault (write-protected)", "user pages allocated"]
    assert page["after"] - page["before"] >= page["changed"] > 100
    for change in (flush, spare, lock, page):
        assert len(parse_program(change["program"])) <= 4, change["program"]
        name = change["operation"].split()[0]
        assert f" {name} " in change["program"]


def test_a_refactor_costs_the_same_but_for_the_code_that_runs(cost):
    found = cost(REFACTOR)
    assert changes(found) == {}
    totals = {total["counter"]: (total["before"], total["after"]) for total in found["totals"]}
    assert all(before == after for name, (before, after) in totals.items() if not name.startswith("code regions"))
    before, after = totals["code regions of the changed files"]
    assert before > 10_000
    assert 0 < abs(after - before) < before / 100
