"""A finding's program as a picture: tasks as lanes, time from top to bottom, the pages' states beside.

A page's state between two operations is a bar from one to the other, labelled where it changes, so that the states
before and after an operation stand above and below its line.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby, pairwise
from textwrap import wrap
from typing import Final
from xml.etree.ElementTree import Element

from markupsafe import Markup

from faultline.program.codec import overlaps
from faultline.program.text import format_actor, format_operation
from faultline.program.trace import Bit
from faultline.program.traceview import describe_word
from faultline.report import svg
from faultline.report.document import Found, Pages, Ran, slots_name
from faultline.report.text import title

#: Pages of a picture at most; of more, those that the finding is about and those that change most.
COLUMNS_MAX: Final = 6
#: Operations of a picture at most: a program of more was not minimised, and nobody reads its picture.
ROWS_MAX: Final = 40

_OP_SIZE, _STATE_SIZE = 12, 11
_OP_LINE, _STATE_LINE = 16, 14
_LANE_CHARS_MIN, _LANE_CHARS_MAX, _STATE_CHARS = 16, 26, 19
_CALL_OUT_CHARS: Final = 110
_HEAD, _GUTTER, _PAD, _GAP = 30, 34, 8, 10
_COLUMN: Final = _STATE_CHARS * _STATE_SIZE * svg.CHAR_WIDTH + 2 * _PAD
_UNKNOWN: Final = -1


@dataclass
class _Column:
    """Neighbouring slots of a process that are in the same state all the time."""

    process: int
    slot: int
    states: tuple[int, ...]
    """The word after each operation; _UNKNOWN where that is not known."""
    expected: int
    """The word that was expected where fact and expectation part; _UNKNOWN: nothing else."""
    count: int = 1

    @property
    def name(self) -> str:
        return slots_name(self.process, self.slot, self.count)

    def goes_on_as(self, other: _Column) -> bool:
        """Whether the other one is the next slot, in the same states."""
        next_ = self.process, self.slot + self.count, self.states, self.expected
        return next_ == (other.process, other.slot, other.states, other.expected)

    @property
    def changes(self) -> int:
        """How often the state changes."""
        return sum(a != b for a, b in pairwise(self.states)) + (self.expected != _UNKNOWN)


@dataclass
class _Row:
    step: Ran
    index: int
    op_lines: list[str]
    outcome_lines: list[str]
    y: float = 0.0
    height: float = 0.0
    call_out: list[tuple[str, str]] = field(default_factory=list)

    @property
    def tick(self) -> float:
        """Where the operation crosses the pages' bars."""
        return self.y + _OP_LINE / 2 + 5


def swim_lanes(found: Found, name: str) -> Markup | None:
    """The picture; ``name`` is the page's only one.  None: the program is too long for one."""
    steps = found.steps or tuple(
        Ran(text=format_operation(op), actor=format_actor(op[1]), overlaps=overlaps(op)) for op in found.ops
    )
    return svg.markup(_Picture(found, steps).draw(name)) if len(steps) <= ROWS_MAX else None


# --- what is shown ---


def _words(pages: Sequence[Pages] | None) -> dict[tuple[int, int], int] | None:
    if pages is None:
        return None
    return {(p.process, p.slot + i): p.word for p in pages for i in range(p.count)}


def _columns(found: Found, steps: Sequence[Ran]) -> tuple[list[_Column], int]:
    """The columns, and how many more there would be."""
    known = [_words(step.after) for step in steps]
    parted = next((step for step in steps if step.expected_after is not None), None)
    expected = (_words(parted.expected_after) or {}) if parted else {}
    happened = _words(parted.after) if parted else None
    slots = sorted({slot for words in (*known, expected) if words for slot in words})
    columns: list[_Column] = []
    for process, slot in slots:
        states = tuple(_UNKNOWN if words is None else words.get((process, slot), 0) for words in known)
        wanted = expected.get((process, slot), 0) if parted else _UNKNOWN
        if happened is not None and wanted == happened.get((process, slot), 0):
            wanted = _UNKNOWN
        column = _Column(process, slot, states, wanted)
        if columns and columns[-1].goes_on_as(column):
            columns[-1].count += 1
        else:
            columns.append(column)
    about = {(state.process, state.slot) for state in found.slots}

    def importance(column: _Column) -> tuple[bool, int]:
        named = any((column.process, column.slot + i) in about for i in range(column.count))
        return named, column.changes

    chosen = sorted(columns, key=importance, reverse=True)[:COLUMNS_MAX]
    return [column for column in columns if column in chosen], len(columns) - len(chosen)


def _state_words(word: int) -> list[str]:
    """A slot's word, token by token: content, access, bits."""
    if word == _UNKNOWN:
        return ["not known"]
    return describe_word(word).split(" ") if word & Bit.MAPPED else ["not mapped", *describe_word(word).split(" ")[2:]]


def _state_lines(before: int, after: int) -> list[list[tuple[str, str]]]:
    """The label of a state: lines of (token, class), with what is new in it, and what is gone."""
    old, new = (_state_words(word) if word != _UNKNOWN else [] for word in (before, after))
    comparable = bool(old) and bool(before & Bit.MAPPED) and bool(after & Bit.MAPPED)
    tokens = [(t, "new" if comparable and t not in old else "") for t in new]
    if comparable:
        tokens += [(t, "gone") for t in old if t not in new and not t.startswith("=")]
    lines: list[list[tuple[str, str]]] = [[]]
    used = 0
    for token, how in tokens:
        if used and used + 1 + len(token) > _STATE_CHARS:
            lines.append([])
            used = 0
        lines[-1].append((token, how))
        used += len(token) + (used > 0)
    return lines


def _look(word: int) -> str:
    """The class of a state's bar."""
    if word == _UNKNOWN:
        return "unknown"
    if not word & Bit.MAPPED:
        return "unmapped"
    return "swapped" if word & Bit.SWAP else "present" if word & Bit.PRESENT else "absent"


# --- the drawing ---


class _Picture:
    def __init__(self, found: Found, steps: Sequence[Ran]) -> None:
        self._found, self._steps = found, steps
        self._at = found.op if 0 <= found.op < len(steps) else len(steps)
        """Index of the operation at which the finding shows; one past the last: after it."""
        self._columns, self._more = _columns(found, steps)
        self._lanes = self._lane_places()
        self._rows = [self._row(i, step) for i, step in enumerate(steps)]
        self._bars_from = max(x + width for x, width in self._lanes.values()) + _GAP
        self._width = max(self._bars_from + len(self._columns) * (_COLUMN + _GAP), 460.0)
        self._call_out = self._told(max(int((self._width - _GUTTER - 2 * _PAD) / (_OP_SIZE * svg.CHAR_WIDTH)), 40))
        self._height = self._place()

    def _lane_places(self) -> dict[str, tuple[float, float]]:
        """Where each actor's lane begins, and its width."""
        actors = sorted({step.actor for step in self._steps}, key=lambda actor: (actor == "m", actor))
        places: dict[str, tuple[float, float]] = {}
        x = float(_GUTTER)
        for actor in actors:
            longest = max(len(line) for s in self._steps if s.actor == actor for line in _op_lines(s))
            chars = max(longest, _LANE_CHARS_MIN)
            width = chars * _OP_SIZE * svg.CHAR_WIDTH + 2 * _PAD
            places[actor] = x, width
            x += width + _GAP
        return places

    def _row(self, index: int, step: Ran) -> _Row:
        chars = int((self._lanes[step.actor][1] - 2 * _PAD) / (_STATE_SIZE * svg.CHAR_WIDTH))
        outcome = "" if step.outcome == "done" else step.outcome
        lines = wrap(outcome, chars, break_on_hyphens=False) if outcome else []
        if step.expected and index == self._at:
            happened = step.outcome or "the run ended"
            lines = [*wrap(f"expected: {step.expected}", chars), *wrap(f"happened: {happened}", chars)]
        return _Row(step, index, _op_lines(step), lines)

    def _told(self, chars: int) -> list[tuple[str, str]]:
        """What is said where fact and expectation part: (class, line)."""
        found = self._found
        lines = [("what", title(found, found.ops))]
        rules = [rule.text for rule in found.because[:2]]
        for label, text in (("expected", found.expected or " ".join(rules)), ("happened", found.happened)):
            for i, part in enumerate(wrap(text, chars - 10, break_on_hyphens=False) if text else []):
                lines.append((label, f"{label if i == 0 else '':<10}{part}"))
        for lock in found.locks[:4]:
            lines.append(("lock", f"{'holding':<10}{lock}"[:chars]))
        for task in found.tasks[:4]:
            where = f" in {task.frames[0].function}" if task.frames else ""
            waits = f", waits for {task.waits}" if task.waits else ""
            lines.append(("lock", f"{task.name:<10}under way{where}{waits}"[:chars]))
            lines += [("lock", f"{'':<10}holds {lock}"[:chars]) for lock in task.locks[:3]]
        return lines

    def _place(self) -> float:
        """Gives every row its place; the height of all."""
        y = float(_HEAD + 6)
        before = [0] * len(self._columns)
        for row in self._rows:
            labels = [0]
            for i, column in enumerate(self._columns):
                state = column.states[row.index]
                if row.index == self._at and column.expected != _UNKNOWN:
                    own = len(_state_lines(column.expected, state))
                    labels.append(len(_state_lines(before[i], column.expected)) + own + 2)
                elif state != before[i]:
                    labels.append(len(_state_lines(before[i], state)))
                before[i] = state
            lane = len(row.op_lines) * _OP_LINE + len(row.outcome_lines) * _STATE_LINE + 14
            row.y, row.height = y, max(lane, max(labels) * _STATE_LINE + 32, 34)
            y += row.height
            if row.index == self._at:
                y += self._call_out_height()
        if self._at == len(self._rows):
            y += self._call_out_height()
        return y + (18 if self._more else 4)

    def _call_out_height(self) -> float:
        return len(self._call_out) * _OP_LINE + 18

    def draw(self, name: str) -> Element:
        heading = title(self._found, self._found.ops)
        drawing = svg.picture(name, round(self._width), round(self._height), heading, self._about())
        self._grid(drawing)
        for i, column in enumerate(self._columns):
            self._bar(drawing, self._bars_from + i * (_COLUMN + _GAP), column)
        self._blocks(drawing)
        self._sleeps(drawing)
        self._forks(drawing)
        for row in self._rows:
            self._operation(drawing, row)
        row = self._rows[self._at] if self._at < len(self._rows) else self._rows[-1]
        self._tell(drawing, row.y + row.height)
        if self._more:
            what = "page is" if self._more == 1 else "pages are"
            svg.words(drawing, _GUTTER, self._height - 5, f"{self._more} more {what} not shown", "quiet")
        return drawing

    def _about(self) -> str:
        """The picture in words, for who hears the page."""
        said = [f"{i + 1}. {step.text}: {step.outcome or 'not reached'}." for i, step in enumerate(self._steps)]
        return f"{' '.join(said)} Expected: {self._found.expected}. Happened: {self._found.happened}."

    def _grid(self, drawing: Element) -> None:
        for actor, (x, width) in self._lanes.items():
            svg.box(drawing, x, _HEAD, width, self._height - _HEAD, "lane")
            svg.words(drawing, x + _PAD, _HEAD - 10, _actor_name(actor), "head")
        for i, column in enumerate(self._columns):
            svg.words(drawing, self._bars_from + i * (_COLUMN + _GAP), _HEAD - 10, column.name, "head")

    def _operation(self, drawing: Element, row: _Row) -> None:
        x, width = self._lanes[row.step.actor]
        here = row.index == self._at
        part = svg.group(drawing, "op here" if here else "op later" if row.index > self._at else "op")
        end = self._width if self._columns else x + width
        svg.line(part, _GUTTER - 4, row.tick, end, row.tick, "tick")
        svg.words(part, 4, row.y + _OP_LINE + 1, f"{row.index + 1}", "number")
        height = len(row.op_lines) * _OP_LINE + len(row.outcome_lines) * _STATE_LINE + 8
        svg.box(part, x, row.y, width, height, "call", round_=4)
        y = row.y + _OP_LINE + 1
        for text in row.op_lines:
            svg.words(part, x + _PAD, y, text, "text")
            y += _OP_LINE
        for text in row.outcome_lines:
            svg.words(part, x + _PAD, y - 2, text, "outcome")
            y += _STATE_LINE

    def _bar(self, drawing: Element, x: float, column: _Column) -> None:
        """A page's states, from each operation that changes it to the next one."""
        rows = [row for row in self._rows if row.index <= self._at]
        part = svg.group(drawing, "bar")
        changes: list[tuple[_Row, int, int]] = []
        before = 0
        for row in rows:
            state = column.states[row.index]
            if state != before or (row.index == self._at and column.expected != _UNKNOWN):
                changes.append((row, before, state))
            before = state
        if not changes:
            return
        ends = [row.tick for row, _, _ in changes[1:]] + [rows[-1].y + rows[-1].height]
        for (row, before, state), end in zip(changes, ends, strict=True):
            if row.index == self._at and column.expected != _UNKNOWN:
                self._split(part, x, row, before, column.expected, state)
            else:
                svg.box(part, x, row.tick, _COLUMN, end - row.tick, f"state {_look(state)}")
                if state != _UNKNOWN and state & Bit.UFFD_WP:
                    svg.box(part, x, row.tick, 4, end - row.tick, "stripe")
                ended = state == _UNKNOWN and row.index == self._at
                if ended:
                    svg.words(part, x + _PAD, row.tick + _STATE_LINE + 1, "the run ended here", "mark-happened")
                else:
                    self._label(part, x, row.tick, before, state)

    def _label(self, part: Element, x: float, y: float, before: int, after: int) -> None:
        for i, tokens in enumerate(_state_lines(before, after)):
            text = svg.words(part, x + _PAD, y + (i + 1) * _STATE_LINE + 1, "", "")
            for j, (token, how) in enumerate(tokens):
                if j:
                    svg.span(text, " ", "same")
                svg.span(text, token, how or "same")

    def _split(self, part: Element, x: float, row: _Row, before: int, expected: int, happened: int) -> None:
        """Expectation above, fact below."""
        y = row.tick
        wanted = (len(_state_lines(before, expected)) + 1) * _STATE_LINE + 8
        svg.box(part, x, y, _COLUMN, wanted, "state wanted")
        svg.words(part, x + _PAD, y + _STATE_LINE, "expected", "mark-expected")
        self._label(part, x, y + _STATE_LINE, before, expected)
        rest = row.y + row.height - (y + wanted)
        svg.box(part, x, y + wanted, _COLUMN, rest, "state fact")
        label = "happened" if happened != _UNKNOWN else "the run ended here"
        svg.words(part, x + _PAD, y + wanted + _STATE_LINE, label, "mark-happened")
        if happened != _UNKNOWN:
            self._label(part, x, y + wanted + _STATE_LINE, expected, happened)

    def _blocks(self, drawing: Element) -> None:
        """A bracket beside operations that overlap."""
        for overlapping, run in groupby(self._rows, key=lambda row: row.step.overlaps):
            rows = list(run)
            if overlapping:
                top, bottom = rows[0].y - 3, rows[-1].y + rows[-1].height - 6
                svg.box(drawing, _GUTTER - 5, top, 3, bottom - top, "block")
                width = self._bars_from - _GUTTER - _GAP + 4
                svg.box(drawing, _GUTTER - 2, top, width, bottom - top, "overlap", round_=4)

    def _sleeps(self, drawing: Element) -> None:
        """A band below an operation that its task sleeps in, to the operation that ends it."""
        for row in self._rows[: self._at + 1]:
            if not row.step.blocks:
                continue
            ended = next((later for later in self._rows if row.index in later.step.ends), self._rows[-1])
            x, width = self._lanes[row.step.actor]
            bottom = ended.tick if row.index in ended.step.ends else ended.y + ended.height
            svg.box(drawing, x + width / 2 - 3, row.y + 10, 6, max(bottom - row.y - 10, 0), "sleep")

    def _forks(self, drawing: Element) -> None:
        """From a fork to the lane of the child's first task."""
        for row in self._rows[: self._at + 1]:
            words = row.step.text.split()
            child = f"{words[2]}.0" if words[1] == "fork" else ""
            if child in self._lanes and child != row.step.actor:
                (x, width), (there, its_width) = self._lanes[row.step.actor], self._lanes[child]
                right = there > x
                middle = there + its_width / 2
                svg.line(drawing, x + width if right else x, row.tick, middle, row.tick, "birth")
                svg.line(drawing, middle, row.tick, middle, row.tick + 9, "birth")
                svg.path(
                    drawing,
                    [(middle - 4, row.tick + 6), (middle, row.tick + 12), (middle + 4, row.tick + 6)],
                    "birth arrow",
                )

    def _tell(self, drawing: Element, y: float) -> None:
        part = svg.group(drawing, "told")
        svg.box(part, _GUTTER - 4, y, self._width - _GUTTER + 4, self._call_out_height() - 8, "call-out", round_=4)
        for i, (label, text) in enumerate(self._call_out):
            svg.words(part, _GUTTER + _PAD, y + (i + 1) * _OP_LINE + 2, text, label)


def _op_lines(step: Ran) -> list[str]:
    """The operation without its actor, which its lane names."""
    return wrap(step.text.partition(" ")[2], _LANE_CHARS_MAX, break_on_hyphens=False, subsequent_indent="  ") or [""]


def _actor_name(actor: str) -> str:
    return "m  (monitor)" if actor == "m" else actor
