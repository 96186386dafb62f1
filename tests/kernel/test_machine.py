"""The machine on the unmodified tree: it agrees with the oracle, forgets what it ran, and sees planted faults."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import islice
from pathlib import Path

import pytest
from machines import sequential

from faultline.backend.machine import Machine, MachineFinding
from faultline.campaign.source import corpora_dir
from faultline.kinds import FaultlineError, FindingKind
from faultline.oracle.model import Oracle
from faultline.program.codec import Operation, decode, encode
from faultline.program.generate import random_program
from faultline.program.ops import lacking
from faultline.program.text import format_program, parse_program
from faultline.verdict.compare import compare
from faultline.verdict.finding import Place
from faultline.verdict.judge import locator_of, machine_finding
from faultline.verdict.known import is_known, read_known, signatures

sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))

from oracle_cases import CASES, CHOICES
from oracle_dsl import mismatches, parse

pytestmark = pytest.mark.kernel

#: Of a library: what finds the places in its source.
locator: Callable[[Path], Callable[[int], Sequence[Place]]] = cache(locator_of)

CORPORA = Path(__file__).parents[2] / "corpora"
CORPUS = sorted([*CORPORA.glob("seeds/*.prog"), *CORPORA.glob("regressions/*.prog")])

#: Fork, a protected write that blocks, its event, its resolution, both sides of a COW, two exits.
STANDARD = """
p0.0 mmap a0+4 rw
p0.0 write a0 =1
p0.0 write a1 =2
p0.0 fork p1
p0.0 uffd-open u0
m uffd-register u0 a0+4 wp
m uffd-wp u0 a0
p0.0 write a0 =3
m uffd-read u0 u1
m uffd-resolve u0 a0
p1.0 write a1 =4
p1.0 read a0
p0.0 read a0
p1.0 exit
p0.0 exit
"""

#: Two pages merged, one parted again, both sides read.
KSM = """
p0.0 mmap a14+4 rw
p0.0 write a15 =5
p0.0 write a16 =5
p0.0 madvise a14+4 mergeable
m ksm-merge p0 a14+4
p0.0 write a15 =6
p0.0 read a15
p0.0 read a16
m ksm-scan
p0.0 madvise a14+4 unmergeable
"""

#: A page in swap is read by the child, with the parent's entry left behind.
SWAP = """
p0.0 mmap a0 rw
p0.0 write a0 =5
m swap-out p0 a0
p0.0 fork p1
p1.0 read a0
p1.0 exit
"""

#: A page protected while its writable entry is in the TLB, then read and written.
PROTECT = """
p0.0 mmap a0 rw
p0.0 write a0 =1
p0.0 uffd-open u0
m uffd-register u0 a0 wp
m uffd-wp u0 a0
p0.0 read a0
p0.0 write a0 =2
"""


def programs(seed: int) -> Iterator[list[Operation]]:
    rng = random.Random(seed)
    while True:
        yield random_program(rng)


def oracle_of(machine: Machine) -> Oracle:
    return Oracle(tree_version=machine.version, has=machine.has)


def signature(machine: Machine, ops: Sequence[Operation]) -> str | None:
    """Of what the machine found in its last run, which was of ``ops``."""
    if machine.finding is None:
        return None
    return machine_finding(machine.finding, ops, locator(machine.library), b"").signature


def unknown(machine: Machine, ops: Sequence[Operation]) -> MachineFinding | None:
    """What the last run found, unless corpora/known records it for the tree."""
    known = signatures(read_known(corpora_dir() / "known"), "{}.{}".format(*machine.version))
    found = signature(machine, ops)
    return None if found is None or is_known(found, known, ops) else machine.finding


def explained(machine: Machine, oracle: Oracle, ops: Sequence[Operation]) -> bool:
    """Runs the program: nothing unknown is found, and up to what ended it the oracle agrees."""
    trace = machine.run(encode(ops), paranoid=True)
    if machine.finding is None:
        return oracle.expect(ops, trace).trace == trace
    before = len(ops) if machine.finding.op < 0 else machine.finding.op
    return unknown(machine, ops) is None and compare(ops, oracle.expect(ops, trace), trace, before=before) is None


def agrees(machine: Machine, ops: list[Operation]) -> bool:
    trace = machine.run(encode(ops))
    return unknown(machine, ops) is None and oracle_of(machine).expect(ops, trace).trace == trace


@pytest.mark.parametrize("text", [STANDARD, KSM, ""], ids=["standard", "ksm", "empty"])
def test_known_programs_agree_with_the_oracle(machine: Machine, text: str) -> None:
    assert agrees(machine, parse_program(text))


@pytest.mark.parametrize("name", CASES | CHOICES)
def test_the_machine_does_what_the_script_says(machine: Machine, name: str) -> None:
    script = parse((CASES | CHOICES)[name])
    if missing := lacking(script.ops, machine.has):
        pytest.skip(f"the tree lacks {', '.join(sorted(missing))}")
    trace = machine.run(encode(script.ops), paranoid=True)
    assert machine.finding is None, machine.finding
    assert mismatches(script, trace) == []
    assert oracle_of(machine).expect(script.ops, trace).trace == trace


def test_random_programs_agree_with_the_oracle(machine: Machine) -> None:
    oracle = oracle_of(machine)
    for ops in islice(programs(1), 10_000):
        assert explained(machine, oracle, ops), format_program(ops)


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_seeds_and_regressions_are_clean(machine: Machine, path: Path) -> None:
    assert agrees(machine, sequential(path))


def test_any_bytes_are_a_program(machine: Machine) -> None:
    rng = random.Random(2)
    for _ in range(3000):
        wire = rng.randbytes(rng.randrange(200))
        machine.run(wire)
        assert unknown(machine, decode(wire)) is None, machine.finding


def test_every_page_reference_and_object_is_back_after_a_program(machine: Machine) -> None:
    machine.run(b"")
    before = machine.stats["pages_live"]
    for ops in islice(programs(3), 200):
        machine.run(encode(ops))
        assert machine.stats["pages_live"] == before


def test_a_trace_does_not_depend_on_what_ran_before(machine: Machine) -> None:
    wires = [encode(ops) for ops in islice(programs(4), 3000)]
    forward = [machine.run(wire, internals=True) for wire in wires]
    machine.plant("wild-pointer")
    machine.run(encode(parse_program(STANDARD)))
    machine.plant("none")
    backward = [machine.run(wire, internals=True) for wire in reversed(wires)]
    assert forward == backward[::-1]


def test_a_trace_is_the_same_in_another_process(machine: Machine, base_library: Path, tmp_path: Path) -> None:
    wire = b"".join(encode(ops) for ops in islice(programs(5), 12))
    code = (
        "import sys; from pathlib import Path; from faultline.backend.machine import Machine;"
        "m = Machine(Path(sys.argv[1])); sys.stdout.buffer.write(m.run(sys.stdin.buffer.read(), internals=True))"
    )
    done = subprocess.run([sys.executable, "-c", code, base_library], input=wire, capture_output=True, check=True)
    assert done.stdout == machine.run(wire, internals=True)


#: A file with a store is written through a mapping, written back, dropped from the cache, and read in again.
STORED = """
p0.0 file-open f0 tmpfile @2
p0.0 mmap-file a0+2 rw f0 @0 shared
p0.0 write a0 =5
p0.0 file-sync f0
p0.0 munmap a0+2
p0.0 file-drop f0
p0.0 file-read f0 @0
"""

#: Memory that is shared with a child.
SHARED = "p0.0 mmap-shared a0+2 rw\np0.0 write a0 =1\np0.0 fork p1\np1.0 read a0"

#: A page that a device relies on.
PINNED = "p0.0 mmap a0+2 rw\np0.0 write a0 =1\np0.0 pin k0 a0 write\n"

#: A fault under mmap_lock, since the mapping has no anon_vma, then one under the lock of the mapping.
FAULTS = "p0.0 mmap a0+2 rw\np0.0 write a0 =1\np0.0 write a1 =1\np0.0 read a0\n"

#: Each planted fault: the program that walks into it and the kind of the machine's finding; None: the oracle sees it.
CANARIES = {
    "file-page": (SHARED, FindingKind.COUNTER_DRIFT),
    "file-mapping": (SHARED, FindingKind.COUNTER_DRIFT),
    "leak-inode": (STORED, FindingKind.REFERENCE_LEAK),
    "lose-writeback": (STORED, None),
    "skip-flush": (PROTECT, FindingKind.STALE_TLB),
    "skip-batch": (
        "p0.0 mmap a0 rw\np0.0 fork p1\np1.1 write a0 =1\np1.0 clear-refs referenced\nm swap-out p1 a0",
        FindingKind.STALE_TLB,
    ),
    "forget-batch": ("p0.0 mmap a0 rw\np0.0 read a0", FindingKind.STALE_TLB),
    "leak-page": (STANDARD, FindingKind.REFERENCE_LEAK),
    "keep-spin": ("p0.0 mmap a0 rw\np0.0 write a0 =1\np0.0 mprotect a0 r", FindingKind.SLEEP_IN_ATOMIC),
    "keep-mmap-lock": (KSM, FindingKind.LOCK_LEAK),
    "double-unlock": ("p0.0 mmap a0 rw\np0.0 munmap a0", FindingKind.UNLOCK_NOT_OWNER),
    "wrong-byte": (STANDARD, None),
    "drop-event": (STANDARD, None),
    "lose-uffd-bit": (PROTECT, None),
    "leak-swap": (SWAP, FindingKind.REFERENCE_LEAK),
    "swap-drift": (SWAP, FindingKind.COUNTER_DRIFT),
    "swap-byte": (SWAP, None),
    "leak-slab": (STANDARD, FindingKind.REFERENCE_LEAK),
    "pte-unlocked": ("p0.0 mmap a0 rw\np0.0 write a0 =1\np0.0 read a0", FindingKind.PTE_UNLOCKED_ACCESS),
    "rss-drift": (STANDARD, FindingKind.COUNTER_DRIFT),
    "lost-wakeup": (STANDARD, None),
    "sleep-in-atomic": (STANDARD, FindingKind.SLEEP_IN_ATOMIC),
    "wild-pointer": (STANDARD, FindingKind.KERNEL_BUG),
    "endless-loop": (STANDARD, FindingKind.HANG),
    "wrong-errno": ("p0.0 mmap a0 rw\np0.0 uffd-open u0\nm uffd-wp u0 a0", None),
    "zero-page-written": ("p0.0 mmap a0 rw\np0.0 read a0", FindingKind.WRONG_DATA),
    "uffd-wp-write": (
        "p0.0 mmap a0 rw\np0.0 uffd-open u0\nm uffd-register u0 a0 missing,wp\n"
        "m uffd-copy u0 a0 =5 wp\np0.0 write a0 =6",
        None,
    ),
    "skip-notifier": (
        "p0.0 mmap a0 rw\np0.0 guest-write a0 =1\np0.0 mprotect a0 r",
        FindingKind.NOTIFIER_MISSED,
    ),
    "vma-count": ("p0.0 mmap a0 rw\np0.0 read a0", FindingKind.COUNTER_DRIFT),
    "total-vm": ("p0.0 mmap a0 rw\np0.0 read a0", FindingKind.COUNTER_DRIFT),
    "vma-order": ("p0.0 mmap a0 rw\np0.0 write a0 =1\np0.0 mmap a1 r\np0.0 read a0", FindingKind.COUNTER_DRIFT),
    "page-index": ("p0.0 mmap a0 rw\np0.0 write a0 =1\np0.0 read a0", FindingKind.COUNTER_DRIFT),
    "anon-vma": ("p0.0 mmap a0 rw\np0.0 write a0 =1\np0.0 read a0", FindingKind.COUNTER_DRIFT),
    "lose-pin": (PINNED + "p0.0 read a0", FindingKind.COUNTER_DRIFT),
    "free-pinned": (PINNED + "p0.0 madvise a0 cold\np0.0 read a0\np0.0 munmap a0", FindingKind.USE_AFTER_FREE),
    "spoil-pinned": (PINNED, FindingKind.WRONG_DATA),
    "left-migration-entry": (PINNED + "p0.0 write a1 =1\np0.0 read a0", FindingKind.KERNEL_BUG),
    "retry-keeps-lock": (FAULTS, FindingKind.LOCK_LEAK),
    "fault-drops-lock": (FAULTS, FindingKind.LOCK_NOT_HELD),
    "fault-without-lock": (FAULTS, FindingKind.LOCK_NOT_HELD),
    "folio-unlocked": (FAULTS, FindingKind.LOCK_NOT_HELD),
    "lock-order": (FAULTS, FindingKind.LOCK_ORDER),
    "lock-order-own": (FAULTS + "p0.1 read a0\n", FindingKind.LOCK_ORDER),
    "spurious-fault": ("p0.0 mmap a0 rw\np0.0 write a0 =7", None),
}  # fmt: skip


#: Where the tree has per-VMA locks.
VMA_LOCK_CANARIES = {
    "keep-vma-lock": (STANDARD, FindingKind.LOCK_LEAK),
    "double-vma-unlock": (STANDARD, FindingKind.UNLOCK_NOT_OWNER),
}
CANARIES |= VMA_LOCK_CANARIES

#: Where a page says whether it is one process's alone.
EXCLUSIVE_CANARIES = {"reuse-shared": (FAULTS, FindingKind.KERNEL_BUG)}
CANARIES |= EXCLUSIVE_CANARIES
#: Seen by paranoid runs, and where operations overlap: in plain ones something else would show first.
STRICT_CANARIES = {"reuse-shared", "fault-drops-lock"}

#: Where its page tables are kept by RCU while they are mapped.
MAPPED_TABLE_CANARIES = {"pte-after-unmap": (FAULTS, FindingKind.PTE_UNLOCKED_ACCESS)}
CANARIES |= MAPPED_TABLE_CANARIES

#: Where the profile has huge pages.
_HUGE = "p0.0 mmap a0+8 rw\np0.0 write a0 =1\n"
_LARGE = "p0.0 mmap a0+4 rw\np0.0 write a0 =1\n"
HUGE_CANARIES = {
    "pmd-unlocked": (_HUGE + "p0.0 read a0", FindingKind.PTE_UNLOCKED_ACCESS),
    "entire-mapcount": (_LARGE + "p0.0 read a0", FindingKind.COUNTER_DRIFT),
    "large-mapcount": (_HUGE + "p0.0 read a0", FindingKind.COUNTER_DRIFT),
    "pages-mapped": (_LARGE + "p0.0 read a0", FindingKind.COUNTER_DRIFT),
    "large-references": (_LARGE + "p0.0 read a0", FindingKind.COUNTER_DRIFT),
    "free-mapped-folio": (_HUGE + "p0.0 read a0", FindingKind.KERNEL_BUG),
    "free-other-order": (_HUGE + "p0.0 read a0", FindingKind.KERNEL_BUG),
    "free-deferred": (_HUGE + "p0.0 read a0", FindingKind.KERNEL_BUG),
}
#: Where it has those of hugetlbfs.
HUGETLB_CANARIES = {
    "promise-hugetlb": ("p0.0 mmap-hugetlb a0+8 rw\np0.0 read a0", FindingKind.COUNTER_DRIFT),
    "leak-hugetlb": ("p0.0 mmap-hugetlb a0+8 rw\np0.0 write a0 =1\np0.0 read a0", FindingKind.REFERENCE_LEAK),
}
CANARIES |= HUGE_CANARIES | HUGETLB_CANARIES
#: What the finding of a canary says, where several checks give its kind.
_SAYS = {
    "pmd-unlocked": "huge entry",
    "entire-mapcount": "entire mapcount",
    "large-mapcount": "large mapcount",
    "pages-mapped": "counted as mapped one by one",
    "large-references": "references",
    "free-mapped-folio": "still mapped (large folio)",
    "free-other-order": "of another order",
    "free-deferred": "on the list of folios to be split",
    "leak-hugetlb": "back in the pool",
    "retry-keeps-lock": "says VM_FAULT_RETRY",
    "fault-drops-lock": "says neither",
    "fault-without-lock": "handled without",
    "folio-unlocked": "unmapped without the folio lock",
    "reuse-shared": "that is not exclusive",
    "pte-after-unmap": "that is not mapped",
    "lock-order": "mmap_lock taken while folio lock is held, but is documented to come before it",
    "lock-order-own": "but was taken before it",
    "promise-hugetlb": "reserved",
}


def test_every_canary_has_a_test(machine: Machine) -> None:
    elsewhere = {"use-after-free", "pagemap-hides", "blind-search"} | set(OVERLAPPING_CANARIES)
    assert set(CANARIES) | elsewhere >= set(machine.canaries()) - {"none"}
    lacking = VMA_LOCK_CANARIES | EXCLUSIVE_CANARIES | MAPPED_TABLE_CANARIES | HUGE_CANARIES | HUGETLB_CANARIES
    assert set(CANARIES) - set(machine.canaries()) <= set(lacking)


#: Those that need two tasks at once: tests/kernel/test_locks.py.
OVERLAPPING_CANARIES = {"deadlock", "vma-unlocked", "vma-read-locked", "rcu-early"}


def check_canary(machine: Machine, canary: str) -> None:
    """The planted fault is found, and the machine is whole without it."""
    text, kind = CANARIES[canary]
    ops = parse_program(text)
    assert agrees(machine, ops)
    machine.plant(canary)
    try:
        trace = machine.run(encode(ops), paranoid=canary in STRICT_CANARIES)
        finding = machine.finding
    finally:
        machine.plant("none")
    if kind is None:
        assert finding is None or finding.kind is FindingKind.HANG
        assert oracle_of(machine).expect(ops, trace).trace != trace
    else:
        assert finding is not None
        assert finding.kind is kind
        assert _SAYS.get(canary, "") in finding.text
    assert agrees(machine, ops)


@pytest.mark.parametrize("canary", CANARIES)
def test_a_canary_is_found_and_the_machine_lives_on(machine: Machine, canary: str) -> None:
    if canary not in machine.canaries():
        pytest.skip("the tree has no per-VMA locks, or the profile no huge pages")
    check_canary(machine, canary)


def test_a_machine_that_was_closed_can_be_opened_again(machine: Machine, base_library: Path, tmp_path: Path) -> None:
    library = shutil.copy(base_library, tmp_path / "copy.so")
    first = Machine(library)
    trace = first.run(encode(parse_program(KSM)), internals=True)
    with pytest.raises(FaultlineError, match="exists already"):
        Machine(library)
    first.close()
    with pytest.raises(FaultlineError, match="EINVAL"):
        first.run(b"")
    second = Machine(library)
    assert second.run(encode(parse_program(KSM)), internals=True) == trace
    # the watchdogs of both machines tick, and each signal finds its own
    for one in (second, machine):
        one.plant("endless-loop")
        one.run(encode(parse_program(STANDARD)))
        one.plant("none")
        assert one.finding is not None
        assert one.finding.kind is FindingKind.HANG
    second.close()


@pytest.mark.parametrize("cpus", [1, 3, 4])
def test_the_number_of_cpus_changes_no_trace(machine: Machine, base_library: Path, tmp_path: Path, cpus: int) -> None:
    other = Machine(shutil.copy(base_library, tmp_path / f"{cpus}.so"), cpus)
    for ops in islice(programs(6), 500):
        wire = encode(ops)
        assert other.run(wire) == machine.run(wire)
        assert other.finding is None
    other.close()


def test_a_library_that_is_none_is_refused(tmp_path: Path) -> None:
    broken = tmp_path / "broken.so"
    broken.write_text("no library")
    with pytest.raises(FaultlineError, match=r"broken\.so: the built machine cannot be loaded"):
        Machine(broken)
