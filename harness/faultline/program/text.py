"""Programs and repros as text: the durable form, in files, reports, corpora and tests.

A repro is a header of ``key: value`` lines, then one operation per line::

    # faultline repro v1
    kernel: debian:6.12
    patch: t5.cocci
    p0.0 mmap a0+4 rw
    p0.0 uffd-open u0
    m uffd-register u0 a0+4 wp     # the monitor

Operations in a block overlap; ``schedule`` in the header tells how::

    par {
      p0.1 madvise a0 dontneed
      m uffd-resolve u0 a0
    }

An operation that ends with a backslash goes on in the next line, as a mail needs it.

A ``#`` at the start of a line begins a comment, also after a blank if the line holds an operation.  A header's value
goes to the end of its line: the path of a patch may hold anything but a line break.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Final

from faultline.kinds import ExitStatus, FaultlineError
from faultline.program.codec import Operation, blocks, is_monitor, overlapping, overlaps, process_of, task_byte, task_of
from faultline.program.ops import (
    BY_NAME,
    OPS,
    OPS_MAX,
    PROCESSES,
    SLOTS,
    TASK_MONITOR,
    TASKS,
    Actor,
    Form,
    Kind,
    Op,
)

#: The version of the repro format that this module writes and reads.
VERSION: Final = 1
_FIRST_LINE: Final = f"# faultline repro v{VERSION}"
#: The header keys, in the order in which they are written.
HEADER_KEYS: Final = (
    "kernel", "patch", "range", "profile", "variant", "compare", "seed", "kind", "signature", "schedule", "faults",
    "requires",
)  # fmt: skip
_PATCH: Final = "patch"
#: A repro of more bytes is refused: OPS_MAX operations with comments need far fewer.
FILE_BYTES_MAX: Final = 1 << 20

_MAGIC: Final = re.compile(r"# faultline repro v([0-9]+)\s*")
_HEADER: Final = re.compile(r"([A-Za-z][A-Za-z0-9_-]*):(?:\s+(.*))?")
_COMMENT: Final = re.compile(r"(?:^|(?<=\s))#.*")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_TASK: Final = re.compile(r"p([0-9]{1,4})(?:\.([0-9]{1,4}))?")
_RANGE: Final = re.compile(r"a([0-9]{1,4})(?:\+([0-9]{1,4}))?")
_MONITOR: Final = "m"
_BLOCK_BEGINS: Final = "par {"
_BLOCK_ENDS: Final = "}"
_INDENT: Final = "  "
_GOES_ON: Final = "\\"
_TASKS: Final = f"p0.0 to p{PROCESSES - 1}.{TASKS - 1}"
_ALL_NAMES: Final = "docs/operations.md tells all operations"
_ACTORS: Final = f"{_TASKS}, or {_MONITOR} for the monitor"


@dataclass(slots=True)
class Repro:
    """A program with what is needed to run it again.

    ``header`` holds the values by key, all keys of HEADER_KEYS but ``patch``, which may repeat: ``patches`` holds its
    values in order of application.
    """

    header: dict[str, str] = field(default_factory=dict)
    ops: list[Operation] = field(default_factory=list)
    patches: list[str] = field(default_factory=list)


class _LineError(Exception):
    """What is wrong with a line; the caller knows which line."""


def _quoted(word: str) -> str:
    """The word in printable ASCII, cut to what a one-line message can hold."""
    return ascii(word if len(word) <= 40 else word[:37] + "...")


def _word(kind: Kind, value: int | str) -> str:
    return str(kind.form.value).format(value)


def _bounds(kind: Kind) -> str:
    return f"{_word(kind, kind.lo)} to {_word(kind, kind.lo + kind.count - 1)}"


def _ranged(kinds: Sequence[Kind], i: int) -> bool:
    """Whether a page count follows operand i."""
    return i + 1 < len(kinds) and kinds[i + 1].form is Form.PAGES


# --- writing ---


def format_actor(byte: int) -> str:
    """``p1.0`` or ``m`` for a task byte."""
    return _MONITOR if is_monitor(byte) else f"p{process_of(byte)}.{task_of(byte)}"


def _format_flags(kind: Kind, value: int) -> str:
    return ",".join(word for i, word in enumerate(kind.words) if value >> i & 1)


def _operand_words(op: Operation) -> Iterator[str]:
    kinds = OPS[op[0]].kinds
    for i, (value, kind) in enumerate(zip(op[2:], kinds, strict=True)):
        if kind.form is Form.PAGES:
            continue
        if kind.form is Form.CHOICE:
            yield kind.words[value - kind.lo]
        elif kind.form is Form.FLAGS:
            yield _format_flags(kind, value)
        else:
            pages = op[i + 3] if _ranged(kinds, i) else 1
            yield _word(kind, value) + (_word(kinds[i + 1], pages) if pages > 1 else "")


def format_operation(op: Operation) -> str:
    """One operation as a line of text, without a newline."""
    return " ".join(filter(None, (format_actor(op[1]), OPS[op[0]].name, *_operand_words(op))))


def format_program(ops: Sequence[Operation]) -> str:
    """The operations as text, one per line, each with a newline; blocks have lines of their own around them."""
    return "".join(f"{line}\n" for line, _ in program_lines(ops))


def program_lines(ops: Sequence[Operation]) -> Iterator[tuple[str, int]]:
    """The lines of a program, each with the index of its operation, -1 for those around a block."""
    first = {start for start, _ in blocks(ops)}
    for index, op in enumerate(ops):
        if index in first:
            yield _BLOCK_BEGINS, -1
        yield (_INDENT if overlaps(op) else "") + format_operation(op), index
        if overlaps(op) and (index + 1 == len(ops) or not overlaps(ops[index + 1])):
            yield _BLOCK_ENDS, -1


def format_repro(repro: Repro) -> str:
    """The text of a repro file.

    :raises FaultlineError: (USAGE) a header value cannot stand on a line of its own, or a key is unknown.
    """
    lines = [_FIRST_LINE]
    unknown = [key for key in repro.header if key not in HEADER_KEYS or key == _PATCH]
    if unknown:
        raise FaultlineError(f"a repro has no header key {_quoted(unknown[0])}", ExitStatus.USAGE)
    for key in HEADER_KEYS:
        values = repro.patches if key == _PATCH else [repro.header[key]] if key in repro.header else []
        for value in values:
            if not value or value != value.strip() or _CONTROL.search(value):
                raise FaultlineError(f"{key} {_quoted(value)} cannot be written into a repro", ExitStatus.USAGE)
            lines.append(f"{key}: {value}")
    return "\n".join(lines) + "\n" + format_program(repro.ops)


# --- what an operation looks like, for messages and docs ---


def _operand_syntax(kind: Kind, ranged: bool) -> str:
    match kind.form:
        case Form.CHOICE:
            return "|".join(kind.words)
        case Form.FLAGS:
            words = ",".join(kind.words)
            return words if kind.lo else f"[{words}]"
        case Form.PROCESS:
            return "pN"
        case Form.SLOT if ranged:
            return "aN[+N]"
        case _:
            return _word(kind, "N")


def syntax(op: Op) -> str:
    """How the operation is written, e.g. ``pN.T mmap aN[+N] none|r|rw``.

    Words joined by ``|``: one of them; by ``,``: any of them; ``[]``: may be left out.
    """
    words = [_MONITOR if op.actor is Actor.MONITOR else "pN.T", op.name]
    for i, kind in enumerate(op.kinds):
        if kind.form is not Form.PAGES:
            words.append(_operand_syntax(kind, _ranged(op.kinds, i)))
    return " ".join(words)


# --- reading ---


def _number(kind: Kind, digits: str, what: str) -> int:
    value = int(digits)
    if not kind.lo <= value < kind.lo + kind.count:
        raise _LineError(f"{_quoted(what)} is out of range; {_bounds(kind)}")
    return value


def _parse_actor(word: str) -> int:
    if word == _MONITOR:
        return TASK_MONITOR
    match = _TASK.fullmatch(word)
    if not match:
        raise _LineError(f"{_quoted(word)} is no task; a line begins with {_ACTORS}")
    process, task = int(match[1]), int(match[2] or 0)
    if process >= PROCESSES or task >= TASKS:
        raise _LineError(f"task {_quoted(word)} is out of range; {_ACTORS}")
    return task_byte(process, task)


def _parse_name(word: str) -> Op:
    if word not in BY_NAME:
        near = get_close_matches(word, BY_NAME, 1)
        hint = f"did you mean {near[0]!r}?" if near else _ALL_NAMES
        raise _LineError(f"unknown operation {_quoted(word)}; {hint}")
    return BY_NAME[word]


def _parse_flags(kind: Kind, word: str) -> int:
    value = 0
    for flag in word.split(","):
        if flag not in kind.words:
            raise _LineError(f"unknown word {_quoted(flag)}; any of {', '.join(kind.words)}")
        value |= 1 << kind.words.index(flag)
    return value


def _parse_range(word: str, slot: Kind, pages: Kind | None) -> list[int]:
    match = _RANGE.fullmatch(word)
    if not match:
        form = ", or a range such as a0+2" if pages else ""
        raise _LineError(f"a slot was expected, not {_quoted(word)}; {_bounds(slot)}{form}")
    start = _number(slot, match[1], word)
    if not pages:
        if match[2]:
            raise _LineError(f"one slot was expected, not the range {_quoted(word)}; {_bounds(slot)}")
        return [start]
    count = _number(pages, match[2] or "1", word)
    if start + count > SLOTS:
        raise _LineError(f"range {_quoted(word)} goes past the region's end; slots are {_bounds(slot)}")
    return [start, count]


def _parse_operand(kind: Kind, word: str) -> int:
    if kind.form is Form.FLAGS:
        return _parse_flags(kind, word)
    if kind.form is Form.CHOICE:
        if word not in kind.words:
            raise _LineError(f"unknown word {_quoted(word)}; one of {', '.join(kind.words)}")
        return kind.lo + kind.words.index(word)
    prefix = _word(kind, "")
    if not re.fullmatch(re.escape(prefix) + "[0-9]{1,4}", word):
        raise _LineError(f"a {kind.name} was expected, not {_quoted(word)}; {_bounds(kind)}")
    return _number(kind, word[len(prefix) :], word)


def _parse_operands(op: Op, words: list[str]) -> list[int]:
    values: list[int] = []
    rest = list(words)
    for i, kind in enumerate(op.kinds):
        if kind.form is Form.PAGES:
            continue
        if not rest:
            if kind.form is Form.FLAGS and kind.lo == 0:
                values.append(0)
                continue
            raise _LineError(f"{op.name} lacks its {op.operands[i][0]}; the form is {syntax(op)!r}")
        if kind.form is Form.SLOT:
            pages = op.kinds[i + 1] if _ranged(op.kinds, i) else None
            values += _parse_range(rest.pop(0), kind, pages)
        else:
            values.append(_parse_operand(kind, rest.pop(0)))
    if rest:
        raise _LineError(f"{_quoted(rest[0])} is too much for {op.name}; the form is {syntax(op)!r}")
    return values


def _parse_operation(line: str) -> Operation:
    actor_word, *words = line.split()
    actor = _parse_actor(actor_word)
    if not words:
        raise _LineError(f"the operation after {actor_word} is missing; {_ALL_NAMES}")
    op = _parse_name(words[0])
    if (op.actor is Actor.MONITOR) != (actor == TASK_MONITOR):
        who = f"the monitor, {_MONITOR}" if op.actor is Actor.MONITOR else f"a task, {_TASKS}"
        raise _LineError(f"{op.name} by {actor_word}; it is run by {who}")
    return (op.code, actor, *_parse_operands(op, words[1:]))


class _Reader:
    """Collects a repro line by line."""

    def __init__(self, origin: str) -> None:
        self.repro = Repro()
        self._origin = origin
        self._number = 0
        self._block = -1
        """Of the program, where the block that is open began; -1: none."""
        self._begun = ""
        """An operation that goes on in the next line."""

    def error(self, what: str) -> FaultlineError:
        return FaultlineError(f"{self._origin}:{self._number}: {what}", ExitStatus.USAGE)

    def read(self, text: str, *, header_allowed: bool) -> None:
        for self._number, line in enumerate(text.split("\n"), 1):
            try:
                self._line(line.removesuffix("\r"), header_allowed)
            except _LineError as error:
                raise self.error(str(error)) from None
        if _MAGIC.match(text) and not text.endswith("\n"):
            raise self.error("the file is cut off, its last line does not end; get it again")
        self.end()

    def _line(self, line: str, header_allowed: bool) -> None:
        if _CONTROL.search(line):
            raise _LineError("not text; a repro is text, one operation per line")
        magic = _MAGIC.fullmatch(line) if self._number == 1 else None
        if magic and magic[1] != str(VERSION):
            raise _LineError(f"repro format v{_quoted(magic[1])[1:-1]}; this faultline reads v{VERSION}")
        header = _HEADER.fullmatch(line.strip())
        if header and not header_allowed:
            raise _LineError(f"header line {_quoted(header[1])} in a plain program; operations and comments only")
        if header:
            self._header(header[1], header[2] or "")
        elif line := _COMMENT.sub("", line).strip():
            self._begun += line.removesuffix(_GOES_ON)
            if not line.endswith(_GOES_ON):
                self._body(self._begun)
                self._begun = ""

    def _body(self, line: str) -> None:
        ops = self.repro.ops
        if line == _BLOCK_BEGINS:
            if self._block >= 0:
                raise _LineError(f"a block in a block; end the first with {_BLOCK_ENDS!r}")
            if ops and overlaps(ops[-1]):
                raise _LineError("a block right after another; put an operation between them, or make them one")
            self._block = len(ops)
        elif line == _BLOCK_ENDS:
            if self._block < 0:
                raise _LineError(f"{_BLOCK_ENDS!r} without {_BLOCK_BEGINS!r}")
            if self._block == len(ops):
                raise _LineError("a block without operations")
            self._block = -1
        else:
            if len(ops) == OPS_MAX:
                raise _LineError(f"too many operations; at most {OPS_MAX}")
            op = _parse_operation(line)
            ops.append(op if self._block < 0 else overlapping(op))

    def end(self) -> None:
        """After the last line."""
        if self._begun:
            raise self.error(f"the last line goes on, as it ends with {_GOES_ON}; its rest is missing")
        if self._block >= 0:
            raise self.error(f"the block is not ended; add {_BLOCK_ENDS!r}")

    def _header(self, key: str, value: str) -> None:
        if self._begun:
            raise _LineError(f"header line {_quoted(key)} in the middle of an operation")
        if self.repro.ops:
            raise _LineError(f"header line {_quoted(key)} after an operation; the header comes first")
        if key not in HEADER_KEYS:
            raise _LineError(f"unknown header key {_quoted(key)}; one of {', '.join(HEADER_KEYS)}")
        if not value:
            raise _LineError(f"header key {key!r} has no value; write '{key}: VALUE' or leave the line out")
        if key == _PATCH:
            self.repro.patches.append(value)
        elif key in self.repro.header:
            raise _LineError(f"header key {key!r} is given twice; only {_PATCH!r} may repeat")
        else:
            self.repro.header[key] = value


def parse_program(text: str, origin: str = "<string>") -> list[Operation]:
    """The operations of a text without a header; ``origin`` names the text in errors.

    :raises FaultlineError: (USAGE) a line is wrong; the message names it and says what is allowed.
    """
    reader = _Reader(origin)
    reader.read(text, header_allowed=False)
    return reader.repro.ops


def parse_repro(text: str, origin: str = "<string>") -> Repro:
    """The repro that a text holds; ``origin`` names the text in errors.

    :raises FaultlineError: (USAGE) a line is wrong, the text is cut off or it holds no operation.
    """
    reader = _Reader(origin)
    reader.read(text, header_allowed=True)
    if not reader.repro.ops:
        raise reader.error("no operation up to the end of the file; a repro has at least one")
    return reader.repro


def read_repro(path: Path) -> Repro:
    """The repro in a file.

    :raises FaultlineError: (USAGE) the file cannot be read, is no text, or is wrong in the sense of `parse_repro`.
    """
    try:
        with path.open("rb") as file:
            data = file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise FaultlineError(f"{path}: {error.strerror}; name a repro file", ExitStatus.USAGE) from None
    if len(data) > FILE_BYTES_MAX:
        raise FaultlineError(f"{path}: larger than {FILE_BYTES_MAX} bytes; this is no repro", ExitStatus.USAGE)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise FaultlineError(f"{path}:{line}: not text; a repro is UTF-8 text", ExitStatus.USAGE) from None
    return parse_repro(text, str(path))
