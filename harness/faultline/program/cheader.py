"""The C header of the wire and trace formats, ``ops.h``, written from the operation table at build time.

``python -m faultline.program.cheader > ops.h`` writes it by hand.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from enum import Enum, IntEnum, IntFlag

from faultline.kinds import FindingKind
from faultline.program import ops, trace

_LIMITS = (
    ("FL_OP_SIZE", ops.OP_SIZE, "bytes of one operation in the wire form"),
    ("FL_OPERANDS_MAX", ops.OPERANDS_MAX, ""),
    ("FL_SLOTS", ops.SLOTS, "page slots of the region"),
    ("FL_SLOT_TABLE_EDGE", ops.SLOT_TABLE_EDGE, "the slot at which a page table begins"),
    ("FL_PROCESSES", ops.PROCESSES, ""),
    ("FL_TASKS", ops.TASKS, "of each process"),
    ("FL_UFFDS", ops.UFFDS, "userfaultfd handles"),
    ("FL_PINS", ops.PINS, "handles of pins and references"),
    ("FL_FILES", ops.FILES, "file handles"),
    ("FL_FILE_PAGES", ops.FILE_PAGES, "pages of a file that a program can name"),
    ("FL_OPS_MAX", ops.OPS_MAX, "operations of a program; longer input is cut"),
    ("FL_NR_FAULTS", len(ops.FAULT.words), "what can be made to fail"),
    ("FL_TASK_MONITOR", ops.TASK_MONITOR, "the task byte of the monitor"),
    ("FL_TASK_OVERLAPS", ops.TASK_OVERLAPS, "set in the task byte of an operation that overlaps with its neighbours"),
    ("FL_RECORD_SIZE", trace.RECORD.size, "bytes of a trace record's fixed part"),
    ("FL_COMPLETION_SIZE", trace.COMPLETION.size, ""),
    ("FL_NOTES_MAX", trace.NOTES_MAX, "locks of one operation that an internals block names"),
    ("FL_SHARED", trace.SHARED, "of a lock there: taken for reading"),
    ("FL_VALUE_MIXED", trace.VALUE_MIXED, "what reading a page of unequal bytes gives"),
)

_SPECS = """\
/* How the operands of an operation are read: lo + byte % count each. */
struct fl_opspec {
	const char *name;
	unsigned char monitor;		/* run by the monitor, not by a task */
	unsigned char kthread;		/* what a thread of the kernel does; one stands for them all */
	unsigned char noperands;
	unsigned int needs;		/* mask of 1 << FL_NEED_... */
	struct {
		unsigned short count;
		unsigned char lo, form;
	} operand[FL_OPERANDS_MAX];
};
"""


def _c_name(*parts: str) -> str:
    return "_".join(("FL", *parts)).upper().replace("-", "_")


def _enum(tag: str, members: Iterable[tuple[str, int]], end: str = "", number: str = "d") -> list[str]:
    lines = [f"enum {tag} {{", *(f"\t{name} = {value:{number}}," for name, value in members)]
    return [*lines, *([f"\t{end}"] if end else []), "};", ""]


def _int_enum(tag: str, prefix: str, enum: type[IntEnum]) -> list[str]:
    return _enum(tag, ((_c_name(prefix, m.name), m.value) for m in enum))


def _flags(prefix: str, flags: type[IntFlag]) -> Iterable[tuple[str, int]]:
    """All members, those of several bits too."""
    return ((_c_name(prefix, name), flag.value) for name, flag in flags.__members__.items())


def _words(kind: ops.Kind) -> Iterable[tuple[str, int]]:
    for i, word in enumerate(kind.words):
        yield _c_name(kind.name, word), 1 << i if kind.form is ops.Form.FLAGS else kind.lo + i


def _spec_row(op: ops.Op) -> str:
    operands = ", ".join(f"{{ {k.count}, {k.lo}, {_c_name('form', k.form.name)} }}" for k in op.kinds)
    monitor = int(op.actor is ops.Actor.MONITOR)
    needs = sum(1 << i for i, need in enumerate(ops.NEEDS) if need.name in op.needs)
    kthread = int(op.name in ops.BY_KTHREAD)
    head = f'\t[{_c_name("op", op.name)}] = {{ "{op.name}", {monitor}, {kthread}, {len(op.kinds)}, {needs:#x}'
    return f"{head}, {{ {operands} }} }}," if operands else f"{head} }},"


def _specs() -> list[str]:
    forms: Iterable[Enum] = ops.Form
    return [
        "#ifdef FL_OPSPECS",
        *_enum("fl_form", ((_c_name("form", form.name), i) for i, form in enumerate(forms))),
        _SPECS,
        "static const struct fl_opspec fl_opspecs[FL_NR_OPS] = {",
        *(_spec_row(op) for op in ops.OPS),
        "};",
        "#endif",
    ]


def c_header() -> str:
    """The text of ``ops.h``.

    Constants only, so that any C file may include it; a file that decodes programs defines ``FL_OPSPECS`` first and
    gets the static table ``fl_opspecs`` too.
    """
    lines = [
        "/* SPDX-License-Identifier: GPL-2.0-only */",
        "/* Generated from the operation table by faultline.program.cheader: do not edit. */",
        "#ifndef FL_OPS_H",
        "#define FL_OPS_H",
        "",
        *(f"#define {name} {value}" + (f"\t/* {doc} */" if doc else "") for name, value, doc in _LIMITS),
        "",
        *_enum("fl_op", ((_c_name("op", op.name), op.code) for op in ops.OPS), "FL_NR_OPS"),
        "/* X(NAME, name) for each operation, in the order of their codes. */",
        f"#define FL_OP_LIST(X) {' '.join(f'X({op.name.upper()}, {op.name})' for op in ops.OPS).replace('-', '_')}",
        "",
        *_enum("fl_need", ((_c_name("need", n.name), i) for i, n in enumerate(ops.NEEDS)), "FL_NR_NEEDS"),
        *_int_enum("fl_status", "status", trace.Status),
        *_int_enum("fl_skip", "skip", trace.Skip),
        *_int_enum("fl_wait", "wait", trace.Wait),
        *_int_enum("fl_met", "met", trace.Met),
        "/* A slot's word in a snapshot. */",
        *_enum("fl_bit", _flags("bit", trace.Bit), number="#x"),
        "/* A slot's word in an internals block. */",
        *_enum("fl_internal", _flags("internal", trace.Internal), number="#x"),
        "/* struct fl_finding.kind */",
        *_enum("fl_kind", ((_c_name("kind", k.name), i) for i, k in enumerate(FindingKind)), "FL_NR_KINDS"),
    ]
    for kind in ops.KINDS:
        if kind.words:
            lines += [f"/* {kind.doc} */", *_enum(f"fl_{kind.name.replace('-', '_')}", _words(kind))]
    return "\n".join([*lines, *_specs(), "", "#endif", ""])


if __name__ == "__main__":
    sys.stdout.write(c_header())
