"""Shapes of programs, as predicates: what a generator must meet and a minimiser must keep."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from faultline.program import model
from faultline.program.codec import Operation, process_of
from faultline.program.model import Model
from faultline.program.ops import SLOTS, TASK_MONITOR


def blocks_on_wp(program: Iterable[Operation]) -> bool:
    """A task's write meets a write-protected page."""
    state = Model(0, 1, 0)
    for op in program:
        waiting = set(state.blocked)
        state.apply(op)
        for byte in state.blocked.keys() - waiting:
            handle, slot = state.blocked[byte]
            if slot >= 0 and state.uffds[handle].protected >> slot & 1:
                return True
    return False


def child_writes(program: Iterable[Operation]) -> bool:
    """A process that a fork made writes."""
    children: set[int] = set()
    for op in program:
        if op[0] == model.FORK:
            children.add(op[2])
        elif op[0] == model.WRITE and process_of(op[1]) in children:
            return True
    return False


def forks_while_protected(program: Iterable[Operation]) -> bool:
    state = Model(0, 1, 0)
    for op in program:
        if op[0] == model.FORK and any(u.protected and u.owner == process_of(op[1]) for u in state.uffds.values()):
            return True
        state.apply(op)
    return False


def writes_after_sandwich(program: Iterable[Operation]) -> bool:
    """Write-protected, made read-only by mprotect, resolved, written: one slot."""
    stage = [0] * SLOTS
    for op in program:
        if op[0] == model.WRITE and stage[op[2]] == 3:
            return True
        at = {model.WP: 3, model.RESOLVE: 3, model.MPROTECT: 2}.get(op[0])
        if at:
            step = {model.WP: 1, model.RESOLVE: 3}.get(op[0], 2 if op[4] == model.R else 0)
            for slot in range(op[at], op[at] + op[at + 1]):
                stage[slot] = step if step < 2 or stage[slot] == step - 1 else stage[slot]
    return False


class _Ksm:
    """Contents, KSM nodes and write protection of process 0's slots, as the kernel would have them."""

    def __init__(self) -> None:
        self.handles: set[int] = set()
        self.mapped: set[int] = set()
        self.mergeable: set[int] = set()
        self.registered: set[int] = set()
        self.protected: set[int] = set()
        self.value: dict[int, int] = {}
        self.node: dict[int, int] = {}
        self.alone: set[int] = set()
        """slots resolved while they were the only mapper of a KSM page"""

    def forget(self, slot: int) -> None:
        self.value.pop(slot, None)
        self.node.pop(slot, None)
        self.alone.discard(slot)
        self.protected.discard(slot)

    def shared_again(self, slot: int) -> bool:
        return slot in self.alone and sum(node == self.node[slot] for node in self.node.values()) > 1

    def write(self, slot: int, value: int) -> None:
        if slot in self.mapped - self.protected:
            self.forget(slot)
            self.value[slot] = value

    def resolve(self, slot: int) -> None:
        mates = sum(node == self.node.get(slot) for node in self.node.values())
        if slot in self.protected and mates == 1:
            self.alone.add(slot)
        self.protected.discard(slot)

    def merge(self, slots: Iterable[int]) -> None:
        fresh = [s for s in slots if s in self.mergeable and s in self.value and s not in self.node]
        count = Counter(self.value[s] for s in fresh)
        nodes = set(self.node.values())
        for slot in fresh:
            if count[self.value[slot]] > 1 or self.value[slot] in nodes:
                self.node[slot] = self.value[slot]


def writes_into_stable_node(program: Iterable[Operation]) -> bool:
    """A KSM page with one mapper is resolved, another page joins it, the first is written: a defect of proposal T1."""
    ksm = _Ksm()
    for op in program:
        code = op[0]
        if op[1] != TASK_MONITOR and process_of(op[1]):
            continue
        if code == model.WRITE:
            if ksm.shared_again(op[2]):
                return True
            ksm.write(op[2], op[3])
        elif code in (model.MMAP, model.MUNMAP, model.MADVISE):
            _apply_to_range(ksm, op)
        elif code == model.OPEN:
            ksm.handles.add(op[2])
        elif code in (model.REGISTER, model.WP, model.RESOLVE) and op[2] in ksm.handles:
            slots = range(op[3], op[3] + op[4])
            if code == model.RESOLVE:
                for slot in slots:
                    ksm.resolve(slot)
            elif code == model.WP:
                ksm.protected |= ksm.registered.intersection(slots) & set(ksm.value)
            elif op[5] & model.MODE_WP:
                ksm.registered |= ksm.mapped.intersection(slots)
        elif code == model.SCAN or (code == model.MERGE and op[2] == 0):
            ksm.merge(range(SLOTS) if code == model.SCAN else range(op[3], op[3] + op[4]))
    return False


def _apply_to_range(ksm: _Ksm, op: Operation) -> None:
    slots = range(op[2], op[2] + op[3])
    if op[0] == model.MADVISE and op[4] == model.MERGEABLE:
        ksm.mergeable |= ksm.mapped.intersection(slots)
        return
    if op[0] != model.MADVISE:
        for flags in (ksm.mapped, ksm.mergeable, ksm.registered):
            flags.difference_update(slots)
    if op[0] == model.MMAP and op[4] == model.RW:
        ksm.mapped |= set(slots)
    for slot in slots:
        ksm.forget(slot)


#: An instance of writes_into_stable_node.
T1A = """\
p0.0 mmap a0+3 rw
p0.0 uffd-open u0
m uffd-register u0 a0+3 wp
p0.0 madvise a0+3 mergeable
p0.0 write a0 =1
p0.0 write a1 =1
m ksm-merge p0 a0+3
p0.0 write a1 =2
m uffd-wp u0 a0
m uffd-resolve u0 a0
p0.0 write a2 =1
m ksm-merge p0 a0+3
p0.0 write a0 =3
"""
