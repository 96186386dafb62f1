"""What a program has done so far, roughly: the generator's guide to operands that mean something.

Whatever the model gets wrong costs a less useful operation, never a wrong verdict: the oracle is elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from faultline.program.codec import Operation, process_of, task_byte
from faultline.program.ops import (
    ADVICE,
    BY_NAME,
    CATEGORY,
    COPY_MODE,
    FAULT,
    FEATURES,
    FILES,
    MOVE_MODE,
    NEED_NAMES,
    OPS,
    PIN_FLAGS,
    PINS,
    POPULATE,
    PROCESSES,
    PROT,
    REGISTER_MODE,
    REMAP_FLAGS,
    SCAN_MODE,
    SLOTS,
    TASK_MONITOR,
    TASKS,
    UFFDS,
)


def _code(name: str) -> int:
    return BY_NAME[name].code


def _bit(kind_words: tuple[str, ...], word: str) -> int:
    return 1 << kind_words.index(word)


MMAP, MUNMAP, MPROTECT, MADVISE = map(_code, ("mmap", "munmap", "mprotect", "madvise"))
READ, WRITE, FORK, EXIT, OPEN = map(_code, ("read", "write", "fork", "exit", "uffd-open"))
REGISTER, UNREGISTER, CLOSE = map(_code, ("uffd-register", "uffd-unregister", "uffd-close"))
WP, RESOLVE, COPY, ZEROPAGE = map(_code, ("uffd-wp", "uffd-resolve", "uffd-copy", "uffd-zeropage"))
FAIL = _code("fail")
FAIL_SWAP_READ, FAIL_SWAP_WRITE = (FAULT.lo + FAULT.words.index(word) for word in ("swap-read", "swap-write"))
GUEST_READ, GUEST_WRITE = map(_code, ("guest-read", "guest-write"))
MOVE, POISON, CLEAR_REFS, SCAN_PAGES = map(_code, ("uffd-move", "uffd-poison", "clear-refs", "pagemap-scan"))
WAKE, EVENT, MERGE, SCAN = map(_code, ("uffd-wake", "uffd-read", "ksm-merge", "ksm-scan"))
PIN, REF, PIN_READ, PIN_WRITE, UNPIN = map(_code, ("pin", "ref", "pin-read", "pin-write", "unpin"))
PROCESS_READ, PROCESS_WRITE, MEM_READ, MEM_WRITE = map(
    _code, ("process-read", "process-write", "mem-read", "mem-write")
)
POPULATED, MIGRATE, HINT = map(_code, ("populate", "migrate", "numa-hint"))
SWAP_OUT, DROP_SWAP_CACHE, SWAPOFF = map(_code, ("swap-out", "drop-swap-cache", "swapoff"))

KHUGEPAGED, SPLIT, MMAP_HUGETLB = map(_code, ("khugepaged", "split", "mmap-hugetlb"))

NONE, R, RW = (PROT.words.index(word) for word in ("none", "r", "rw"))
MREMAP, RESIZE, GUARD, UNGUARD = map(_code, ("mremap", "mremap-resize", "guard-install", "guard-remove"))
DONTFORK, DOFORK, WIPEONFORK, KEEPONFORK = (
    ADVICE.words.index(word) for word in ("dontfork", "dofork", "wipeonfork", "keeponfork")
)
FREE, COLD, PAGEOUT = (ADVICE.words.index(word) for word in ("free", "cold", "pageout"))
HUGEPAGE, NOHUGEPAGE, COLLAPSE = (ADVICE.words.index(word) for word in ("hugepage", "nohugepage", "collapse"))
EVENT_FORK, WP_ASYNC, WP_UNPOPULATED, SIGBUS, EVENT_REMAP, EVENT_REMOVE, EVENT_UNMAP = (
    _bit(FEATURES.words, word)
    for word in (
        *("event-fork", "wp-async", "wp-unpopulated", "sigbus"),
        *("event-remap", "event-remove", "event-unmap"),
    )
)
DONTUNMAP: Final = _bit(REMAP_FLAGS.words, "dontunmap")
PIN_FOR_WRITE, PIN_LONGTERM, PIN_FORCE, PIN_FAST, PIN_LOCKED = (_bit(PIN_FLAGS.words, word) for word in PIN_FLAGS.words)
POPULATE_READ, POPULATE_WRITE = (POPULATE.words.index(word) for word in ("read", "write"))
DONTNEED, MERGEABLE, UNMERGEABLE, REMOVE = (
    ADVICE.words.index(word) for word in ("dontneed", "mergeable", "unmergeable", "remove")
)
MODE_MISSING, MODE_WP, MODE_MINOR = (_bit(REGISTER_MODE.words, word) for word in ("missing", "wp", "minor"))
MMAP_SHARED, MMAP_FILE, CONTINUE = map(_code, ("mmap-shared", "mmap-file", "uffd-continue"))
FILE_OPEN, FILE_CLOSE, FILE_READ, FILE_WRITE = map(_code, ("file-open", "file-close", "file-read", "file-write"))
TRUNCATE, ALLOCATE_FILE, SYNC, DROP = map(_code, ("file-truncate", "file-allocate", "file-sync", "file-drop"))
MOVE_DONTWAKE, MOVE_HOLES = (_bit(MOVE_MODE.words, word) for word in ("dontwake", "holes"))
SCAN_WP, SCAN_CHECK, SCAN_INVERTED, SCAN_PRESENT = (_bit(SCAN_MODE.words, word) for word in SCAN_MODE.words)
WRITTEN = CATEGORY.words.index("written")
COPY_WP, COPY_DONTWAKE = (_bit(COPY_MODE.words, word) for word in ("wp", "dontwake"))


class Uffd:
    """What the model knows of an open userfaultfd; the masks have a bit for each slot."""

    __slots__ = ("events", "features", "forks", "minor", "missing", "owner", "protected", "wp")

    def __init__(self, owner: int, features: int) -> None:
        self.owner = owner
        self.features = features
        self.missing = 0
        self.minor = 0
        self.wp = 0
        self.protected = 0
        self.forks: list[tuple[int, int]] = []
        """(parent's task byte, child) of forks whose event is not read yet"""
        self.events: list[int] = []
        """Task bytes of those who wait until another event is read."""


class Model:
    """The state of the program so far, and the operands that it suggests.

    ``base``, ``width`` and ``focus`` are the few slots that a program is about, ``has`` what its kernel has; the masks
    are by process.
    """

    __slots__ = (
        *("advised", "base", "blocked", "files", "focus", "guarded", "has", "live"),
        *("mapped", "mergeable", "pins", "present", "uffds", "width"),
    )

    def __init__(self, base: int, width: int, focus: int, has: frozenset[str] = NEED_NAMES) -> None:
        self.has = has
        self.base = base
        self.width = width
        self.focus = focus
        self.live = [0]
        self.mapped = [0] * PROCESSES
        self.present = [0] * PROCESSES
        self.mergeable = [0] * PROCESSES
        self.guarded = [0] * PROCESSES
        self.advised = [0] * PROCESSES
        """Slots that have had advice about fork."""
        self.uffds: dict[int, Uffd] = {}
        self.pins: dict[int, tuple[int, int, int, bool]] = {}
        """(process, start, pages, for writing) by handle"""
        self.files: dict[int, int] = {}
        """The ends of open files by handle."""
        self.blocked: dict[int, tuple[int, int]] = {}
        """(handle, slot) that a blocked task waits for, by task byte; slot -1: an event"""

    def free_task(self, process: int, first: int = 0) -> int:
        """The task byte of the process's first task from ``first`` on that is probably not blocked."""
        for task in range(first, TASKS):
            byte = task_byte(process, task)
            if byte not in self.blocked:
                return byte
        return task_byte(process)

    def free_handle(self) -> int:
        """A handle that is not open, the last one if all are."""
        return next((u for u in range(UFFDS) if u not in self.uffds), UFFDS - 1)

    def free_pin(self) -> int:
        """A handle of pins that is not in use, the last one if all are."""
        return next((k for k in range(PINS) if k not in self.pins), PINS - 1)

    def free_file(self) -> int:
        """A file handle that is not open, the last one if all are."""
        return next((f for f in range(FILES) if f not in self.files), FILES - 1)

    def free_process(self) -> int:
        """A process that does not live, the last one if all do."""
        return next((p for p in range(PROCESSES) if p not in self.live), PROCESSES - 1)

    def apply(self, op: Operation) -> None:
        """Takes note of what the operation does."""
        effect = _EFFECTS[op[0]]
        if effect and (op[1] == TASK_MONITOR or (op[1] not in self.blocked and process_of(op[1]) in self.live)):
            effect(self, op)

    def unblock(self, handle: int, mask: int) -> None:
        """The tasks that wait for the handle because of a slot in the mask go on."""
        for byte, (waited, slot) in list(self.blocked.items()):
            if waited == handle and slot >= 0 and mask >> slot & 1:
                del self.blocked[byte]


def _mask(op: Operation, at: int) -> int:
    """The slots of the range whose start is item ``at`` of the operation."""
    return (1 << op[at + 1]) - 1 << op[at]


def _waits(model: Model, op: Operation, mask: int, feature: int) -> None:
    """The task waits until the first event is read, if a userfaultfd wants to be told of what happens to the mask."""
    for handle, uffd in model.uffds.items():
        if uffd.features & feature and uffd.owner == process_of(op[1]) and (uffd.wp | uffd.missing) & mask:
            model.blocked[op[1]] = (handle, -1)
            uffd.events.append(op[1])
            return


def _does_mmap(model: Model, op: Operation) -> None:
    _does_munmap(model, op)
    model.mapped[process_of(op[1])] |= _mask(op, 2)


def _does_munmap(model: Model, op: Operation) -> None:
    _waits(model, op, _mask(op, 2), EVENT_UNMAP)
    _unmaps(model, process_of(op[1]), _mask(op, 2))


def _unmaps(model: Model, process: int, mask: int) -> None:
    for masks in (model.mapped, model.present, model.mergeable):
        masks[process] &= ~mask
    for handle, uffd in model.uffds.items():
        if uffd.owner == process:
            uffd.wp &= ~mask
            uffd.missing &= ~mask
            uffd.minor &= ~mask
            uffd.protected &= ~mask
            model.unblock(handle, mask)


def _does_mremap(model: Model, op: Operation) -> None:
    process, source, target = process_of(op[1]), _mask(op, 2), _mask(op, 4)
    shift, kept = op[4] - op[2], (1 << min(op[3], op[5])) - 1 << op[2]
    if source & target or kept & ~model.mapped[process] or (op[6] & DONTUNMAP and op[3] != op[5]):
        return
    _waits(model, op, kept, EVENT_REMAP | (0 if op[6] & DONTUNMAP else EVENT_UNMAP))
    _waits(model, op, target, EVENT_UNMAP)
    moved = [_shifted(masks[process] & kept, shift) for masks in (model.present, model.mergeable)]
    for uffd in model.uffds.values():
        if uffd.owner == process:
            follows = uffd.features & EVENT_REMAP
            for name in ("wp", "missing", "protected"):
                had = getattr(uffd, name)
                setattr(uffd, name, had & ~target | (_shifted(had & kept, shift) if follows else 0))
    if op[6] & DONTUNMAP:
        model.present[process] &= ~source
    else:
        _unmaps(model, process, source)
    model.mapped[process] |= target
    model.present[process] = model.present[process] & ~target | moved[0]
    model.mergeable[process] = model.mergeable[process] & ~target | moved[1]


def _shifted(mask: int, by: int) -> int:
    return mask << by if by >= 0 else mask >> -by


def _does_resize(model: Model, op: Operation) -> None:
    process, size = process_of(op[1]), min(op[4], SLOTS - op[2])
    source, kept = _mask(op, 2), (1 << size) - 1 << op[2]
    if size < op[3]:
        _waits(model, op, source & ~kept, EVENT_UNMAP)
        _unmaps(model, process, source & ~kept)
    elif not model.mapped[process] & kept & ~source:
        model.mapped[process] |= kept


def _does_guard(model: Model, op: Operation) -> None:
    process, mask = process_of(op[1]), _mask(op, 2) & model.mapped[process_of(op[1])]
    model.present[process] &= ~mask
    model.guarded[process] = model.guarded[process] & ~mask | (mask if op[0] == GUARD else 0)


def _does_madvise(model: Model, op: Operation) -> None:
    process, mask = process_of(op[1]), _mask(op, 2)
    if op[4] == MERGEABLE:
        model.mergeable[process] |= mask & model.mapped[process]
    elif op[4] == UNMERGEABLE:
        model.mergeable[process] &= ~mask
    elif op[4] == DONTNEED:
        _waits(model, op, mask, EVENT_REMOVE)
        model.present[process] &= ~mask
    elif op[4] in (DONTFORK, WIPEONFORK):
        model.advised[process] |= mask & model.mapped[process]


def _does_access(model: Model, op: Operation) -> None:
    _access(model, op[1], process_of(op[1]), op[2], op[0] in (WRITE, GUEST_WRITE))


def _access(model: Model, task: int, process: int, slot: int, write: bool) -> bool:
    """A fault of the task at the process's slot; whether it goes through."""
    bit = 1 << slot
    for handle, uffd in model.uffds.items():
        if uffd.owner == process and not uffd.features & SIGBUS:
            missing = (uffd.missing | uffd.minor) & bit and not model.present[process] & bit
            if missing or (write and uffd.protected & bit and not uffd.features & WP_ASYNC):
                model.blocked[task] = (handle, slot)
                return False
            uffd.protected &= ~bit if write else -1
    model.present[process] |= bit & model.mapped[process]
    return True


def _does_pin(model: Model, op: Operation) -> None:
    write = op[0] == PIN and bool(op[5] & PIN_FOR_WRITE)
    if op[2] not in model.pins:
        model.pins[op[2]] = (process_of(op[1]), op[3], op[4], write)
        _access_range(model, op[1], op[3], op[4], write)


def _access_range(model: Model, task: int, start: int, pages: int, write: bool) -> None:
    for slot in range(start, start + pages):
        if not _access(model, task, process_of(task), slot, write):
            return


def _does_unpin(model: Model, op: Operation) -> None:
    model.pins.pop(op[2], None)


def _does_populate(model: Model, op: Operation) -> None:
    _access_range(model, op[1], op[2], op[3], op[4] == POPULATE_WRITE)


def _does_process_access(model: Model, op: Operation) -> None:
    if op[2] in model.live:
        _access(model, op[1], op[2], op[3], op[0] == PROCESS_WRITE)


def _does_fork(model: Model, op: Operation) -> None:
    process, child = process_of(op[1]), op[2]
    if child in model.live:
        return
    for masks in (model.mapped, model.present, model.mergeable):
        masks[child] = masks[process]
    for handle, uffd in model.uffds.items():
        if uffd.owner == process and uffd.features & EVENT_FORK:
            uffd.forks.append((op[1], child))
            model.blocked[op[1]] = (handle, -1)
            return
    model.live.append(child)


def _does_exit(model: Model, op: Operation) -> None:
    process = process_of(op[1])
    model.live.remove(process)
    model.mapped[process] = 0
    for byte in [byte for byte in model.blocked if process_of(byte) == process]:
        del model.blocked[byte]
    if not model.live:
        model.live.append(process)


def _does_open(model: Model, op: Operation) -> None:
    if op[2] not in model.uffds:
        model.uffds[op[2]] = Uffd(process_of(op[1]), op[3])


def _does_register(model: Model, op: Operation) -> None:
    uffd = model.uffds.get(op[2])
    if uffd:
        mask = _mask(op, 3) & model.mapped[uffd.owner]
        for other in model.uffds.values():
            if other is not uffd and other.owner == uffd.owner:
                mask &= ~(other.wp | other.missing | other.minor)
        uffd.wp |= mask if op[5] & MODE_WP else 0
        uffd.missing |= mask if op[5] & MODE_MISSING else 0
        uffd.minor |= mask if op[5] & MODE_MINOR else 0


def _does_unregister(model: Model, op: Operation) -> None:
    uffd, mask = model.uffds.get(op[2]), _mask(op, 3)
    if uffd:
        uffd.wp &= ~mask
        uffd.missing &= ~mask
        uffd.minor &= ~mask
        uffd.protected &= ~mask
        model.unblock(op[2], mask)


def _does_close(model: Model, op: Operation) -> None:
    uffd = model.uffds.pop(op[2], None)
    if uffd:
        model.unblock(op[2], (1 << SLOTS) - 1)
        for parent, child in uffd.forks:
            _fork_goes_on(model, parent, child)
        for task in uffd.events:
            model.blocked.pop(task, None)


def _fork_goes_on(model: Model, parent: int, child: int) -> None:
    model.blocked.pop(parent, None)
    if child not in model.live:
        model.live.append(child)


def _does_wp(model: Model, op: Operation) -> None:
    uffd = model.uffds.get(op[2])
    if uffd:
        reached = -1 if uffd.features & WP_UNPOPULATED else model.present[uffd.owner]
        uffd.protected |= _mask(op, 3) & uffd.wp & reached


def _does_resolve(model: Model, op: Operation) -> None:
    uffd = model.uffds.get(op[2])
    if uffd:
        uffd.protected &= ~_mask(op, 3)
        if not op[5]:
            model.unblock(op[2], _mask(op, 3))


def _does_fill(model: Model, op: Operation) -> None:
    uffd = model.uffds.get(op[2])
    if uffd:
        filled = _mask(op, 3) & (uffd.missing | uffd.minor) & ~model.present[uffd.owner]
        model.present[uffd.owner] |= filled
        if op[0] == COPY and op[6] & COPY_WP:
            uffd.protected |= filled & uffd.wp
        model.unblock(op[2], _mask(op, 3))


def _does_move(model: Model, op: Operation) -> None:
    uffd, process = model.uffds.get(op[2]), process_of(op[1])
    if uffd and uffd.owner == process:
        target, source = _mask(op, 3), (1 << op[5] + op[4]) - (1 << op[5])
        if not model.present[process] & target:
            moved = model.present[process] & source
            model.present[process] &= ~source
            model.present[process] |= moved >> op[5] << op[3]
            model.unblock(op[2], target)


def _does_poison(model: Model, op: Operation) -> None:
    model.unblock(op[2], _mask(op, 3))


def _does_scan(model: Model, op: Operation) -> None:
    if op[5] & SCAN_WP:
        for uffd in model.uffds.values():
            if uffd.owner == process_of(op[1]) and uffd.features & WP_ASYNC:
                uffd.protected |= _mask(op, 2) & uffd.wp


def _does_wake(model: Model, op: Operation) -> None:
    model.unblock(op[2], _mask(op, 3))


def _does_event(model: Model, op: Operation) -> None:
    uffd = model.uffds.get(op[2])
    if uffd and uffd.events and op[3] not in model.uffds:
        model.blocked.pop(uffd.events.pop(0), None)
    elif uffd and uffd.forks and op[3] not in model.uffds:
        parent, child = uffd.forks.pop(0)
        _fork_goes_on(model, parent, child)
        inherited = model.uffds[op[3]] = Uffd(child, uffd.features)
        inherited.wp, inherited.missing, inherited.protected = uffd.wp, uffd.missing, uffd.protected
        inherited.minor = uffd.minor


def _does_file_open(model: Model, op: Operation) -> None:
    model.files.setdefault(op[2], op[4])


def _does_file_close(model: Model, op: Operation) -> None:
    model.files.pop(op[2], None)


def _does_truncate(model: Model, op: Operation) -> None:
    if op[2] in model.files:
        model.files[op[2]] = op[3]


_Effect = Callable[[Model, Operation], None]
_EFFECT_BY_CODE: Final[dict[int, _Effect]] = {
    MMAP: _does_mmap,
    MMAP_HUGETLB: _does_mmap,
    MUNMAP: _does_munmap,
    MADVISE: _does_madvise,
    MREMAP: _does_mremap,
    RESIZE: _does_resize,
    GUARD: _does_guard,
    UNGUARD: _does_guard,
    READ: _does_access,
    WRITE: _does_access,
    GUEST_READ: _does_access,
    GUEST_WRITE: _does_access,
    FORK: _does_fork,
    EXIT: _does_exit,
    OPEN: _does_open,
    REGISTER: _does_register,
    UNREGISTER: _does_unregister,
    CLOSE: _does_close,
    WP: _does_wp,
    RESOLVE: _does_resolve,
    COPY: _does_fill,
    ZEROPAGE: _does_fill,
    MOVE: _does_move,
    POISON: _does_poison,
    SCAN_PAGES: _does_scan,
    WAKE: _does_wake,
    EVENT: _does_event,
    PIN: _does_pin,
    REF: _does_pin,
    UNPIN: _does_unpin,
    POPULATED: _does_populate,
    PROCESS_READ: _does_process_access,
    PROCESS_WRITE: _does_process_access,
    MMAP_SHARED: _does_mmap,
    MMAP_FILE: _does_mmap,
    CONTINUE: _does_fill,
    FILE_OPEN: _does_file_open,
    FILE_CLOSE: _does_file_close,
    TRUNCATE: _does_truncate,
}
_EFFECTS: Final = tuple(_EFFECT_BY_CODE.get(op.code) for op in OPS)
