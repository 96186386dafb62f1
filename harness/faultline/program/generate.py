"""Generation of programs: random ones by the thousand, and a Hypothesis strategy over the same generator.

The generator turns bytes into a program.  Random bytes from a seeded `random.Random` give campaigns; bytes drawn by
Hypothesis give examples that shrink.  It is deterministic: the same bytes give the same program on any machine.

A program's bytes are a header, which sets the program's character (its mix of moves, its few slots), and a gene of
GENE_SIZE bytes for each operation.  A gene chooses a *move*; a move is one operation, or several that belong together,
of which the first is emitted and the others are planned.  Later genes follow the plan or cut in with moves of their
own.  A light model of what the program has done so far makes operands plausible: most operations act on something that
is there.  About one gene in twelve is noise, whole or in its slot, so that error paths are reached too.

Header bytes: 0 and 1 the mix, 2 to 4 the slots and which of them is in focus, 5 and 6 the length (of examples), 7
whether the program is about huge pages.  Gene bytes: 0 the move, 1 plan or move or noise, 2 who, 3 which slot, 4 how
many pages, 5 value or mode, 6 which steps of a move, 7 rare cases.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from faultline.program.codec import Operation, decode, process_of, task_byte
from faultline.program.model import (
    ALLOCATE_FILE,
    CLEAR_REFS,
    CLOSE,
    COLD,
    COLLAPSE,
    CONTINUE,
    COPY,
    COPY_DONTWAKE,
    COPY_WP,
    DOFORK,
    DONTFORK,
    DONTNEED,
    DONTUNMAP,
    DROP,
    DROP_SWAP_CACHE,
    EVENT,
    EVENT_FORK,
    EVENT_REMAP,
    EVENT_REMOVE,
    EVENT_UNMAP,
    EXIT,
    FAIL,
    FAIL_SWAP_READ,
    FAIL_SWAP_WRITE,
    FILE_CLOSE,
    FILE_OPEN,
    FILE_READ,
    FILE_WRITE,
    FORK,
    FREE,
    GUARD,
    GUEST_READ,
    GUEST_WRITE,
    HINT,
    HUGEPAGE,
    KEEPONFORK,
    KHUGEPAGED,
    MADVISE,
    MEM_READ,
    MEM_WRITE,
    MERGE,
    MERGEABLE,
    MIGRATE,
    MMAP,
    MMAP_FILE,
    MMAP_HUGETLB,
    MMAP_SHARED,
    MODE_MINOR,
    MODE_MISSING,
    MODE_WP,
    MOVE,
    MOVE_DONTWAKE,
    MOVE_HOLES,
    MPROTECT,
    MREMAP,
    MUNMAP,
    NOHUGEPAGE,
    NONE,
    OPEN,
    PAGEOUT,
    PIN,
    PIN_FAST,
    PIN_FOR_WRITE,
    PIN_FORCE,
    PIN_LONGTERM,
    PIN_READ,
    PIN_WRITE,
    POISON,
    POPULATED,
    PROCESS_READ,
    PROCESS_WRITE,
    READ,
    REF,
    REGISTER,
    REMOVE,
    RESIZE,
    RESOLVE,
    RW,
    SCAN,
    SCAN_CHECK,
    SCAN_PAGES,
    SCAN_WP,
    SIGBUS,
    SPLIT,
    SWAP_OUT,
    SWAPOFF,
    SYNC,
    TRUNCATE,
    UNGUARD,
    UNMERGEABLE,
    UNPIN,
    UNREGISTER,
    WAKE,
    WIPEONFORK,
    WP,
    WP_ASYNC,
    WP_UNPOPULATED,
    WRITE,
    WRITTEN,
    ZEROPAGE,
    Model,
    R,
)
from faultline.program.ops import (
    ALLOCATE,
    FILE_PAGES,
    FILE_TYPE,
    HUGE_PAGES,
    NEED_NAMES,
    OP_SIZE,
    OPS,
    OPS_MAX,
    PIN_FLAGS,
    PROCESSES,
    SLOT,
    SLOT_TABLE_EDGE,
    SLOTS,
    TASK_MONITOR,
)

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

#: Bytes of the header and of each gene.
HEADER_SIZE: Final = 8
GENE_SIZE: Final = OP_SIZE
#: Operations of a random program unless told: 1 to twice the mean, 12 on average.
LENGTH_MAX: Final = 23

# Weighted choices: a byte takes the element at byte % len.  The simplest stands first, for shrinking.
_BASES: Final = (0, 0, 0, SLOT_TABLE_EDGE - 1, SLOT_TABLE_EDGE - 2, 8, SLOT_TABLE_EDGE - 3, SLOTS - 3)
_WIDTHS: Final = (3, 2, 3, 4, 1, 3, 6, 4)
#: The same for a program that is about huge pages, which have 8 pages.
_HUGE_BASES: Final = (0, 8, 0, SLOT_TABLE_EDGE)
_HUGE_WIDTHS: Final = (8, 8, 16, 12)
_VALUES: Final = (1, 1, 1, 1, 1, 2, 2, 3, 1, 1, 1, 2, 2, 3, 0, 255)
_PROTS: Final = (RW, RW, RW, RW, RW, RW, R, NONE)
_REPROTECTS: Final = (R, R, RW, R, RW, RW, R, NONE)
_FEATURES: Final = (
    *(0, 0, 0, EVENT_FORK, WP_UNPOPULATED, 0, EVENT_FORK, WP_ASYNC | WP_UNPOPULATED),
    *(0, 0, EVENT_FORK | WP_UNPOPULATED, WP_ASYNC, SIGBUS, 0, 0, WP_ASYNC | EVENT_FORK),
    *(0, 0, EVENT_REMAP, EVENT_FORK, WP_UNPOPULATED, 0, EVENT_REMOVE, EVENT_FORK | EVENT_REMAP),
    *(0, WP_ASYNC, EVENT_UNMAP, 0, EVENT_REMAP | WP_UNPOPULATED, 0, EVENT_REMAP | EVENT_REMOVE | EVENT_UNMAP, SIGBUS),
)
_BOTH: Final = MODE_WP | MODE_MISSING
_MODES: Final = (MODE_WP, MODE_WP, MODE_WP, _BOTH, MODE_WP, MODE_MISSING, MODE_WP, _BOTH)
#: By the upper 3 bits of a byte.
_COPY_MODES: Final = (0, COPY_WP, 0, COPY_WP, 0, COPY_WP, COPY_DONTWAKE, COPY_WP | COPY_DONTWAKE)
_PINS: Final = (
    *(PIN_FOR_WRITE, PIN_LONGTERM, PIN_FOR_WRITE | PIN_LONGTERM, PIN_LONGTERM | PIN_FAST, PIN_FOR_WRITE | PIN_FAST),
    *(PIN_LONGTERM, 0, PIN_FORCE | PIN_FOR_WRITE),
)
#: A control byte from here on makes the gene noise.
_NOISE_FROM: Final = 244


# --- operands ---


def _value(gene: bytes) -> int:
    return _VALUES[gene[5] % len(_VALUES)]


def _other_value(gene: bytes) -> int:
    return _value(gene) + 1 & 0xFF


def _slot(model: Model, gene: bytes) -> int:
    """One of the program's slots, the one in focus half of the time; rarely any slot."""
    if gene[7] >= 248:
        return gene[3] % SLOTS
    if gene[7] >= 200:
        model.focus = model.base + gene[3] % model.width
    return model.base + (gene[3] >> 1) % model.width if gene[3] & 1 else model.focus


def _range(model: Model, gene: bytes) -> tuple[int, int]:
    """(start, pages): one page mostly, or all slots of the program, or a few pages; rarely beyond its slots."""
    if 128 <= gene[4] < 208:
        return model.base, model.width
    start = _slot(model, gene)
    pages = 1 if gene[4] < 128 else 2 + gene[4] % 3
    end = SLOTS if gene[4] >= 240 or start >= model.base + model.width else model.base + model.width
    return start, min(pages, end - start)


def _task(model: Model, gene: bytes) -> int:
    """The task byte of a task of a live process, its task 0 mostly."""
    return model.free_task(model.live[gene[2] % len(model.live)], 1 if gene[2] >= 232 else 0)


# --- moves: each returns the operations that it wants, of which there is at least one ---

_Move = Callable[[Model, bytes], list[Operation]]
#: What a kernel must have for a move to mean something; a move that is not named here needs nothing.
_NEEDS: Final[dict[_Move, frozenset[str]]] = {}


def _needing(*needs: str) -> Callable[[_Move], _Move]:
    """The move is made only where the kernel has all of ``needs``, names of :data:`~faultline.program.ops.NEEDS`."""
    assert NEED_NAMES.issuperset(needs)

    def note(move: _Move) -> _Move:
        _NEEDS[move] = frozenset(needs)
        return move

    return note


#: The family that a move belongs to; a move that is not named here is of the core.
_FAMILY: Final[dict[_Move, str]] = {}
#: How often a mix of some moves draws from a family beside the core.
_FAMILY_SHARE: Final = 0.35


def _of(family: str, *needs: str) -> Callable[[_Move], _Move]:
    """As :func:`_needing`, and the move is made only in mixes that draw from the family."""

    def note(move: _Move) -> _Move:
        _FAMILY[move] = family
        return _needing(*needs)(move)

    return note


def _map_first(model: Model, task: int) -> list[Operation]:
    """What maps the program's slots if the task's process has nothing mapped."""
    if model.mapped[process_of(task)]:
        return []
    return [(MMAP, task, model.base, model.width, RW)]


def _uffd(model: Model, gene: bytes, mode: int = 0) -> tuple[list[Operation], int, int]:
    """(operations that open and register a userfaultfd if none is open, a handle, the process behind it)

    :param mode: the registration mode that the caller needs, if any.
    """
    if not model.uffds:
        ops = _opened(model, gene, _MODES[gene[7] % len(_MODES)] | mode)
        return ops, model.free_handle(), process_of(ops[0][1])
    handles = list(model.uffds)
    if mode and gene[7] < 240:
        fitting = [handle for handle, uffd in model.uffds.items() if (uffd.wp if mode == MODE_WP else uffd.missing)]
        handles = fitting or handles
    handle = handles[gene[2] % len(handles)]
    return [], handle, model.uffds[handle].owner


def _opened(model: Model, gene: bytes, mode: int) -> list[Operation]:
    """A userfaultfd, registered on the program's slots."""
    task, handle = _task(model, gene), model.free_handle()
    return [
        *_map_first(model, task),
        (OPEN, task, handle, _FEATURES[gene[5] % len(_FEATURES)]),
        (REGISTER, TASK_MONITOR, handle, model.base, model.width, mode),
    ]


def _range_in(mask: int, model: Model, gene: bytes) -> tuple[int, int]:
    """A range that begins in the mask mostly, if that is not empty."""
    start, pages = _range(model, gene)
    if mask and not mask >> start & 1 and gene[7] < 240:
        return (mask & -mask).bit_length() - 1, 1
    return start, pages


def _mmap(model: Model, gene: bytes) -> list[Operation]:
    return [(MMAP, _task(model, gene), *_range(model, gene), _PROTS[gene[5] % len(_PROTS)])]


def _munmap(model: Model, gene: bytes) -> list[Operation]:
    task = _task(model, gene)
    return [*_map_first(model, task), (MUNMAP, task, *_range(model, gene))]


def _mprotect(model: Model, gene: bytes) -> list[Operation]:
    """A change of protection; sometimes taken back."""
    task, target = _task(model, gene), _range(model, gene)
    prot = _REPROTECTS[gene[5] % len(_REPROTECTS)]
    ops: list[Operation] = [*_map_first(model, task), (MPROTECT, task, *target, prot)]
    return [*ops, (MPROTECT, task, *target, RW)] if prot != RW and gene[6] & 3 == 3 else ops


def _dontneed(model: Model, gene: bytes) -> list[Operation]:
    task = _task(model, gene)
    return [*_map_first(model, task), (MADVISE, task, *_range(model, gene), DONTNEED)]


def _mremap(model: Model, gene: bytes) -> list[Operation]:
    """A move, with a page in it mostly; then often an access at either end, the event read, or the way back."""
    task = _task(model, gene)
    ops, process = _map_first(model, task), process_of(task)
    start, pages = _range_in(model.mapped[process], model, gene)
    if not model.present[process] >> start & 1 and gene[6] & 1:
        ops.append((WRITE, task, start, _value(gene)))
    new = pages if gene[5] < 192 else min(1 + gene[5] % 5, SLOTS - start)
    target = _place(model, start, max(pages, new), gene)
    flags = DONTUNMAP if gene[5] & 48 == 48 else 0
    ops.append((MREMAP, task, start, pages, target, min(new, SLOTS - target), flags))
    for handle, uffd in model.uffds.items():
        if uffd.owner == process and uffd.features & (EVENT_REMAP | EVENT_UNMAP) and gene[6] & 6:
            ops.append((EVENT, TASK_MONITOR, handle, model.free_handle()))
    if gene[6] & 8:
        ops.append((WRITE, task, start if gene[6] & 16 else target, _other_value(gene)))
    if gene[6] & 96 == 96:
        back = min(pages, SLOTS - target)
        ops.append((MREMAP, task, target, back, start, back, 0))
    return ops


def _place(model: Model, start: int, pages: int, gene: bytes) -> int:
    """Where to move so many pages from ``start``: beside them, across the page table's edge, or anywhere."""
    places = (
        *(start + pages, start - pages, model.base + model.width, SLOT_TABLE_EDGE - (pages + 1 >> 1)),
        *(model.base, SLOTS - pages, start + pages + 1, gene[3] % SLOTS),
    )
    first = gene[7] % len(places)
    for place in (*places[first:], *places[:first]):
        if 0 <= place <= SLOTS - pages and not -pages < place - start < pages:
            return place
    return gene[3] % SLOTS


def _resize(model: Model, gene: bytes) -> list[Operation]:
    task = _task(model, gene)
    start, pages = _range_in(model.mapped[process_of(task)], model, gene)
    return [*_map_first(model, task), (RESIZE, task, start, pages, 1 + (pages + gene[5] % 5 - 3) % SLOTS)]


def _fork_advice(model: Model, gene: bytes) -> list[Operation]:
    """Advice about fork; often taken back, or a fork after it."""
    task = _task(model, gene)
    target, (advice, back) = _range(model, gene), ((DONTFORK, DOFORK), (WIPEONFORK, KEEPONFORK))[gene[5] & 1]
    if model.advised[process_of(task)] and gene[6] & 3 == 3:
        advice = back
    ops: list[Operation] = [*_map_first(model, task), (MADVISE, task, *target, advice)]
    return [*ops, *_fork(model, gene)] if gene[6] & 12 else ops


@_needing("guard")
def _guard(model: Model, gene: bytes) -> list[Operation]:
    """Guard pages; often an access to one, sometimes taken away."""
    task = _task(model, gene)
    target = _range(model, gene)
    if model.guarded[process_of(task)] and gene[6] & 1:
        return [(UNGUARD, task, *target)]
    ops: list[Operation] = [*_map_first(model, task), (GUARD, task, *target)]
    if gene[6] & 4:
        ops.append((WRITE, task, target[0], _value(gene)) if gene[6] & 8 else (READ, task, target[0]))
    return [*ops, (UNGUARD, task, *target)] if gene[6] & 16 else ops


@_needing("ksm")
def _mergeable(model: Model, gene: bytes) -> list[Operation]:
    task = _task(model, gene)
    advice = UNMERGEABLE if model.mergeable[process_of(task)] and gene[5] & 1 else MERGEABLE
    return [*_map_first(model, task), (MADVISE, task, *_range(model, gene), advice)]


def _read(model: Model, gene: bytes) -> list[Operation]:
    task = _task(model, gene)
    return [*_map_first(model, task), (READ, task, _slot(model, gene))]


def _write(model: Model, gene: bytes) -> list[Operation]:
    task = _task(model, gene)
    return [*_map_first(model, task), (WRITE, task, _slot(model, gene), _value(gene))]


@_needing("fail")
def _fail(model: Model, gene: bytes) -> list[Operation]:
    """A request for memory that fails, in an operation that asks for some."""
    fail = (FAIL, TASK_MONITOR, gene[5] % 3, 1 + gene[4] % (2 if gene[6] & 1 else 12))
    move = (_fork, _mprotect, _munmap, _register, _fill, _wp, _mergeable, _mmap)[gene[6] >> 1 & 7]
    return [*(ops := move(model, gene))[:-1], fail, ops[-1]]


@_needing("guest")
def _guest(model: Model, gene: bytes) -> list[Operation]:
    """An access by the guest, whose secondary MMU then knows the page."""
    task, slot = _task(model, gene), _slot(model, gene)
    ops = _map_first(model, task)
    return [*ops, (GUEST_READ, task, slot) if gene[6] & 1 else (GUEST_WRITE, task, slot, _value(gene))]


def _fork(model: Model, gene: bytes) -> list[Operation]:
    """A fork; often with data before it, the event read, and a write by one side after it."""
    task, child, slot = _task(model, gene), model.free_process(), _slot(model, gene)
    ops = _map_first(model, task)
    if gene[6] & 1:
        ops.append((WRITE, task, slot, _value(gene)))
    ops.append((FORK, task, child))
    if gene[6] & 6:
        for handle, uffd in model.uffds.items():
            if uffd.features & EVENT_FORK and uffd.owner == process_of(task):
                ops.append((EVENT, TASK_MONITOR, handle, model.free_handle()))
    if gene[6] & 8:
        ops.append((WRITE, task_byte(child) if gene[6] & 16 else task, slot, _other_value(gene)))
    return ops


def _exit(model: Model, gene: bytes) -> list[Operation]:
    """An exit, of the youngest process mostly; of the only one seldom, as that ends the program."""
    if len(model.live) == 1 and gene[6] < 224:
        return _fork(model, gene)
    return [(EXIT, model.free_task(model.live[-1 if gene[2] < 192 else 0]))]


@_needing("uffd")
def _open(model: Model, gene: bytes) -> list[Operation]:
    """A userfaultfd, registered mostly."""
    ops = _opened(model, gene, _MODES[gene[7] % len(_MODES)])
    return ops if gene[7] < 240 else ops[:-1]


@_needing("uffd")
def _register(model: Model, gene: bytes) -> list[Operation]:
    first, handle, _ = _uffd(model, gene)
    return first or [(REGISTER, TASK_MONITOR, handle, *_range(model, gene), _MODES[gene[6] % len(_MODES)])]


@_needing("uffd")
def _unregister(model: Model, gene: bytes) -> list[Operation]:
    first, handle, _ = _uffd(model, gene)
    return first or [(UNREGISTER, TASK_MONITOR, handle, *_range(model, gene))]


@_needing("uffd")
def _close(model: Model, gene: bytes) -> list[Operation]:
    first, handle, _ = _uffd(model, gene)
    return first or [(CLOSE, TASK_MONITOR, handle)]


def _protect(model: Model, gene: bytes) -> tuple[list[Operation], int, int, tuple[int, int]]:
    """(operations that write-protect a range with a page in it, the handle, a task, the range)"""
    ops, handle, process = _uffd(model, gene, MODE_WP)
    start, pages = _range_in(model.uffds[handle].wp if handle in model.uffds else 0, model, gene)
    task = model.free_task(process)
    if not model.present[process] >> start & 1 and gene[5] < 224:
        ops.append((WRITE, task, start, _value(gene)))
    ops.append((WP, TASK_MONITOR, handle, start, pages))
    return ops, handle, task, (start, pages)


@_needing("uffd", "uffd-wp")
def _wp(model: Model, gene: bytes) -> list[Operation]:
    """Write protection; often with a write that meets it, and what the monitor does then."""
    ops, handle, task, target = _protect(model, gene)
    if gene[6] & 1:
        ops.append((WRITE, task, target[0], _other_value(gene)))
        if gene[6] & 2:
            ops.append((EVENT, TASK_MONITOR, handle, model.free_handle()))
    if gene[6] & 4:
        ops.append((RESOLVE, TASK_MONITOR, handle, *target, int(gene[6] >= 240)))
    return ops


@_needing("uffd", "uffd-wp")
def _wp_sandwich(model: Model, gene: bytes) -> list[Operation]:
    """Write protection with an mprotect inside it, then the resolve and a write."""
    ops, handle, task, target = _protect(model, gene)
    ops.append((MPROTECT, task, *target, R))
    if gene[6] & 1:
        ops.append((MPROTECT, task, *target, RW))
    if gene[6] & 6:
        ops.append((RESOLVE, TASK_MONITOR, handle, *target, 0))
    return [*ops, (WRITE, task, target[0], _other_value(gene))]


@_needing("uffd", "uffd-wp")
def _resolve(model: Model, gene: bytes) -> list[Operation]:
    _, handle, _ = _uffd(model, gene, MODE_WP)
    protected = model.uffds[handle].protected if handle in model.uffds else 0
    if not protected:
        return _wp(model, gene)
    return [(RESOLVE, TASK_MONITOR, handle, *_range_in(protected, model, gene), int(gene[6] >= 240))]


@_needing("uffd")
def _fill(model: Model, gene: bytes) -> list[Operation]:
    """A copy or zeropage into a missing page; often a task waits for it."""
    ops, handle, process = _uffd(model, gene, MODE_MISSING)
    target = _range_in(model.uffds[handle].missing if handle in model.uffds else 0, model, gene)
    task = model.free_task(process)
    if model.present[process] >> target[0] & 1 and gene[6] & 3:
        ops.append((MADVISE, task, *target, DONTNEED))
    if gene[6] & 4:
        ops.append((READ, task, target[0]) if gene[6] & 8 else (WRITE, task, target[0], _other_value(gene)))
    if gene[6] & 0x70:
        return [*ops, (COPY, TASK_MONITOR, handle, *target, _value(gene), _COPY_MODES[gene[5] >> 5])]
    return [*ops, (ZEROPAGE, TASK_MONITOR, handle, *target, int(gene[5] >= 224))]


@_needing("uffd", "uffd-poison")
def _poison(model: Model, gene: bytes) -> list[Operation]:
    """Missing pages are poisoned; often a task waits for one, or meets it afterwards."""
    ops, handle, process = _uffd(model, gene, MODE_MISSING)
    target = _range_in(model.uffds[handle].missing if handle in model.uffds else 0, model, gene)
    task = model.free_task(process)
    if model.present[process] >> target[0] & 1:
        ops.append((MADVISE, task, *target, DONTNEED))
    if gene[6] & 1:
        ops.append((READ, task, target[0]))
    ops.append((POISON, TASK_MONITOR, handle, *target, int(gene[6] >= 240)))
    if gene[6] & 2:
        ops.append((WRITE, model.free_task(process, 1), target[0], _value(gene)))
    if gene[6] & 12 == 12:
        ops.append((MADVISE, task, *target, DONTNEED))
    return ops


@_needing("uffd", "uffd-move")
def _move(model: Model, gene: bytes) -> list[Operation]:
    """A page is moved into a hole, often one that a task waits for, and looked at."""
    ops, handle, process = _uffd(model, gene, MODE_MISSING)
    target, pages = _range_in(model.uffds[handle].missing if handle in model.uffds else 0, model, gene)
    task = model.free_task(process)
    source = model.base + (target - model.base + 1 + gene[4] % model.width) % model.width
    if not model.present[process] >> source & 1 and gene[5] < 240:
        ops.append((WRITE, task, source, _value(gene)))
    if model.present[process] >> target & 1 and gene[5] < 224:
        ops.append((MADVISE, task, target, 1, DONTNEED))
    if gene[6] & 1:
        ops.append((READ, model.free_task(process, 1), target))
    if gene[6] & 32 and "soft-dirty" in model.has:
        ops.append((CLEAR_REFS, task, 0))
    if gene[6] & 64 and "swap" in model.has:
        ops.append((SWAP_OUT, TASK_MONITOR, process, source, 1))
    pages = min(pages, SLOTS - source) if gene[6] & 2 else 1
    mode = (MOVE_HOLES if gene[6] & 4 else 0) | (MOVE_DONTWAKE if gene[6] >= 224 else 0)
    ops.append((MOVE, task, handle, target, pages, source, mode))
    if gene[6] & 8:
        ops.append((WRITE, task, target, _other_value(gene)))
    return [*ops, (READ, task, source if gene[6] & 16 else target)]


@_needing("soft-dirty")
def _soft_dirty(model: Model, gene: bytes) -> list[Operation]:
    """Soft-dirty bits are cleared, mostly of a page that is then written or only read."""
    task, slot = _task(model, gene), _slot(model, gene)
    ops = _map_first(model, task)
    if gene[6] & 1:
        ops.append((WRITE, task, slot, _value(gene)))
    ops.append((CLEAR_REFS, task, int(gene[6] >= 224)))
    if gene[6] & 6:
        ops.append((WRITE, task, slot, _other_value(gene)) if gene[6] & 2 else (READ, task, slot))
    return ops


@_needing("pagemap-scan")
def _scan_pages(model: Model, gene: bytes) -> list[Operation]:
    """A look through PAGEMAP_SCAN; mostly one of the rounds in which written pages are found and protected again."""
    if gene[5] & 1:
        task = _task(model, gene)
        target = _range(model, gene)
        return [*_map_first(model, task), (SCAN_PAGES, task, *target, gene[5] >> 1 & 7, gene[6] & 15)]
    ops: list[Operation] = []
    tracked = [handle for handle, uffd in model.uffds.items() if uffd.features & WP_ASYNC and uffd.wp]
    if tracked:
        task = model.free_task(model.uffds[tracked[gene[2] % len(tracked)]].owner)
    else:
        task, handle = _task(model, gene), model.free_handle()
        ops = [
            *_map_first(model, task),
            (OPEN, task, handle, WP_ASYNC | WP_UNPOPULATED),
            (REGISTER, TASK_MONITOR, handle, model.base, model.width, MODE_WP),
        ]
    slot = _slot(model, gene)
    scan: Operation = (SCAN_PAGES, task, model.base, model.width, WRITTEN, SCAN_WP | gene[6] >> 4 & SCAN_CHECK)
    ops.append((WRITE, task, slot, _value(gene)))
    ops.append(scan)
    if gene[6] & 1:
        ops.append((WRITE, task, slot, _other_value(gene)))
    return [*ops, scan] if gene[6] & 2 else ops


@_needing("uffd")
def _wake(model: Model, gene: bytes) -> list[Operation]:
    first, handle, _ = _uffd(model, gene)
    return first or [(WAKE, TASK_MONITOR, handle, *_range(model, gene))]


@_needing("uffd")
def _event(model: Model, gene: bytes) -> list[Operation]:
    first, handle, _ = _uffd(model, gene)
    return first or [(EVENT, TASK_MONITOR, handle, model.free_handle())]


@_needing("ksm")
def _merge(model: Model, gene: bytes) -> list[Operation]:
    """KSM over the program's slots, mostly with equal pages made for it first."""
    task = _task(model, gene)
    ops = _map_first(model, task)
    if not model.mergeable[process_of(task)] or gene[5] < 16:
        ops.append((MADVISE, task, model.base, model.width, MERGEABLE))
    if gene[6] & 3:
        ops.append((WRITE, task, _slot(model, gene), 1))
    if gene[6] & 12:
        ops.append((WRITE, task, model.base + (gene[6] >> 4) % model.width, 1))
    if gene[5] >= 224:
        return [*ops, (SCAN, TASK_MONITOR)]
    target = (model.base, model.width) if gene[4] < 192 else _range(model, gene)
    return [*ops, (MERGE, TASK_MONITOR, process_of(task), *target)]


@_needing("uffd", "uffd-wp")
def _reshare(model: Model, gene: bytes) -> list[Operation]:
    """A page is shared, left alone, write-protected and resolved, shared again, written.

    Code that takes the page for exclusive in between shows itself at the other sharer.
    """
    ops, handle, process = _uffd(model, gene, MODE_WP)
    task, slot = model.free_task(process), _slot(model, gene)
    by_ksm = gene[7] & 3 and "ksm" in model.has
    sharing = (_sharing_by_ksm if by_ksm else _sharing_by_fork)(model, gene, task, slot)
    ops += [*sharing.share, sharing.leave]
    if gene[6] & 3:
        ops.append((WP, TASK_MONITOR, handle, slot, 1))
        ops.append((RESOLVE, TASK_MONITOR, handle, slot, 1, 0))
    return [*ops, sharing.again, (WRITE, task, slot, _other_value(gene)), sharing.look]


class _Sharing(NamedTuple):
    share: list[Operation]
    """What makes the page shared."""
    leave: Operation
    """What leaves it with one mapper."""
    again: Operation
    """What shares it again."""
    look: Operation
    """A read by the other sharer."""


def _sharing_by_ksm(model: Model, gene: bytes, task: int, slot: int) -> _Sharing:
    """The neighbour is merged with the slot, rewritten, and merged again."""
    process = process_of(task)
    other = model.base + (slot - model.base + 1) % model.width
    merge: Operation = (MERGE, TASK_MONITOR, process, model.base, model.width)
    share: list[Operation] = [(WRITE, task, slot, 1), (WRITE, task, other, 1), merge]
    if not model.mergeable[process]:
        share.insert(0, (MADVISE, task, model.base, model.width, MERGEABLE))
    return _Sharing(share, (WRITE, task, other, 1), merge, (READ, task, other))


def _sharing_by_fork(model: Model, gene: bytes, task: int, slot: int) -> _Sharing:
    """A child exits or writes the page; then there is another child."""
    child = model.free_process()
    exits = gene[6] & 4
    leave: Operation = (EXIT, task_byte(child)) if exits else (WRITE, task_byte(child), slot, 0)
    next_child = child if exits else (child + 1) % PROCESSES
    share: list[Operation] = [(WRITE, task, slot, _value(gene)), (FORK, task, child)]
    return _Sharing(share, leave, (FORK, task, next_child), (READ, task_byte(next_child), slot))


def _pin_flags(gene: bytes) -> int:
    return _PINS[gene[5] % len(_PINS)] if gene[7] < 192 else gene[5] % PIN_FLAGS.count


def _pin(model: Model, gene: bytes) -> list[Operation]:
    """Pages are pinned, mostly with data in them; somebody stores, and the device looks."""
    task, handle = _task(model, gene), model.free_pin()
    start, pages = _range(model, gene)
    ops = _map_first(model, task)
    if gene[6] & 1:
        ops.append((WRITE, task, start, _value(gene)))
    ops.append((PIN, task, handle, start, pages, _pin_flags(gene)))
    if gene[6] & 2:
        child = model.free_process()
        ops.append((FORK, task, child))
        if gene[6] & 4:
            ops.append((WRITE, task_byte(child), start, 0))
    if gene[6] & 8:
        ops.append((WRITE, task, start, _other_value(gene)))
    return [*ops, (PIN_READ, TASK_MONITOR, handle, start)]


def _pin_shared(model: Model, gene: bytes) -> list[Operation]:
    """A shared page is pinned or referenced by one sharer, who may let go of it; the other stores; the holder looks.

    What the holder sees of the other's store is a leak.
    """
    task, handle, slot, child = _task(model, gene), model.free_pin(), _slot(model, gene), model.free_process()
    holder, other = (task_byte(child), task) if gene[6] & 1 else (task, task_byte(child))
    hold: Operation = (REF, holder, handle, slot, 1)
    if gene[6] & 2:
        hold = (PIN, holder, handle, slot, 1, _pin_flags(gene))
    ops = [*_map_first(model, task), (WRITE, task, slot, _value(gene)), (FORK, task, child)]
    ops = [*ops[:-1], hold, ops[-1]] if gene[6] & 0x30 == 0 and holder == task else [*ops, hold]
    if gene[6] & 4:
        ops.append((MUNMAP, holder, slot, 1) if gene[6] & 0x40 else (EXIT, holder))
    ops.append((WRITE, other, slot, _other_value(gene)))
    if not gene[6] & 4 and gene[6] & 8:
        ops.append((WRITE, holder, slot, 0))
    return [*ops, (PIN_READ, TASK_MONITOR, handle, slot)]


def _use_pin(model: Model, gene: bytes) -> list[Operation]:
    """What a device does with a pin, and what it gives back."""
    if not model.pins:
        return _pin(model, gene)
    handles = list(model.pins)
    handle = handles[gene[2] % len(handles)]
    process, start, pages, write = model.pins[handle]
    slot = start + gene[3] % pages
    if gene[6] >= 208:
        return [(UNPIN, TASK_MONITOR, handle, gene[5] & 1)]
    if not write or gene[6] & 1:
        return [(PIN_READ, TASK_MONITOR, handle, slot)]
    return [(PIN_WRITE, TASK_MONITOR, handle, slot, _value(gene)), (READ, model.free_task(process), slot)]


def _populate(model: Model, gene: bytes) -> list[Operation]:
    task = _task(model, gene)
    return [*_map_first(model, task), (POPULATED, task, *_range(model, gene), gene[5] & 1)]


def _outside(model: Model, gene: bytes) -> list[Operation]:
    """Another process, or a debugger, at a page; a write is looked at by the process itself."""
    task, slot = _task(model, gene), _slot(model, gene)
    process = process_of(task)
    ops = _map_first(model, task)
    by = model.free_task(model.live[gene[4] % len(model.live)], 1)
    debugs = gene[6] & 1
    if gene[6] & 2:
        return [*ops, (MEM_READ, TASK_MONITOR, process, slot) if debugs else (PROCESS_READ, by, process, slot)]
    if debugs and gene[6] & 12 == 0:
        ops.append((MPROTECT, task, slot, 1, R))
    value = _value(gene)
    ops.append((MEM_WRITE, TASK_MONITOR, process, slot, value) if debugs else (PROCESS_WRITE, by, process, slot, value))
    return [*ops, (READ, task, slot)]


def _migrate(model: Model, gene: bytes) -> list[Operation]:
    """A migration, mostly of pages with data, between two looks at them."""
    task = _task(model, gene)
    start, pages = _range(model, gene)
    ops = _map_first(model, task)
    if gene[6] & 1:
        ops.append((WRITE, task, start, _value(gene)))
    ops.append((MIGRATE, TASK_MONITOR, process_of(task), start, pages))
    if gene[6] & 6:
        ops.append((WRITE, task, start, _other_value(gene)) if gene[6] & 2 else (READ, task, start))
    return ops


@_needing("numa-hints")
def _numa_hint(model: Model, gene: bytes) -> list[Operation]:
    """Hints over pages with data, in a process of two tasks mostly, as the pages of one alone lie well; an access."""
    task, slot = _task(model, gene), _slot(model, gene)
    process, ops = process_of(task), _map_first(model, task)
    ops.append((WRITE, task, slot, _value(gene)))
    if gene[6] & 3:
        ops.append((READ, task_byte(process, 1), slot))
    if gene[6] & 12 == 12:
        handles = [handle for handle, uffd in model.uffds.items() if uffd.wp and uffd.owner == process]
        ops += [(WP, TASK_MONITOR, handle, slot, 1) for handle in handles[:1]]
    ops.append((HINT, task, *_range(model, gene)))
    if gene[6] & 48 == 48:
        ops.append((FORK, task, model.free_process()))
    if gene[6] & 192:
        ops.append((WRITE, task, slot, _other_value(gene)) if gene[6] & 64 else (READ, task, slot))
    return ops


#: Advice about huge pages: mostly the kind that does something.
_HUGE_ADVICE: Final = (COLLAPSE, COLLAPSE, COLLAPSE, COLLAPSE, COLLAPSE, HUGEPAGE, NOHUGEPAGE, COLLAPSE)


@_needing("thp")
def _advise_huge(model: Model, gene: bytes) -> list[Operation]:
    """Advice about huge pages, over all slots of the program mostly; often with a page there, or a hole made, first."""
    task = _task(model, gene)
    ops = _map_first(model, task)
    if gene[6] & 1:
        ops.append((WRITE, task, _slot(model, gene), _value(gene)))
    if gene[6] & 2:
        ops.append((MADVISE, task, _slot(model, gene), 1, DONTNEED))
    target = (model.base, model.width) if gene[4] < 192 else _range(model, gene)
    return [*ops, (MADVISE, task, *target, _HUGE_ADVICE[gene[5] % len(_HUGE_ADVICE)])]


@_needing("thp")
def _collapse(model: Model, gene: bytes) -> list[Operation]:
    """khugepaged over all slots of the program, mostly with a page of its own there first, as it wants one."""
    task = _task(model, gene)
    ops = _map_first(model, task)
    if gene[6] & 3:
        ops.append((WRITE, task, _slot(model, gene), _value(gene)))
    return [*ops, (KHUGEPAGED, TASK_MONITOR, process_of(task), model.base, model.width)]


@_needing("thp")
def _split(model: Model, gene: bytes) -> list[Operation]:
    """A huge page is split, written before or after."""
    task, slot = _task(model, gene), _slot(model, gene)
    ops = _map_first(model, task)
    if gene[6] & 1:
        ops.append((WRITE, task, slot, _value(gene)))
    ops.append((SPLIT, TASK_MONITOR, process_of(task), slot))
    return [*ops, (WRITE, task, slot, _other_value(gene))] if gene[6] & 6 == 6 else ops


@_needing("hugetlb")
def _hugetlb(model: Model, gene: bytes) -> list[Operation]:
    """The program's slots become huge pages of hugetlbfs, with what is shared by a fork there mostly."""
    task, slot = _task(model, gene), _slot(model, gene)
    start = model.base if gene[5] >= 248 else model.base // HUGE_PAGES * HUGE_PAGES
    ops: list[Operation] = [(MMAP_HUGETLB, task, start, model.width, _PROTS[gene[5] % len(_PROTS)])]
    if gene[6] & 1:
        ops.append((WRITE, task, slot, _value(gene)))
    if gene[6] & 6:
        ops.append((FORK, task, model.free_process()))
    if gene[6] & 8:
        ops.append((WRITE, task, slot, _other_value(gene)))
    return ops


def _swap_out(model: Model, gene: bytes) -> list[Operation]:
    """Pages go to swap, mostly with data in them; often somebody then comes for them, or the swap cache is emptied."""
    task, target = _task(model, gene), _range(model, gene)
    process, slot = process_of(task), target[0]
    ops = _map_first(model, task)
    if not model.present[process] >> slot & 1 or gene[6] & 1:
        ops.append((WRITE, task, slot, _value(gene)))
    ops.append((SWAP_OUT, TASK_MONITOR, process, *target))
    if gene[6] & 6 == 6:
        ops.append((DROP_SWAP_CACHE, TASK_MONITOR))
    if gene[6] & 8:
        ops.append((READ, task, slot) if gene[6] & 16 else (WRITE, task, slot, _other_value(gene)))
    return ops


@_needing("fail", "swap")
def _swap_fails(model: Model, gene: bytes) -> list[Operation]:
    """A page on its way to swap or back, which fails; then somebody comes for it, again mostly."""
    task, slot = _task(model, gene), _slot(model, gene)
    process, ops = process_of(task), _map_first(model, task)
    ops.append((WRITE, task, slot, _value(gene)))
    out: Operation = (SWAP_OUT, TASK_MONITOR, process, slot, 1)
    if gene[6] & 3 == 3:
        ops += [(FAIL, TASK_MONITOR, FAIL_SWAP_WRITE, 1), out, (READ, task, slot)]
        return ops
    ops += [out, (FAIL, TASK_MONITOR, FAIL_SWAP_READ, 1 + (gene[4] >> 6 == 3))]
    if gene[6] & 12 == 12:
        ops += [(SWAPOFF, TASK_MONITOR, gene[5] & 1)]
    else:
        ops += [(READ, task, slot) if gene[6] & 16 else (WRITE, task, slot, _other_value(gene))]
    if gene[6] & 32:
        ops.append((FORK, task, model.free_process()))
    if gene[6] & 64:
        ops.append((WRITE, task, slot, _other_value(gene)))
    return [*ops, (READ, task, slot)]


def _swap_protected(model: Model, gene: bytes) -> list[Operation]:
    """A write-protected page goes to swap, or one in swap is protected; then comes what needs the protection kept."""
    ops, handle, task, target = _protect(model, gene)
    process, slot = process_of(task), target[0]
    out: Operation = (SWAP_OUT, TASK_MONITOR, process, *target)
    ops.insert(len(ops) - (gene[6] & 1), out)
    if gene[6] & 2:
        ops.append((SWAPOFF, TASK_MONITOR, gene[6] >> 7))
    if gene[6] & 4:
        ops.append((RESOLVE, TASK_MONITOR, handle, *target, 0))
        if gene[6] & 8:
            ops.append((FORK, task, model.free_process()))
    return [*ops, (WRITE, task, slot, _other_value(gene))]


def _swap_shared(model: Model, gene: bytes) -> list[Operation]:
    """A page in swap, or back from it, is shared with a child; one of them writes, the other one looks.

    In between the page may be write-protected and resolved: code that takes it for exclusive then shows itself.
    """
    if gene[7] & 1:
        ops, handle, process = _uffd(model, gene, MODE_WP)
        task = model.free_task(process)
    else:
        handle, task = 0, _task(model, gene)
        ops, process = _map_first(model, task), process_of(task)
    slot, child = _slot(model, gene), model.free_process()
    write: Operation = (WRITE, task, slot, _value(gene))
    fork: Operation = (FORK, task, child)
    out: Operation = (SWAP_OUT, TASK_MONITOR, process, slot, 1)
    ops += [write, fork, out] if gene[6] & 1 else [write, out, fork]
    writer, other = (task, task_byte(child)) if gene[6] & 2 else (task_byte(child), task)
    if gene[6] & 4 or gene[7] & 1:
        ops.append((READ, writer, slot))
    if gene[7] & 1:
        ops += [(WP, TASK_MONITOR, handle, slot, 1), (RESOLVE, TASK_MONITOR, handle, slot, 1, 0)]
    if gene[6] & 8:
        ops.append((DROP_SWAP_CACHE, TASK_MONITOR))
    return [*ops, (WRITE, writer, slot, _other_value(gene)), (READ, other, slot)]


def _swapoff(model: Model, gene: bytes) -> list[Operation]:
    return [(SWAPOFF, TASK_MONITOR, gene[6] & (3 if gene[7] & 3 == 0 else 1))]


def _lazy_free(model: Model, gene: bytes) -> list[Operation]:
    """Advice about data, mostly to give it up; often reclaim comes, or a write before it."""
    task, target = _task(model, gene), _range(model, gene)
    process, slot = process_of(task), target[0]
    ops = _map_first(model, task)
    if not model.present[process] >> slot & 1 or gene[6] & 1:
        ops.append((WRITE, task, slot, _value(gene)))
    ops.append((MADVISE, task, *target, (FREE, FREE, PAGEOUT, COLD)[gene[5] >> 6]))
    if gene[6] & 2:
        ops.append((WRITE, task, slot, _other_value(gene)) if gene[6] & 4 else (FORK, task, model.free_process()))
    if gene[6] & 8:
        ops.append((SWAP_OUT, TASK_MONITOR, process, *target))
    return [*ops, (READ, task, slot)]


def _attend(model: Model, gene: bytes) -> list[Operation]:
    """What the monitor does for a blocked task: reads the event, ends the cause."""
    handle, slot = list(model.blocked.values())[gene[2] % len(model.blocked)]
    event: Operation = (EVENT, TASK_MONITOR, handle, model.free_handle())
    if slot < 0:
        return [event]
    first = [event] if gene[6] & 1 else []
    if model.uffds[handle].protected >> slot & 1:
        return [*first, (RESOLVE, TASK_MONITOR, handle, slot, 1, 0)]
    return [*first, (COPY, TASK_MONITOR, handle, slot, 1, _value(gene), _COPY_MODES[gene[5] >> 5])]


# --- files ---

#: What the file moves map: at most this many pages more than the program has slots lie in a file.
_FILE_SPARE: Final = 2
_FILE_PROTS: Final = (RW, RW, RW, RW, RW, RW, RW, R)
_FILE_TYPES: Final = tuple(map(FILE_TYPE.words.index, ("memfd", "memfd", "memfd", "tmpfile")))
_PUNCH_HOLE: Final = ALLOCATE.words.index("punch-hole")
_FILE_MODES: Final = (
    *(MODE_WP, MODE_MINOR, MODE_MISSING, MODE_MINOR | MODE_WP, _BOTH, MODE_WP, _BOTH, _BOTH | MODE_MINOR),
)


def _file(model: Model, gene: bytes, task: int) -> tuple[list[Operation], int]:
    """(operations that open a file if none is open, a handle)"""
    if model.files and gene[7] < 224:
        handles = list(model.files)
        return [], handles[gene[2] % len(handles)]
    handle = model.free_file()
    end = max(1, model.width + (0, 0, 0, _FILE_SPARE, -1, 0, 0, 0)[gene[6] >> 5])
    return [(FILE_OPEN, task, handle, _FILE_TYPES[gene[7] % len(_FILE_TYPES)], end)], handle


def _page(model: Model, gene: bytes) -> int:
    """A page of a file, one that the program's slots show mostly."""
    return gene[3] % FILE_PAGES if gene[7] >= 248 else gene[3] % (model.width + (gene[7] >= 232))


@_of("files", "shmem")
def _map_file(model: Model, gene: bytes) -> list[Operation]:
    """A file mapped over the program's slots; sometimes a second time beside them, or shared memory without a file."""
    task = _task(model, gene)
    prot = _FILE_PROTS[gene[5] % len(_FILE_PROTS)]
    if gene[6] & 7 == 7:
        return [(MMAP_SHARED, task, model.base, model.width, prot)]
    ops, handle = _file(model, gene, task)
    first = gene[4] & 1 if gene[4] >= 192 else 0
    kind = int(gene[5] >= 160)
    ops.append((MMAP_FILE, task, model.base, model.width, prot, handle, first, kind))
    beside = model.base + model.width
    if gene[6] & 24 == 24 and beside + model.width <= SLOTS:
        ops.append((MMAP_FILE, task, beside, model.width, RW, handle, first, int(gene[5] & 64 > 0)))
    return ops


@_of("files", "shmem")
def _file_io(model: Model, gene: bytes) -> list[Operation]:
    task = _task(model, gene)
    ops, handle = _file(model, gene, task)
    if gene[6] & 1:
        return [*ops, (FILE_WRITE, task, handle, _page(model, gene), _value(gene))]
    return [*ops, (FILE_READ, task, handle, _page(model, gene))]


@_of("files", "shmem")
def _file_change(model: Model, gene: bytes) -> list[Operation]:
    """A hole, another end, an allocation; often with a page there before, and a look at it afterwards."""
    task = _task(model, gene)
    ops, handle = _file(model, gene, task)
    page, slot = _page(model, gene), _slot(model, gene)
    if gene[6] & 1:
        ops.append((WRITE, task, slot, _value(gene)))
    end = min(page + 1 + (gene[4] >> 6), FILE_PAGES)
    choice = gene[5] % 8
    if choice < 3:
        ops.append((ALLOCATE_FILE, task, handle, page, end, _PUNCH_HOLE))
    elif choice < 5:
        ops.append((TRUNCATE, task, handle, page))
        if gene[6] & 8:
            ops.append((TRUNCATE, task, handle, model.width))
    elif choice == 5:
        ops.append((MADVISE, task, *_range(model, gene), REMOVE))
    elif choice == 6:
        ops.append((ALLOCATE_FILE, task, handle, page, end, gene[4] & 1))
    else:
        ops += [(SYNC, task, handle), (DROP, task, handle)]
    if gene[6] & 2:
        ops.append((READ, task, slot) if gene[6] & 4 else (WRITE, task, slot, _other_value(gene)))
    return ops


@_of("files", "shmem")
def _file_end(model: Model, gene: bytes) -> list[Operation]:
    """What is seldom: a file closed, written back, dropped from the cache."""
    task = _task(model, gene)
    ops, handle = _file(model, gene, task)
    return [*ops, ((FILE_CLOSE, SYNC, DROP)[gene[5] % 3], task, handle)]


@_of("files", "shmem", "uffd", "uffd-minor")
def _minor(model: Model, gene: bytes) -> list[Operation]:
    """A page that is in the cache but not mapped, met by an access, then mapped by the monitor."""
    ops: list[Operation] = []
    if not any(uffd.minor for uffd in model.uffds.values()):
        task = _task(model, gene)
        ops, file = _file(model, gene, task)
        handle, mode = model.free_handle(), _FILE_MODES[gene[4] % len(_FILE_MODES)] | MODE_MINOR
        ops += [
            (MMAP_FILE, task, model.base, model.width, RW, file, 0, int(gene[4] >= 224)),
            (OPEN, task, handle, _FEATURES[gene[5] % len(_FEATURES)]),
            (REGISTER, TASK_MONITOR, handle, model.base, model.width, mode),
            (FILE_WRITE, task, file, _page(model, gene), _value(gene)),
            (READ, task, _slot(model, gene)),
            (CONTINUE, TASK_MONITOR, handle, model.base, model.width, 0),
        ]
        return ops
    handle, uffd = next((handle, uffd) for handle, uffd in model.uffds.items() if uffd.minor)
    task = model.free_task(uffd.owner)
    target = _range_in(uffd.minor, model, gene)
    if gene[6] & 1:
        ops.append((MADVISE, task, *target, DONTNEED))
    if gene[6] & 6:
        ops.append((READ, task, target[0]) if gene[6] & 2 else (WRITE, task, target[0], _value(gene)))
    if gene[6] & 8:
        ops.append((EVENT, TASK_MONITOR, handle, model.free_handle()))
    return [*ops, (CONTINUE, TASK_MONITOR, handle, *target, _COPY_MODES[gene[5] >> 5])]


@_of("files", "shmem", "uffd")
def _register_file(model: Model, gene: bytes) -> list[Operation]:
    """The program's slots, with a file behind them, registered in any mode; then protected, sometimes."""
    task, handle = _task(model, gene), model.free_handle()
    mode = _FILE_MODES[gene[6] % len(_FILE_MODES)]
    ops = _map_file(model, gene) if gene[6] & 0x30 else _map_first(model, task)
    ops.append((OPEN, task, handle, _FEATURES[gene[5] % len(_FEATURES)]))
    ops.append((REGISTER, TASK_MONITOR, handle, model.base, model.width, mode))
    if mode & MODE_WP and gene[6] & 0x40:
        ops.append((WRITE, task, _slot(model, gene), _value(gene)))
        ops.append((WP, TASK_MONITOR, handle, *_range(model, gene)))
    return ops


def _noise(model: Model, gene: bytes) -> list[Operation]:
    """Any operation with any operands; if a task runs it, a live one every other time."""
    op = decode(bytes((gene[0], gene[6], *gene[2:])))[0]
    return [op if op[1] == TASK_MONITOR or gene[1] & 1 else (op[0], _task(model, gene), *op[2:])]


#: The moves and their weights in the mix of everything, simplest first.
_MOVES: Final[tuple[tuple[_Move, int], ...]] = (
    (_write, 8),
    (_read, 3),
    (_mmap, 2),
    (_fork, 6),
    (_mprotect, 2),
    (_dontneed, 2),
    (_mergeable, 1),
    (_merge, 5),
    (_munmap, 1),
    (_exit, 4),
    (_open, 2),
    (_wp, 5),
    (_resolve, 4),
    (_wp_sandwich, 2),
    (_reshare, 2),
    (_fill, 3),
    (_register, 2),
    (_unregister, 1),
    (_close, 1),
    (_wake, 1),
    (_event, 2),
    (_guest, 2),
    (_mremap, 3),
    (_resize, 1),
    (_fork_advice, 1),
    (_guard, 2),
    (_pin, 4),
    (_pin_shared, 4),
    (_use_pin, 4),
    (_populate, 1),
    (_outside, 4),
    (_migrate, 2),
    (_numa_hint, 2),
    (_fail, 2),
    (_swap_out, 3),
    (_swap_fails, 1),
    (_swap_protected, 2),
    (_swap_shared, 2),
    (_lazy_free, 1),
    (_swapoff, 1),
    (_map_file, 3),
    (_file_io, 4),
    (_file_change, 5),
    (_file_end, 3),
    (_minor, 6),
    (_register_file, 3),
    (_advise_huge, 3),
    (_collapse, 2),
    (_split, 2),
    (_hugetlb, 4),
    (_poison, 2),
    (_move, 3),
    (_soft_dirty, 2),
    (_scan_pages, 2),
)
#: The first moves are in every mix.
_ALWAYS: Final = 2
_MIXES: Final = 1024


@lru_cache(_MIXES)
def _mix(number: int, has: frozenset[str] = NEED_NAMES) -> tuple[_Move, ...]:
    """The moves of one program, by the first byte of its genes; those alone that need only what the kernel ``has``.

    Mix 0 holds them all.  In any other, each later move is there or not, with a weight of its own: programs
    of few kinds of operations get deeper than programs of all (swarm testing, Groce et al., ISSTA 2012).
    """
    rng = random.Random(number)
    weights = [weight for _, weight in _MOVES]
    if number:
        for i in range(len(weights)):
            weights[i] *= (1, 1, 2, 3)[int(rng.random() * 4)] if i < _ALWAYS or rng.random() < 0.5 else 0
        drawn = {family for family in sorted(set(_FAMILY.values())) if rng.random() < _FAMILY_SHARE}
        for i, (move, _) in enumerate(_MOVES):
            if _FAMILY.get(move, "core") not in drawn | {"core"}:
                weights[i] = 0
    made = [has.issuperset(_NEEDS.get(move, ())) for move, _ in _MOVES]
    weights = [weight if there else 0 for weight, there in zip(weights, made, strict=True)]
    total = sum(weights)
    table: list[_Move] = []
    reached = 0
    for (move, _), weight in zip(_MOVES, weights, strict=True):
        reached += weight
        table += [move] * (reached * 256 // total - len(table))
    return tuple(table)


@lru_cache
def _lacked(has: frozenset[str]) -> frozenset[int]:
    """Codes of the operations that need what the kernel lacks."""
    return frozenset(op.code for op in OPS if not has.issuperset(op.needs))


def _made(move: _Move, model: Model, gene: bytes) -> list[Operation]:
    """What the move wants, as far as the kernel has what it takes."""
    ops = move(model, gene)
    lacked = _lacked(model.has)
    return ([op for op in ops if op[0] not in lacked] or _read(model, gene)) if lacked else ops


def program_from(data: bytes, has: frozenset[str] = NEED_NAMES) -> list[Operation]:
    """The program that the bytes stand for: a header, then one operation for each whole gene.

    :param data: at least HEADER_SIZE bytes.
    :param has: what the kernel has, of :data:`~faultline.program.ops.NEEDS`; no operation needs anything else.
    """
    base = _BASES[data[2] % len(_BASES)]
    width = min(_WIDTHS[data[3] % len(_WIDTHS)], SLOTS - base)
    if "thp" in has and data[7] & 1:
        base, width = _HUGE_BASES[data[2] % len(_HUGE_BASES)], _HUGE_WIDTHS[data[3] % len(_HUGE_WIDTHS)]
    model = Model(base, width, base + data[4] % width, has)
    moves = _mix((data[0] | data[1] << 8) % _MIXES, has)
    program: list[Operation] = []
    plan = _map_file(model, data[:GENE_SIZE]) if data[7] & 1 and _map_file in moves else []
    for i in range(HEADER_SIZE, len(data) - GENE_SIZE + 1, GENE_SIZE):
        gene = data[i : i + GENE_SIZE]
        control = gene[1]
        if control >= _NOISE_FROM:
            plan[:0] = _made(_noise, model, gene)
        elif not plan or not control & 7:
            move = _attend if model.blocked and control & 8 else moves[gene[0]]
            plan[:0] = _made(move, model, gene)
        op = plan.pop(0)
        if op[1] in model.blocked:
            op = (op[0], model.free_task(process_of(op[1])), *op[2:])
        model.apply(op)
        program.append(op)
    return program


def continuation(
    rng: random.Random, ops: Sequence[Operation], has: frozenset[str] = NEED_NAMES
) -> list[Operation]:
    """A random move after the operations ``ops``, about slots that they name: one or a few operations."""
    slots = [op[i] for op in ops for i, kind in enumerate(OPS[op[0]].kinds, 2) if kind is SLOT]
    base = slots[int(rng.random() * len(slots))] if slots else 0
    model = Model(base, min(_WIDTHS[int(rng.random() * len(_WIDTHS))], SLOTS - base), base, has)
    for op in ops:
        model.apply(op)
    gene = rng.randbytes(GENE_SIZE)
    return _made(_attend if model.blocked and gene[1] & 8 else _mix(0, has)[gene[0]], model, gene)


def _length(first: float, second: float, length_max: int) -> int:
    """A length of 1 to ``length_max``, the middle most often, from two numbers of at least 0 and below 1."""
    return 1 + int((first + second) / 2 * length_max)


def random_program(
    rng: random.Random, *, length_max: int = LENGTH_MAX, has: frozenset[str] = NEED_NAMES
) -> list[Operation]:
    """A random program of 1 to ``length_max`` operations, half of that on average.

    It takes its bytes from ``rng`` alone, so a seed gives the same program on any machine; ``has`` is what its
    kernel has, of :data:`~faultline.program.ops.NEEDS`.
    """
    assert 1 <= length_max <= OPS_MAX
    return program_from(rng.randbytes(HEADER_SIZE + GENE_SIZE * _length(rng.random(), rng.random(), length_max)), has)


def programs(max_ops: int = LENGTH_MAX, has: Collection[str] = NEED_NAMES) -> SearchStrategy[list[Operation]]:
    """A Hypothesis strategy for programs of up to ``max_ops`` operations, half of that on average.

    An example is one draw of bytes of a fixed size, which is what Hypothesis makes fastest.  They hold a byte for each
    operation that drops it if 0, without a change to the others: that is how examples shrink to few operations.
    """
    # Imported here because workers that only need random programs start faster without it.
    from hypothesis import strategies

    assert 1 <= max_ops <= OPS_MAX
    size = max_ops + HEADER_SIZE + GENE_SIZE * max_ops
    kernel_has = frozenset(has)

    def program(data: bytes) -> list[Operation]:
        keep, genes = data[:max_ops], data[max_ops:]
        length = _length(genes[5] / 256, genes[6] / 256, max_ops)
        made = program_from(genes[: HEADER_SIZE + GENE_SIZE * length], kernel_has)
        return [op for op, kept in zip(made, keep, strict=False) if kept]

    return strategies.binary(min_size=size, max_size=size).map(program)
