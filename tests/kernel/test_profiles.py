"""Each profile builds, agrees with the oracle, and does without what it leaves out."""

from __future__ import annotations

import os
import random
from functools import cache
from pathlib import Path

import pytest
from machines import machine_of, sequential
from test_machine import HUGE_CANARIES, HUGETLB_CANARIES, check_canary, explained

from faultline.backend.machine import Machine
from faultline.build import Symbolizer, build, csrc_dir
from faultline.build.profile import profile_names
from faultline.oracle.model import Oracle
from faultline.program.cheader import c_header
from faultline.program.codec import Operation, encode
from faultline.program.generate import random_program
from faultline.program.ops import NEED_NAMES, SLOTS, lacking
from faultline.program.text import parse_program
from faultline.program.trace import COUNTERS, RECORD, Bit, Skip, Status
from faultline.program.traceview import parse_trace
from faultline.tree import DEFAULT_TREE, SUPPORTED, find_tree
from faultline.tree.cache import cache_dir

pytestmark = pytest.mark.kernel

CORPORA = Path(__file__).parents[2] / "corpora"
CORPUS = sorted([*CORPORA.glob("seeds/*.prog"), *CORPORA.glob("regressions/*.prog")])
HUGETLB = sorted(CORPORA.glob("seeds/hugetlb-*.prog"))

#: By profile, what it leaves out of what the tree could have.
LACKS = {
    "base": {"thp", "hugetlb"},
    "nouffd": {"uffd", "uffd-wp", "uffd-minor", "thp", "hugetlb"},
    "noksm": {"ksm", "thp", "hugetlb"},
    "ksmzero": {"thp", "hugetlb"},
    "noswap": {"swap", "thp", "hugetlb"},
    "debug": {"thp", "hugetlb"},
    "thp": {"hugetlb"},
    "hugetlb": {"fail", "soft-dirty", "pagemap-scan"},
}  # fmt: skip


#: By profile, what it does in a way that the oracle does not know.
UNKNOWN = {"ksmzero": frozenset({"ksm"})}

#: What not every tree has, whatever the profile.
NEWER = {"guard"}
NEWEST = "{}.{}".format(*SUPPORTED[-1])


@cache
def machine_with(profile: str, spec: str = os.environ.get("FAULTLINE_TREE", DEFAULT_TREE)) -> Machine:
    return machine_of(build(find_tree(spec), profile=profile, extra_headers={"ops.h": c_header()}).path)


def outcome(machine: Machine, ops: list[Operation]) -> tuple[int, int]:
    """Status and value of the last operation, on which the oracle must agree."""
    trace = machine.run(encode(ops), snapshots=False)
    assert machine.finding is None
    assert Oracle(has=machine.has).expect(ops, trace, snapshots=False).trace == trace
    _, status, _, value, _ = RECORD.unpack_from(trace, len(trace) - RECORD.size)
    return status, value


def test_every_profile_has_its_tests() -> None:
    assert set(LACKS) == set(profile_names(csrc_dir()))


@pytest.mark.parametrize("profile", LACKS)
def test_a_profile_has_what_it_does_not_leave_out(profile: str) -> None:
    assert NEED_NAMES - machine_with(profile).has - NEWER == LACKS[profile] & NEED_NAMES


@pytest.mark.parametrize("profile", LACKS)
def test_random_programs_agree_with_the_oracle(profile: str) -> None:
    machine, rng = machine_with(profile), random.Random(1)
    oracle, has = Oracle(tree_version=machine.version, has=machine.has), machine.has - UNKNOWN.get(profile, frozenset())
    for _ in range(3000):
        ops = random_program(rng, has=has)
        assert not lacking(ops, machine.has)
        assert explained(machine, oracle, ops), machine.finding


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_seeds_and_regressions_are_clean_with_huge_pages(path: Path) -> None:
    machine, ops = machine_with("thp"), sequential(path)
    needs = {need for missing in lacking(ops, machine.has).values() for need in missing}
    if needs and needs <= NEWER and (cache_dir() / "trees" / f"linux-{NEWEST}").is_dir():
        machine = machine_with("thp", f"debian:{NEWEST}")
    if lacking(ops, machine.has):
        pytest.skip(f"the tree lacks {lacking(ops, machine.has)}")
    assert explained(machine, Oracle(tree_version=machine.version, has=machine.has), ops), machine.finding


def words_after(machine: Machine, text: str) -> tuple[int, ...]:
    """The snapshot words of process 0 at the end of the program."""
    ops = parse_program(text)
    trace = machine.run(encode(ops), paranoid=True)
    assert machine.finding is None, machine.finding
    snapshot = parse_trace(trace, ops, snapshots=True)[-1].snapshot
    assert snapshot is not None
    return snapshot.words[0]


@pytest.mark.parametrize(
    ("program", "huge"),
    [
        ("p0.0 mmap a0+8 rw\np0.0 write a1 =1", 8),
        ("p0.0 mmap a0+16 rw\np0.0 read a9", 8),
        ("p0.0 mmap a0+7 rw\np0.0 write a1 =1", 0),
        ("p0.0 mmap a1+8 rw\np0.0 write a1 =1", 0),
        ("p0.0 mmap a0+8 rw\np0.0 madvise a0+8 nohugepage\np0.0 write a1 =1", 0),
        ("p0.0 mmap a0+8 rw\np0.0 madvise a0+8 nohugepage\np0.0 write a1 =1\np0.0 madvise a0+8 hugepage\n"
         "p0.0 madvise a0+8 collapse", 8),
        ("p0.0 mmap a0+8 rw\np0.0 write a1 =1\np0.0 mprotect a2 r", 0),
        ("p0.0 mmap a0+8 rw\np0.0 write a1 =1\nm split p0 a1", 0),
        ("p0.0 mmap a0+8 rw\np0.0 write a1 =1\np0.0 madvise a2 dontneed\nm khugepaged p0 a0+8", 8),
    ],
)  # fmt: skip
def test_where_huge_pages_are(program: str, huge: int) -> None:
    assert sum(bool(word & Bit.HUGE) for word in words_after(machine_with("thp"), program)) == huge


@pytest.mark.parametrize(
    ("program", "present"),
    [
        ("p0.0 mmap a0+4 rw\np0.0 write a1 =1", 4),
        ("p0.0 mmap a0+7 rw\np0.0 write a5 =1", 1),
        ("p0.0 mmap a0+8 rw\np0.0 madvise a4+4 nohugepage\np0.0 write a1 =1", 4),
        ("p0.0 mmap a0+8 rw\np0.0 madvise a0+8 nohugepage\np0.0 write a1 =1", 1),
    ],
)  # fmt: skip
def test_where_large_folios_are(program: str, present: int) -> None:
    machine = machine_with("thp")
    if machine.version < (6, 8):
        pytest.skip("the tree has no large folios of anonymous memory but huge pages")
    words = words_after(machine, program)
    assert sum(bool(word & Bit.PRESENT) for word in words) == present
    assert not any(word & Bit.HUGE for word in words)


def test_the_oracle_takes_no_huge_page_where_none_can_be() -> None:
    """Pages that are not there unasked, or are where huge pages are forbidden, or a huge page in part, are findings."""
    machine = machine_with("thp")
    oracle = Oracle(tree_version=machine.version, has=machine.has)
    forbidden = parse_program("p0.0 mmap a0+8 rw\np0.0 madvise a0+8 nohugepage\np0.0 write a1 =1")
    allowed = parse_program("p0.0 mmap a0+8 rw\np0.0 madvise a0+8 hugepage\np0.0 write a1 =1")
    trace = machine.run(encode(allowed))
    assert oracle.expect(allowed, trace).trace == trace
    other = machine.run(encode(forbidden))
    assert oracle.expect(forbidden, other).trace == other
    assert oracle.expect(forbidden, trace).trace != trace
    row = len(trace) - 4 * SLOTS - COUNTERS.size
    damaged = bytearray(trace)
    damaged[row + 3] &= ~(int(Bit.HUGE) >> 24)
    assert oracle.expect(allowed, bytes(damaged)).trace != damaged
    damaged = bytearray(trace)
    damaged[row + 8] ^= 1  # a page that was not asked for holds zeroes
    assert oracle.expect(allowed, bytes(damaged)).trace != damaged


@pytest.mark.parametrize("canary", HUGE_CANARIES)
def test_a_canary_in_a_huge_page_is_found(canary: str) -> None:
    check_canary(machine_with("thp"), canary)


@pytest.mark.parametrize("canary", HUGETLB_CANARIES)
def test_a_canary_in_hugetlbfs_is_found(canary: str) -> None:
    check_canary(machine_with("hugetlb"), canary)


@pytest.mark.parametrize("path", HUGETLB, ids=lambda path: path.stem)
def test_seeds_of_hugetlbfs_are_clean(path: Path) -> None:
    machine, ops = machine_with("hugetlb"), sequential(path)
    trace = machine.run(encode(ops), paranoid=True)
    assert machine.finding is None, machine.finding
    assert Oracle(tree_version=machine.version, has=machine.has).expect(ops, trace).trace == trace


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        ("p0.0 mmap-hugetlb a1+8 rw", (Status.ERROR, 22)),
        ("p0.0 mmap-hugetlb a0+9 rw\np0.0 read a15", (Status.DONE, 0)),
        ("p0.0 mmap-hugetlb a0+9 rw\np0.0 read a16", (Status.SIGNAL, 11)),
        ("p0.0 mmap-hugetlb a0+8 rw\np0.0 munmap a0+4", (Status.ERROR, 22)),
        ("p0.0 mmap-hugetlb a0+8 rw\np0.0 mmap a4 rw", (Status.ERROR, 22)),
        ("p0.0 mmap-hugetlb a0+8 rw\np0.0 mprotect a0+9 r", (Status.ERROR, 12)),
        ("p0.0 mmap-hugetlb a0+8 rw\np0.0 madvise a1 dontneed", (Status.ERROR, 22)),
        ("p0.0 mmap-hugetlb a0+8 rw\np0.0 write a7 =3\np0.0 fork p1\np1.0 write a0 =1\np0.0 read a0", (Status.DONE, 0)),
        ("p0.0 mmap-hugetlb a0+8 rw\np0.0 madvise a0 mergeable", (Status.SKIPPED, Skip.LACKS)),
        ("p0.0 mmap-hugetlb a0+8 rw\nm swap-out p0 a0", (Status.SKIPPED, Skip.LACKS)),
        ("p0.0 mmap-hugetlb a0+8 rw\np0.0 mmap a8+8 rw\np0.0 mremap a8+8 a0+8", (Status.SKIPPED, Skip.LACKS)),
    ],
)  # fmt: skip
def test_what_mappings_of_hugetlbfs_allow(program: str, expected: tuple[int, int]) -> None:
    assert outcome(machine_with("hugetlb"), parse_program(program)) == expected


@pytest.mark.parametrize("profile", LACKS)
def test_any_bytes_are_a_program(profile: str) -> None:
    machine, rng = machine_with(profile), random.Random(2)
    for _ in range(1000):
        machine.run(rng.randbytes(rng.randrange(200)))
        assert machine.finding is None, machine.finding


@pytest.mark.parametrize(
    ("profile", "program"),
    [
        ("nouffd", "p0.0 uffd-open u0"),
        ("noswap", "m swapoff sync"),
        ("noksm", "m ksm-scan"),
        ("noksm", "p0.0 mmap a0 rw\nm ksm-merge p0 a0"),
    ],
)
def test_what_a_profile_lacks_is_skipped(profile: str, program: str) -> None:
    assert outcome(machine_with(profile), parse_program(program)) == (Status.SKIPPED, Skip.LACKS)


@pytest.mark.parametrize("advice", ["mergeable", "unmergeable"])
def test_advice_that_the_kernel_was_not_configured_for_is_refused(advice: str) -> None:
    ops = parse_program(f"p0.0 mmap a0 rw\np0.0 madvise a0+2 {advice}")
    assert outcome(machine_with("noksm"), ops) == (Status.ERROR, 22)


#: Faults that only the kernel's own assertions see: what they guard against needs another CPU, or luck.
ASSERTED = {
    "vma-lock": (
        """// files: mm/mprotect.c
@@
@@
-vma_start_write(vma);
 vm_flags_reset(vma, newflags);
""",
        "p0.0 mmap a0 rw\np0.0 mprotect a0 r",
        "vma_assert_write_locked",
    ),
    "rcu": (
        """// files: mm/madvise.c
@@
@@
+mmap_read_unlock(vma->vm_mm);
+mtree_load(&vma->vm_mm->mm_mt, addr);
+{ MA_STATE(mas, &vma->vm_mm->mm_mt, addr, addr); mas_walk(&mas); }
+mmap_read_lock(vma->vm_mm);
 walk_page_range(vma->vm_mm, addr, end, &cold_walk_ops, &walk_private);
""",
        "p0.0 mmap a0 rw\np0.0 write a0 =1\np0.0 madvise a0 cold",
        "lockdep_rcu_suspicious",
    ),
    "sleep": (
        """// files: mm/madvise.c
@@
@@
+rcu_read_lock();
+might_sleep();
+rcu_read_unlock();
 walk_page_range(vma->vm_mm, addr, end, &cold_walk_ops, &walk_private);
""",
        "p0.0 mmap a0 rw\np0.0 write a0 =1\np0.0 madvise a0 cold",
        "__might_sleep",
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", ASSERTED)
def test_only_the_debug_profile_sees_what_the_kernel_asserts(fault: str, tmp_path: Path) -> None:
    text, program, function = ASSERTED[fault]
    patch = tmp_path / f"{fault}.cocci"
    patch.write_text(text)
    tree = find_tree(os.environ.get("FAULTLINE_TREE", DEFAULT_TREE))
    for profile in ("base", "debug"):
        library = build(tree, [patch], profile=profile, extra_headers={"ops.h": c_header()}).path
        machine = machine_of(library)
        machine.run(encode(parse_program(program)), paranoid=profile == "debug")
        if profile == "base":
            assert machine.finding is None, machine.finding
            continue
        assert machine.finding is not None
        with Symbolizer(library) as symbolizer:
            functions = [frame.function for offset in machine.finding.frames for frame in symbolizer.lookup(offset)]
        assert function in functions
