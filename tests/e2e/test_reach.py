"""Which changed lines ran: `faultline check` says it as loudly as what it found."""

from __future__ import annotations

from faultline.kinds import ExitStatus

#: Programs that suffice: the seeds come first.
PROGRAMS = 400

#: A line that every write to a shared page runs, a condition that is never true, and a line that needs it to be.
MIXED = """// files: mm/memory.c
@@
typedef vm_fault_t, pte_t;
identifier vmf, pte;
@@
static vm_fault_t do_wp_page(struct vm_fault *vmf)
{
	...
	pte_t pte;
+	unsigned long first = vmf->vma->vm_start;
+
+	if (vmf->address + PAGE_SIZE <= first)
+		return VM_FAULT_SIGBUS;
	...
}
"""
#: A line that only a write by another process runs, which the first program does not do.
LATE = """// files: mm/memory.c
@@
typedef vm_fault_t, pte_t;
identifier vmf, pte;
@@
static vm_fault_t do_wp_page(struct vm_fault *vmf)
{
	...
	pte_t pte;
+
+	if (vmf->flags & FAULT_FLAG_REMOTE)
+		vmf->flags |= FAULT_FLAG_REMOTE;
	...
}
"""
#: Memory that is no memory, as of a device, is not among what programs map.
NEVER = """// files: mm/mprotect.c
@@
expression E;
@@
prot_none_pte_entry(...)
{
+	if (!walk->mm)
+		return -EINVAL;
	return E;
}
"""


def added(done):
    return {line["text"].strip(): line for line in done.json["reach"]["lines"]}


def test_lines_that_ran_and_one_that_cannot(faultline, tmp_path):
    (tmp_path / "mixed.cocci").write_text(MIXED)
    arguments = ("check", "--patch", "mixed.cocci", "--programs", PROGRAMS, "--seed", 3)
    done = faultline(*arguments, "--json", "--jobs", 2)
    assert done.status == ExitStatus.CLEAN, done.err
    assert done.json["verdict"] == "clean"
    lines = added(done)
    ran, condition = lines["unsigned long first = vmf->vma->vm_start;"], lines["if (vmf->address + PAGE_SIZE <= first)"]
    assert ran["state"] == condition["state"] == "reached"
    assert ran["function"] == "do_wp_page"
    assert 0 <= ran["first"] < PROGRAMS
    assert {branch["what"]: branch["first"] for branch in condition["branches"]} == {
        "vmf->address + PAGE_SIZE <= first: true": None,
        "vmf->address + PAGE_SIZE <= first: false": ran["first"],
    }
    missed = lines["return VM_FAULT_SIGBUS;"]
    assert (missed["state"], missed["first"]) == ("not-reached", None)
    (function,) = done.json["reach"]["functions"]
    assert function["name"] == "do_wp_page"
    assert "write" in function["operations"], "measured on the tree without the patch"
    assert "pagemap-scan" not in function["operations"]
    assert (done.json["reach"]["reached"], done.json["reach"]["total"]) == (2, 3)
    assert faultline(*arguments, "--json", "--jobs", 1).json["reach"] == done.json["reach"]

    said = faultline(*arguments, "-v").out
    assert said.startswith("no finding, but 1 of 3 changed lines never ran: ")
    assert "reach: 2 of 3 changed lines ran, 1 of 2 branches taken" in said
    assert f"never ran: mm/memory.c:{missed['line']} in do_wp_page(): return VM_FAULT_SIGBUS;" in said
    assert "operations likely to reach it: " in said


def test_the_first_program_that_reaches_a_line(faultline, tmp_path):
    (tmp_path / "late.cocci").write_text(LATE)
    line = "vmf->flags |= FAULT_FLAG_REMOTE;"

    def checked(programs):
        done = faultline("check", "--patch", "late.cocci", "--programs", programs, "--seed", 3, "--json")
        assert done.status == ExitStatus.CLEAN, done.err
        return added(done)[line]

    first = checked(PROGRAMS)["first"]
    assert 0 < first < PROGRAMS
    assert checked(first + 1)["first"] == first
    assert checked(first)["state"] == "not-reached", "it was the first"


def test_a_patch_of_which_no_line_ran_is_not_tested(faultline, tmp_path):
    (tmp_path / "never.cocci").write_text(NEVER)
    done = faultline("check", "--patch", "never.cocci", "--programs", PROGRAMS, "--seed", 3)
    assert done.status == ExitStatus.SKIPPED, done.err
    assert done.out.startswith("not tested: all 2 changed lines never ran; no finding: ")
    assert "in prot_none_pte_entry(): if (!walk->mm)" in done.out
