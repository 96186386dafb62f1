"""docs/operations.md, written from the operation table.

``python -m faultline.program.opsdoc`` writes the file in a work tree; a test checks that it is current.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from faultline.program import ops
from faultline.program.text import HEADER_KEYS, syntax
from faultline.program.trace import Skip, Status, Wait
from faultline.program.traceview import SKIPS, STATUSES, WAITS

#: The file in a work tree.
PATH: Final = Path(__file__).parents[3] / "docs" / "operations.md"

_HEAD: Final = f"""\
# Operations

<!-- Written by python -m faultline.program.opsdoc from harness/faultline/program/ops.py: edit there. -->

A program is a list of at most {ops.OPS_MAX} operations on an address region of {ops.SLOTS} page slots.
In the text form there is one operation per line: who runs it, its name, its operands.
How to write one by hand: [writing-a-repro.md](writing-a-repro.md).

    p0.0 mmap a0+4 rw
    p0.0 uffd-open u0
    m uffd-register u0 a0+4 wp

## Who runs an operation

- `p0.0` to `p{ops.PROCESSES - 1}.{ops.TASKS - 1}`: a task of a process; `p1` is short for `p1.0`.
  Process 0 lives at the start, the others are born by `fork`.
  Each has {ops.TASKS} tasks, so that one can go on while another is blocked.
- `m`: the monitor, a process of its own that holds every userfaultfd. It never blocks on a fault.

Operations run one after another. One that blocks leaves its task blocked, and the program goes on;
it ends during the operation that wakes it.
"""

_OPERANDS: Final = f"""\
## Operands

A range is a slot and a page count in one word: `a3+2` is the slots a3 and a4, `a3` is one page.
A new page table begins at a{ops.SLOT_TABLE_EDGE}, so a range can cross the border between two.

Of words separated by `|` there is exactly one. Words separated by commas may be combined: `missing,wp`.
What stands in `[]` may be left out.
"""

_WIRE: Final = f"""\
## Wire form

An operation is {ops.OP_SIZE} bytes: its code, the task, then one byte per operand in table order, the rest 0.
The task byte is the process plus {ops.PROCESSES} times the task; {ops.TASK_MONITOR:#x} is the monitor.
A byte stands for `lowest + byte % count` of its operand.

Any bytes are some program: a range is cut at the region's end, a fragment at the end is dropped,
what is too long is cut.
"""


_NO_ERRORS = "none, but for what `fail` brings"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    lines = [head, tuple("---" for _ in head), *rows]
    return [*("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines), ""]


def _kind_row(kind: ops.Kind) -> tuple[str, ...]:
    if kind.words:
        values = ", ".join(f"`{word}`" for word in kind.words)
        if kind.form is ops.Form.FLAGS:
            values += " (any of them)" if kind.lo == 0 else " (one or more)"
    else:
        lowest, highest = (str(kind.form.value).format(n) for n in (kind.lo, kind.lo + kind.count - 1))
        values = f"`{lowest}` to `{highest}`"
    return kind.name, values, str(kind.lo), str(kind.count), kind.doc


def _operation(op: ops.Op) -> list[str]:
    names = ", ".join(name for name, _ in op.operands)
    needs = ", ".join(need.doc for need in ops.NEEDS if need.name in op.needs)
    facts = [
        ("operands", names), ("user API", op.call), ("errors", op.errors or _NO_ERRORS), ("source", op.source),
        ("needs", needs),
    ]  # fmt: skip
    return [
        f"### {op.name}",
        "",
        f"    {syntax(op)}",
        "",
        op.effect,
        "",
        *(f"- {name}: {text}" for name, text in (*facts, ("wire code", str(op.code))) if text),
        "",
    ]


def _outcomes() -> list[str]:
    rows = [(status.name.lower(), STATUSES[status]) for status in Status]
    reasons = [
        *(("skipped", skip.name.lower().replace("_", "-"), SKIPS[skip]) for skip in Skip),
        *(("blocked", wait.name.lower(), WAITS[wait]) for wait in Wait),
    ]
    return [*_table(("outcome", "meaning"), rows), *_table(("outcome", "reason", "meaning"), reasons)]


def operations_doc() -> str:
    """The text of docs/operations.md."""
    lines = [_HEAD, "## The operations", ""]
    for op in ops.OPS:
        lines += _operation(op)
    lines += [_OPERANDS, *_table(("kind", "values", "lowest", "count", "meaning"), map(_kind_row, ops.KINDS))]
    lines += ["## Outcomes", "", *_outcomes()]
    keys = ", ".join(f"`{key}`" for key in HEADER_KEYS)
    head = "Before the operations, a repro has lines `key: value`. The keys are"
    lines += ["## Repro files", "", head, f"{keys}.", ""]
    return "\n".join([*lines, _WIRE])


if __name__ == "__main__":
    PATH.write_text(operations_doc(), encoding="utf-8")
