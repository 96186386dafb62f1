"""A finding as text: for the terminal, and as the comments of a repro."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import Enum
from itertools import chain
from textwrap import wrap
from typing import Final

from faultline.program.codec import Operation
from faultline.program.text import format_operation, program_lines
from faultline.program.traceview import describe_word
from faultline.verdict.finding import Because, Finding, Place, SlotState, Task

WIDTH: Final = 100
_INDENT: Final = 11
#: Frames and slots that are shown; a deep chain's end says no more.
_FRAMES_MAX: Final = 12
_OTHER_FRAMES_MAX: Final = 8
_SLOTS_MAX: Final = 8
#: The machine's function that runs an operation.
_LOOP: Final = "fl_op_run"


class Style(Enum):
    """How a line is to stand out; the value is rich's name of the style."""

    TITLE = "bold red"
    PLAIN = ""
    DIM = "dim"
    MARKED = "bold"
    COMMAND = "cyan"


Line = tuple[Style, str]


def render(finding: Finding, ops: Sequence[Operation], replay: str) -> list[Line]:
    """The whole report of a finding; ``replay`` is the command that runs its repro."""
    return [
        (Style.TITLE, title(finding, ops)),
        (Style.PLAIN, ""),
        *_program(finding, ops),
        (Style.PLAIN, ""),
        *explain(finding),
        *labelled("replay", [replay], Style.COMMAND),
    ]


def transcript(ops: Sequence[Operation], outcomes: Sequence[str], finding: Finding | None) -> list[Line]:
    """The program, each operation with its outcome; ``outcomes`` may end early, where the run did."""
    program = list(program_lines(ops))
    width = max((len(text) for text, _ in program), default=0)
    lines: list[Line] = []
    for line, index in program:
        if index < 0:
            lines.append((Style.PLAIN, f"       {line}"))
            continue
        here = finding is not None and index == finding.op
        outcome = (
            outcomes[index] if index < len(outcomes) else finding.kind.value if finding and here else "not reached"
        )
        text = f"{'>' if here else ' '} {index + 1:>3}  {line:<{width}}  {outcome}"
        lines.append((Style.MARKED if here else Style.PLAIN, text))
    return lines


def title(finding: Finding, ops: Sequence[Operation]) -> str:
    """One line: the kind and where it shows."""
    return f"{finding.kind.value}: {place(finding, ops)}"


def place(finding: Finding, ops: Sequence[Operation]) -> str:
    """The operation at which a finding shows."""
    if 0 <= finding.op < len(ops):
        return f"operation {finding.op + 1} of {len(ops)}, {format_operation(ops[finding.op])}"
    return f"after the last of {len(ops)} operations"


def plain(lines: Sequence[Line]) -> str:
    """The lines as one text, each with a newline."""
    return "".join(f"{text}\n" for _, text in lines)


def marked(finding: Finding, ops: Sequence[Operation]) -> Iterator[tuple[bool, str]]:
    """The program's lines, the one at which the finding shows marked with a comment."""
    program = list(program_lines(ops))
    width = max((len(text) for text, _ in program), default=0)
    for text, index in program:
        here = 0 <= index == finding.op
        yield here, f"{text:<{width}}  # <- {finding.kind.value}" if here else text


def explain(finding: Finding) -> list[Line]:
    """What was expected and why, what happened, where in the kernel, and the state around it."""
    lines: list[Line] = []
    if finding.expected:
        lines += labelled("expected", _wrapped(finding.expected))
    rules = chain.from_iterable(_wrapped(_with_source(rule)) for rule in finding.because)
    style, label = (Style.DIM, "because") if finding.expected else (Style.PLAIN, "expected")
    lines += labelled(label, list(rules), style)
    lines += labelled("happened", _wrapped(finding.happened), Style.MARKED)
    if finding.alone:
        lines += labelled("alone", _wrapped(finding.alone), Style.MARKED)
    if finding.frames:
        frames = [str(place) for place in kernel_chain(finding.frames)]
        more = [f"... and {len(frames) - _FRAMES_MAX} more"] if len(frames) > _FRAMES_MAX else []
        lines += labelled("at", frames[:_FRAMES_MAX] + more)
    if finding.other is not None:
        lines += labelled("earlier", [str(finding.other)])
    if finding.locks:
        lines += labelled("holding", [str(lock) for lock in finding.locks])
    for task in finding.tasks:
        lines += _task(task)
    if finding.slots:
        lines += labelled("state", _states(finding.slots), Style.DIM)
    if finding.note:
        lines += labelled("note", _wrapped(finding.note))
    if finding.schedule:
        lines += labelled("schedule", _wrapped(finding.schedule), Style.DIM)
    lines += labelled("signature", [finding.signature], Style.DIM)
    return lines


def _program(finding: Finding, ops: Sequence[Operation]) -> list[Line]:
    return [(Style.MARKED if here else Style.PLAIN, f"  {text}") for here, text in marked(finding, ops)]


def labelled(label: str, texts: Sequence[str], style: Style = Style.PLAIN) -> list[Line]:
    """Lines of a report, the first one behind a label."""
    heads = [label, *[""] * len(texts)][: len(texts)]
    return [(style, f"  {head:<{_INDENT}}{text}".rstrip()) for head, text in zip(heads, texts, strict=True)]


def _wrapped(text: str) -> list[str]:
    return wrap(text, WIDTH - _INDENT - 2, break_long_words=False, break_on_hyphens=False) or [""]


def kernel_chain(frames: Sequence[Place]) -> Sequence[Place]:
    """The frames without the checker's own below the kernel's, and without the machine's loop above an operation."""
    inside = next((index for index, place in enumerate(frames) if place.of_kernel), 1) - 1
    outside = next((index for index, place in enumerate(frames) if place.function == _LOOP), len(frames))
    return frames[max(inside, 0) : outside]


def _task(task: Task) -> list[Line]:
    """Where another task stood, what it held and what it waited for."""
    frames = [str(place) for place in kernel_chain(task.frames)] or ["its beginning"]
    more = [f"... and {len(frames) - _OTHER_FRAMES_MAX} more"] if len(frames) > _OTHER_FRAMES_MAX else []
    lines = labelled(f"{task.name} at", frames[:_OTHER_FRAMES_MAX] + more)
    waits = [f"waits for: {task.waits}"] if task.waits else []
    holds = [f"holds: {lock}" for lock in task.locks]
    return lines + (labelled("", waits + holds) if waits or holds else [])


def _with_source(rule: Because) -> str:
    return f"{rule.text} [{rule.source}]" if rule.source else rule.text


def _states(slots: Sequence[SlotState]) -> list[str]:
    lines = []
    for state in slots[:_SLOTS_MAX]:
        words = (("before", state.before), ("expected", state.expected), ("after", state.happened))
        known = [(name, describe_word(word)) for name, word in words if word is not None]
        lines += [
            f"{f'p{state.process} a{state.slot}' if i == 0 else '':<8}{n:<9} {w}" for i, (n, w) in enumerate(known)
        ]
    if len(slots) > _SLOTS_MAX:
        lines.append(f"... and {len(slots) - _SLOTS_MAX} more slots")
    return lines
