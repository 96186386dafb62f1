"""Documents for the tests of reports: programs that really ran, on the fake machine, and every kind of finding."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import msgspec
from fake_machine import judge_maker

from faultline.campaign.run import Result
from faultline.campaign.worker import Record
from faultline.kinds import FindingKind
from faultline.oracle.model import Oracle
from faultline.program.ops import SLOTS
from faultline.program.text import parse_program
from faultline.program.trace import COUNTERS, Bit
from faultline.report.document import Document, Environment, Point
from faultline.report.repro import Patch, Setting
from faultline.report.result import About, document
from faultline.verdict.compare import compare
from faultline.verdict.cost import REGIONS, Change, Cost, Total
from faultline.verdict.finding import Because, Finding, Place, SlotState, TakenLock, Task
from faultline.verdict.judge import Blame, Evidence
from faultline.verdict.reach import NO_CODE, NOT_REACHED, REACHED, Branch, ChangedLine, Reach, TouchedFunction
from faultline.verdict.series import Broken, PatchVerdict, SeriesVerdict

PROTECTED = """p0.0 mmap a0+4 rw
p0.0 write a0 =7
p0.0 uffd-open u0
m uffd-register u0 a0+4 wp
m uffd-wp u0 a0+4
p0.0 fork p1
p1.0 read a0
"""
OVERLAPPING = """p0.0 mmap a0+2 rw
p0.0 write a0 =1
par {
  p0.1 madvise a0 dontneed
  p0.2 read a0
  m swap-out p0 a0+2
}
p0.0 read a0
"""
DIFF = """--- a/mm/memory.c
+++ b/mm/memory.c
@@ -3659,4 +3659,7 @@ static vm_fault_t do_wp_page(struct vm_fault *vmf)
 \tstruct folio *folio = NULL;
-\tpte_t pte;
+\tstruct page *page;
+\t/* a comment */
+\tif (userfaultfd_pte_wp(vma, ptep_get(vmf->pte)) && <script>alert("a name & more")</script>)
+\t\treturn handle_userfault(vmf, VM_UFFD_WP);
\x20
 \tif (likely(!unshare)) {
"""


def judged(program: str, *plants: str, base: list[str] | None = None) -> Record:
    """The finding that a program shows on a fake machine, as a worker sends it."""
    judge = judge_maker(*plants, base=base)(lambda _: None)
    ops = parse_program(program)
    finding = judge.judge(ops).finding
    assert finding is not None
    return Record(finding, ops, 12, minimised=True, evidence=judge.evidence(ops, finding))


def lost_bit(index: int = 5, slot: int = 0, bit: Bit = Bit.UFFD_WP, program: str = PROTECTED) -> Record:
    """A page that is not as expected after an operation: the first process, which is alone, loses or gets a bit."""
    ops = parse_program(program)
    expectation = Oracle().expect(ops)
    end = len(Oracle().expect(ops[: index + 1]).trace)
    processes = 2 if index >= 5 else 1
    at = end - processes * (4 * SLOTS + COUNTERS.size) + 4 * slot
    trace = bytearray(expectation.trace)
    struct.pack_into("<I", trace, at, struct.unpack_from("<I", trace, at)[0] ^ bit)
    finding = compare(ops, expectation, bytes(trace))
    assert finding is not None
    return Record(finding, ops, 3, minimised=True, evidence=Evidence(bytes(trace), expectation.trace))


def crafted(kind: FindingKind, program: str = OVERLAPPING, op: int = 3) -> Record:
    """A finding of a kind, with all that one can have, in words as long as they get."""
    ops = parse_program(program)
    name = "a_rather_long_function_name_of_the_kernel"
    places = tuple(Place(f"{name}_{i}", "mm/huge_memory.c", 1000 + i) for i in range(15))
    rule = Because("A rule that is as long as rules get. " * 4, "madvise(2)")
    lock = TakenLock("mmap_lock of process 0, for writing", places[0])
    finding = Finding(
        kind=kind, op=op, operation="read", aspect=f"aspect-{kind.value}", happened="what happened " * 12,
        expected="what was expected " * 9, because=(rule,),
        frames=places, other=places[3], locks=(lock, lock),
        tasks=(Task(name="p0.2", frames=places, locks=(lock,), waits="page table lock"), Task(name="m")),
        slots=tuple(SlotState(0, slot, 0x700, 0x1F00, 0x700) for slot in range(10)),
        note="This program shows it in some runs only.", schedule=" ".join(["0:p0.1@3>p0.2"] * 40),
    )  # fmt: skip
    judge = judge_maker()(lambda _: None)
    return Record(finding, ops, 5, evidence=judge.evidence(ops, finding.with_schedule("")))


def all_kinds() -> list[Record]:
    """Real findings first, then one of each kind."""
    killed = Finding(kind=FindingKind.HANG, op=-1, operation="end", aspect="process-stuck", happened="stuck")
    real = [
        lost_bit(),
        judged("p0.0 mmap a0 rw\np0.0 read a0\n", "wrong_read"),
        judged(PROTECTED, "bug_in_fork"),
        Record(killed, parse_program(PROTECTED), 9),
    ]
    return real + [crafted(kind) for kind in FindingKind]


def reach(missed: bool = True) -> Reach:
    """Of the lines of DIFF."""

    def line(number: int, state: str, text: str) -> ChangedLine:
        return ChangedLine(file="mm/memory.c", line=number, text=text, state=state, function="do_wp_page", first=None)  # type: ignore[arg-type]

    lines = (
        line(3660, NO_CODE, "\tstruct page *page;"),
        line(3661, NO_CODE, "\t/* a comment */"),
        msgspec.structs.replace(
            line(3662, REACHED, "\tif (userfaultfd_pte_wp(vma, ptep_get(vmf->pte)))"),
            branches=(Branch(what="userfaultfd_pte_wp(): true", first=3), Branch(what="userfaultfd_pte_wp(): false")),
        ),
        line(3663, NOT_REACHED if missed else REACHED, "\t\treturn handle_userfault(vmf, VM_UFFD_WP);"),
    )
    function = TouchedFunction(
        name="do_wp_page", file="mm/memory.c", reached=1 if missed else 2, total=2, operations=("write", "fork")
    )
    return Reach(lines=lines, functions=(function,))


def cost() -> Cost:
    """Operations that cost more, one that costs less, and code that runs."""

    def change(operation: str, counter: str, before: int, after: int, program: str = PROTECTED) -> Change:
        return Change(
            operation=operation, counter=counter, runs=1200, changed=1000, before=before, after=after,
            median_before=before // 1000, median_after=after // 1000, program=program, index=7,
        )  # fmt: skip

    wide = "p0.0 process-write p0 a0+32 a0+32 =255\n" * 3
    changes = (
        change("mprotect", "TLB flushes", 1000, 2000, "p0.0 mmap a0 rw\np0.0 mprotect a0 r\n"),
        change("mprotect", "other CPUs told to flush", 0, 1000),
        change("write fault (write-protected)", "page tables and kernel pages allocated", 3000, 3004),
        *(change(f"operation-{i}", "mmap_lock (shared)", 2000, 1000, wide) for i in range(6)),
        change("mprotect", REGIONS, 100_000, 100_080, ""),
    )
    totals = (
        Total(counter="TLB flushes", before=1000, after=2000), Total(counter=REGIONS, before=100_000, after=100_080),
    )  # fmt: skip
    return Cost(programs=3990, left_out=10, changes=changes, totals=totals)


def series() -> SeriesVerdict:
    """Patches of every state."""
    subjects = {
        "1/6": ("clean", "mm: move the check into a helper with a name that is as long as subjects of patches get"),
        "2/6": ("findings", "mm: pass the result by value #2"),
        "3/6": ("fixes", "mm: pass it through a pointer"),
        "4/6": ("not-tested", "Documentation: say so"),
        "5/6": ("does-not-compile", "mm: rename it"),
        "6/6": ("does-not-apply", "mm: use it"),
    }
    signature = "unlock-not-owner:write:handle_userfault"
    patches = tuple(
        PatchVerdict(
            name=name, subject=subject, author="A", files=("mm/memory.c",), state=state,  # type: ignore[arg-type]
            findings=(signature,) if state == "findings" else (), fixes=(signature,) if state == "fixes" else (),
            why="error: implicit declaration of function" if "not" in state else "",
        )
        for name, (state, subject) in subjects.items()
    )  # fmt: skip
    broken = Broken(signature=signature, by="2/6", since="1/6", until="3/6", repro="findings/a.repro")
    return SeriesVerdict(patches=patches, title="mm: a series", broken=(broken,), unplaced=("hang:read:x",))


def made(
    records: Sequence[Record] = (), *, reach: Reach | None = None, diff: str = "", ended: bool = True, **changes: object
) -> Document:
    """The document of a check that came to these findings."""
    setting = Setting("debian:6.12", "base", (Patch(Path("corpora/thread/t5.cocci"), "0d602bd04498cae7"),), seed=1)
    about = About(
        setting, "check", "faultline check --patch corpora/thread/t5.cocci --seed 1", "2026-11-23T19:07:03Z",
        Environment(
            faultline="0.1.0", python="3.11.2", system="Linux 6.18.5", machine="x86_64", cores=2,
            compiler="Debian clang version 19.1.7 (3~deb12u1)", tree="linux-source-6.12 6.12.117-1", version="6.12.117",
        ),
        diff,
    )  # fmt: skip
    result = Result(1, list(records), 4321, 60.0, reach=reach)
    result.signatures = Counter({(Blame.BASE, "stray-bit:fork:soft-dirty"): 3, (Blame.KNOWN, "hang:ksm-merge:x"): 1})
    files = {r.finding.signature: Path(f"findings/{r.finding.kind.value}-1234abcd.repro") for r in records}
    reached = None if reach is None else 4
    timeline = [Point(i * 0.2, i * i * 4 + i, min(i // 60, len(records)), reached and min(i, 4)) for i in range(300)]
    return msgspec.structs.replace(document(result, about, files, timeline, ended=ended), **changes)
