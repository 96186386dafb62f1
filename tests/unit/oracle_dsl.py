"""Scripts: programs as text, with what is expected beside the operations.

    p0.0 write a0 =17               -> blocked fault
    m uffd-resolve u0 a0            -> done; 0: done
    ? p0 a0                         33 present exclusive
    ? p0 a0 vma                     r w wp
    ? p0 anon                       1

``-> outcome`` is the outcome of the operation, then those of operations that end with it, by index; without it nothing
is asserted.  ``?`` asserts the state after the operation above it.
"""

from __future__ import annotations

import errno
import re
import signal
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from faultline.program.codec import Operation
from faultline.program.ops import LOADS, NEED_NAMES, OPS, SHARING, SLOTS
from faultline.program.text import parse_program
from faultline.program.trace import (
    COMPLETION,
    COUNTERS,
    RECORD,
    SNAPSHOT_HEAD,
    VALUE_MIXED,
    Bit,
    Skip,
    Status,
    Wait,
)

_PAGE_NAMES = {
    Bit.PRESENT: "present", Bit.FILE: "file", Bit.SWAP: "swap", Bit.UFFD_WP: "wp", Bit.EXCLUSIVE: "exclusive",
    Bit.GUARD: "guard", Bit.SOFT_DIRTY: "soft-dirty",
}
_VMA_NAMES = {
    Bit.READ: "r", Bit.WRITE: "w", Bit.REG_MISSING: "missing", Bit.REG_WP: "wp", Bit.REG_MINOR: "minor",
    Bit.MERGEABLE: "mergeable", Bit.DONTFORK: "dontfork", Bit.WIPEONFORK: "wipeonfork",
}
_EVENTS = {0x12: "fault", 0x13: "fork", 0x14: "remap", 0x15: "remove", 0x16: "unmap"}
_FAULT_FLAGS = {1: "write", 2: "wp", 4: "minor"}

#: A kernel without huge pages, which leave more to the kernel's choice.
SMALL_PAGES = NEED_NAMES - {"thp"}


@dataclass
class Script:
    """A parsed script."""

    ops: list[Operation] = field(default_factory=list)
    outcomes: dict[int, str] = field(default_factory=dict)
    """By operation."""
    states: list[tuple[int, str, str]] = field(default_factory=list)
    """After which operation, of what, how it is."""


@dataclass
class Record:
    """A record of a trace, readable."""

    outcome: str
    words: dict[tuple[int, int], int] = field(default_factory=dict)
    counters: dict[int, tuple[int, ...]] = field(default_factory=dict)
    sharing: bytes = b""

    def state(self, what: str) -> str:
        """What is asked for: ``p0 a1``, ``p0 a1 vma``, ``p0 anon``, ``p0 swap``, ``live`` or ``p0 a1 shares``."""
        if what == "live":
            return " ".join(f"p{p}" for p in sorted(self.counters)) or "nobody"
        process, thing, *rest = what.split()
        p = int(process[1:])
        if thing in ("anon", "files", "swap"):
            return str(self.counters[p][("anon", "files", "swap").index(thing)])
        word = self.words[p, int(thing[1:])]
        if rest == ["shares"]:
            other = self.sharing[sorted(self.counters).index(p) * SLOTS + int(thing[1:])]
            return f"p{other // SLOTS} a{other % SLOTS}"
        if rest == ["vma"]:
            names = [name for bit, name in _VMA_NAMES.items() if word & bit]
            return " ".join(names) or ("none" if word & Bit.MAPPED else "unmapped")
        return " ".join([str(word & Bit.CONTENT), *(name for bit, name in _PAGE_NAMES.items() if word & bit)])


def parse(text: str) -> Script:
    """The script in a text."""
    script = Script()
    for line in text.strip().splitlines():
        line = line.strip()
        if line.startswith("?"):
            what, expected = re.split(r"\s{2,}", line[1:].strip(), maxsplit=1)
            script.states.append((len(script.ops) - 1, what, expected))
            continue
        operation, arrow, outcome = line.partition("->")
        script.ops += parse_program(operation)
        if arrow:
            script.outcomes[len(script.ops) - 1] = outcome.strip()
    return script


def _outcome(op: Operation, status: int, value: int, aux: int) -> str:
    name = OPS[op[0]].name
    text = Status(status).name.lower()
    if status == Status.ERROR:
        text = errno.errorcode.get(value, f"errno {value}")
    elif status == Status.SIGNAL:
        text = signal.Signals(value).name
    elif status == Status.SKIPPED:
        text = f"skipped {Skip(value).name.lower()}"
    elif status == Status.BLOCKED:
        text = f"blocked {Wait(value).name.lower()}"
    elif status == Status.DONE and op[0] in LOADS:
        text = "mixed" if value == VALUE_MIXED else str(value)
    elif status == Status.DONE and name == "uffd-read":
        flags = ",".join(word for bit, word in _FAULT_FLAGS.items() if value >> 8 & bit)
        event = _EVENTS[value & 0xFF]
        text = " ".join(filter(None, (event, flags, f"a{value >> 16}")))
        if event == "fork":
            text = f"fork u{aux - 1}"
        elif event == "remap":
            text += f"+{aux >> 8} to a{aux & 0xFF}"
        elif event in ("remove", "unmap"):
            text += f"+{aux}"
    elif status == Status.DONE and name == "pagemap-scan":
        text = " ".join(f"a{slot}" for slot in range(SLOTS) if aux >> slot & 1) or "none"
    if name == "file-read" and not aux and status == Status.DONE:
        text = "end"
    counts = ("uffd-copy", "uffd-zeropage", "uffd-continue", "uffd-move", "uffd-poison", "pin", "ref", "migrate")
    if name in counts and aux:
        text += f" {aux}"
    return text


def records(ops: list[Operation], trace: bytes) -> Iterator[Record]:
    """The records of a trace with snapshots."""
    at, live = 0, [0]
    for op in ops:
        _, status, count, value, aux = RECORD.unpack_from(trace, at)
        at += RECORD.size
        outcomes = [_outcome(op, status, value, aux)]
        for _ in range(count):
            index, *ended = COMPLETION.unpack_from(trace, at)
            outcomes.append(f"{index}: {_outcome(ops[index], *ended)}")
            at += COMPLETION.size
        record = Record("; ".join(outcomes))
        if op[0] in SHARING:
            record.sharing = trace[at : at + SLOTS * len(live)]
            at += len(record.sharing)
        (mask,) = SNAPSHOT_HEAD.unpack_from(trace, at)
        at += SNAPSHOT_HEAD.size
        live = [p for p in range(mask.bit_length()) if mask >> p & 1]
        for p in live:
            for slot, (word,) in enumerate(struct.iter_unpack("<I", trace[at : at + SLOTS * 4])):
                record.words[p, slot] = word
            at += SLOTS * 4
            record.counters[p] = COUNTERS.unpack_from(trace, at)
            at += COUNTERS.size
        yield record
    assert at == len(trace)


def mismatches(script: Script, trace: bytes) -> list[str]:
    """In what a trace differs from the script."""
    found = list(records(script.ops, trace))
    wrong = [
        f"operation {index}: {found[index].outcome!r}, expected {outcome!r}"
        for index, outcome in script.outcomes.items()
        if found[index].outcome != outcome
    ]
    for index, what, expected in script.states:
        seen = found[index].state(what)
        if seen != expected:
            wrong.append(f"after operation {index}: {what} is {seen!r}, expected {expected!r}")
    return wrong
