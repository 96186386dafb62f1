"""A program as one C file that needs nothing of Faultline.

main() goes through the operations from the first to the last.  It is the monitor, and process 0 too unless the program
ends that: a call that does not wait is made by main() itself, one that does by a thread.  Other processes are forked,
and make the calls that main() gives them.
"""

from __future__ import annotations

import errno
import re
import signal
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import cache
from typing import Final

from faultline.export.calls import (
    FEATURE_NAMES,
    Arg,
    Call,
    Result,
    feature_parts,
    file_call,
    page,
    plain,
    task_call,
    uffd_call,
)
from faultline.export.expected import Expected, ended_processes
from faultline.export.parts import Part, parts, wanted
from faultline.program.codec import Operation, process_of, task_byte, task_of
from faultline.program.ops import (
    ADVICE,
    CATEGORY,
    OPS,
    PROCESSES,
    REGISTER_MODE,
    SCAN_MODE,
    SLOTS,
    TASK_MONITOR,
    TASKS,
)
from faultline.program.text import format_operation
from faultline.program.trace import VALUE_MIXED, Bit, Event, Status, Wait
from faultline.program.traceview import SKIPS, Completion, Step


class Style(Enum):
    """Who the file is for."""

    PLAIN = "c"
    SELFTEST = "selftest"


#: Bits of pagemap that a program can be about.
PAGEMAP: Final = {
    "uffd-wp": (57, Bit.UFFD_WP), "soft-dirty": (55, Bit.SOFT_DIRTY), "exclusive": (56, Bit.EXCLUSIVE),
    "present": (63, Bit.PRESENT), "swap": (62, Bit.SWAP), "file": (61, Bit.FILE), "guard": (58, Bit.GUARD),
}  # fmt: skip
_WAKING: Final = frozenset(
    f"uffd-{name}" for name in ("wake", "resolve", "copy", "zeropage", "continue", "poison", "unregister", "close")
)
_FILES: Final = frozenset(op.name for op in OPS if op.name.startswith("file-"))
_WIDTH: Final = 100
_TAB: Final = 8
_PAGEOUT: Final = ADVICE.words.index("pageout")
_TASK_ARG: Final = Arg("", "", "(struct task *)")
_FAULT_FLAGS: Final = tuple(f"UFFD_PAGEFAULT_FLAG_{word}" for word in ("WRITE", "WP", "MINOR"))
#: What registering takes of features: for private memory, and also for shared memory.
_REGISTERING: Final = {
    "missing": ("", "UFFD_FEATURE_MISSING_SHMEM"),
    "wp": ("UFFD_FEATURE_PAGEFAULT_FLAG_WP", "UFFD_FEATURE_WP_HUGETLBFS_SHMEM"),
    "minor": ("UFFD_FEATURE_MINOR_SHMEM",),
}
_FEATURE_PARTS: Final = {
    "UFFD_FEATURE_WP_HUGETLBFS_SHMEM": "fallbacks.feature-wp-shmem",
    "UFFD_FEATURE_MINOR_SHMEM": "fallbacks.feature-minor-shmem",
    "UFFD_FEATURE_POISON": "fallbacks.feature-poison",
    "UFFD_FEATURE_MOVE": "fallbacks.feature-move",
}


@dataclass(slots=True)
class Remarks:
    """What the author wrote into the program's text: at its head, and by operation."""

    head: tuple[str, ...] = ()
    beside: dict[int, list[str]] = field(default_factory=dict)


@cache
def _providers() -> dict[str, str]:
    """The part that defines each function or macro with arguments."""
    found: dict[str, str] = {}
    for name, part in parts().items():
        for match in re.finditer(r"^(?:static [\w *]*?|#define )(\w+)\(", part.text, re.MULTILINE):
            found.setdefault(match[1], name)
    return found


def _code(lines: Sequence[str]) -> str:
    """Without comments and strings."""
    return re.sub(r'"(?:[^"\\]|\\.)*"|/\*.*?\*/', "", "\n".join(lines), flags=re.DOTALL)


def _errno(number: int) -> str:
    return errno.errorcode.get(number, str(number))


def _signal(number: int) -> str:
    return f"SIGNAL + {signal.Signals(number).name}"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _comment(lines: Sequence[str], indent: str = "") -> list[str]:
    lines = [line.replace("*/", "* /").replace("/*", "/ *").rstrip() for line in lines]
    if len(lines) == 1:
        return [f"{indent}/* {lines[0]} */"]
    return [f"{indent}/*", *(f"{indent} * {line}".rstrip() for line in lines), f"{indent} */"]


class _Writer:
    """Collects main()."""

    def __init__(self, expected: Expected, remarks: Remarks, bits: Sequence[str]) -> None:
        self._expected, self._remarks, self._bits = expected, remarks, bits
        ops = expected.ops
        self._names = {OPS[op[0]].name for op in ops}
        self._main = 0 not in ended_processes(ops, expected.steps)
        """Whether main() is process 0."""
        self._waiting: dict[int, int] = {}
        """The task that waits, by the operation's index."""
        self._calls: dict[int, Call] = {}
        self._open: set[int] = set()
        self._pins: dict[int, int] = {}
        self._tasks: set[int] = set()
        self._used = {
            process: {task_of(op[1]) for op in ops if op[1] != TASK_MONITOR and process_of(op[1]) == process}
            for process in range(PROCESSES)
        }
        self._wrappers: dict[str, str] = {}
        self._variables: dict[str, None] = {}
        self.named: set[str] = set()
        """Parts that cannot be told from the code, and headers."""
        self.headers: set[str] = set()
        self.lines: list[str] = []

    # --- what main() consists of ---

    def write(self) -> None:
        """All of main() but its first and last lines."""
        self._begin()
        for op, step in zip(self._expected.ops, self._expected.steps, strict=True):
            self._operation(op, step)
        self._end()
        self._forget_unused()

    def _forget_unused(self) -> None:
        """A descriptor that nothing is done with needs no variable."""
        for variable in list(self._variables):
            places = [i for i, line in enumerate(self.lines) if re.search(rf"\b{variable}\b", _code([line]))]
            if len(places) == 1 and self.lines[places[0]].startswith(f"\t{variable} = "):
                self.lines[places[0]] = self.lines[places[0]].replace(f"{variable} = ", "", 1)
                del self._variables[variable]

    def wrappers(self) -> list[str]:
        return list(self._wrappers.values())

    def variables(self) -> list[str]:
        """Declarations for main()."""
        return [f"\tint {', '.join(self._variables)};", ""] if self._variables else []

    def task_variables(self) -> list[str]:
        names = [f"*{self._task(task)}" for task in sorted(self._tasks, key=lambda t: (process_of(t), task_of(t)))]
        return [f"static struct task {', '.join(names)};"] if names else []

    def _say(self, *lines: str) -> None:
        for line in lines:
            self.lines += _wrapped(line)

    def _begin(self) -> None:
        self._say("page_size = sysconf(_SC_PAGESIZE);")
        self._say(*self._requirements())
        if self._names & {"read", "write"} or self._expected.holding:
            self._say("catch_signals();")
        if "uffd-open" in self._names and self._main:
            self._say("start_watch();")
        if self._forks() or any(step.status is Status.BLOCKED for step in self._expected.steps):
            self._say("start_tasks();")
        if self._forks():
            self._say('need(!atexit(end_processes), "atexit");')
            self.named.add("clone" if self._names & (_FILES | {"uffd-open", "ref"}) else "fork")
        if self._main:
            for index, step in enumerate(self._expected.steps):
                task = self._expected.ops[index][1]
                if step.status is Status.BLOCKED and process_of(task) == 0 and task not in self._tasks:
                    self._threads(task)
        else:
            self._fork(None, 0)

    def _forks(self) -> bool:
        return not self._main or "fork" in self._names

    def _requirements(self) -> list[str]:
        done = [
            (OPS[op[0]].name, op)
            for op, step in zip(self._expected.ops, self._expected.steps, strict=True)
            if step.status in (Status.DONE, Status.BLOCKED)
        ]
        names = {name for name, _ in done}
        lines = []
        if "uffd-open" in self._names:
            lines.append(f"need_uffd({self._features(done)});")
        if "guard-install" in names:
            lines.append('need_advice(MADV_GUARD_INSTALL, "no MADV_GUARD_INSTALL: Linux 6.13 has it");')
        if "populate" in names:
            lines.append('need_advice(MADV_POPULATE_READ, "no MADV_POPULATE_READ: Linux 5.14 has it");')
        advice = {op[4] for name, op in done if name == "madvise"}
        if names & {"swap-out", "swapoff"} or _PAGEOUT in advice:
            lines += ["need_swap();", "stay_on_one_cpu();"]
            self.named.add("one_cpu")
        if names & {"ksm-merge", "ksm-scan"}:
            lines.append("ksm_begin();")
        if "clear-refs" in names and "soft-dirty" in self._bits:
            lines.append("need_soft_dirty();")
        return lines

    def _features(self, done: Sequence[tuple[str, Operation]]) -> str:
        features: dict[str, None] = {}
        for name, op in done:
            if name == "uffd-open":
                features |= dict.fromkeys(FEATURE_NAMES[i] for i in range(len(FEATURE_NAMES)) if op[3] >> i & 1)
                self.named.update(feature_parts(op[3]))
            elif name == "uffd-register":
                shared = bool(self._names & {"mmap-shared", "mmap-file"})
                for word in (w for i, w in enumerate(REGISTER_MODE.words) if op[5] >> i & 1):
                    features |= dict.fromkeys(_REGISTERING[word][: 2 if shared else 1])
            elif name in ("uffd-poison", "uffd-move"):
                features["UFFD_FEATURE_" + name.removeprefix("uffd-").upper()] = None
        features.pop("", None)
        self.named.update(part for name, part in _FEATURE_PARTS.items() if name in features)
        return " | ".join(features) or "0"

    # --- tasks and processes ---

    @staticmethod
    def _task(task: int) -> str:
        return f"p{process_of(task)}_{task_of(task)}"

    def _is_main(self, process: int) -> bool:
        return self._main and process == 0

    def _pid(self, process: int) -> str:
        return "getpid()" if self._is_main(process) else f"{self._task(task_byte(process))}->pid"

    def _free(self, process: int) -> int | None:
        """A task of the process that can be given a call."""
        for t in range(TASKS):
            task = task_byte(process, t)
            if task in self._tasks and task not in self._waiting.values():
                return task
        return None

    def _threads(self, task: int, by: int | None = None) -> None:
        """Makes the task a thread of its process: by main(), or by another task of it."""
        self._make("begin_thread", task, by)
        self._say(f"ends({self._task(task)});")

    def _fork(self, by: int | None, child: int) -> None:
        self._make("fork_as", task_byte(child), by)
        self._born(child)

    def _make(self, function: str, task: int, by: int | None) -> None:
        """Makes the task, by a function that main() calls, or another task."""
        name = self._task(task)
        self._tasks.add(task)
        self._say(f"{name} = new_task();")
        if by is None:
            self._say(f"done({function}({name}));")
        else:
            self._wrap(Call(function, f"{function}({{0}})", (_TASK_ARG,)))
            self._say(f"done(in({self._task(by)}, do_{function}, (unsigned long){name}));")

    def _born(self, child: int) -> None:
        first = task_byte(child)
        self._say(f"ends({self._task(first)});\t/* the child is there */")
        for t in sorted(self._used[child] - {0}):
            self._threads(task_byte(child, t), first)

    def _wrap(self, call: Call) -> None:
        self._wrappers.setdefault(call.wrapper(), call.definition())

    def _made(self, call: Call, task: int) -> str:
        """The expression for a call of a task that does not wait."""
        self._take(call)
        if self._is_main(process_of(task)):
            return call.here()
        self._wrap(call)
        return f"in({', '.join(filter(None, (self._task(task), call.wrapper(), call.passed())))})"

    def _take(self, call: Call) -> None:
        self.named.update(call.parts)
        self.headers.update(call.headers)

    # --- operations ---

    def _operation(self, op: Operation, step: Step) -> None:
        name, index = OPS[op[0]].name, step.index
        remarks = self._remarks.beside.get(index, [])
        self.lines.append("")
        if step.status is Status.SKIPPED:
            text = f"{format_operation(op)}: left out, {SKIPS[step.value]}"  # type: ignore[index]
            self.lines += _comment([*remarks, text], "\t")
            return
        if remarks:
            self.lines += _comment(remarks, "\t")
        self._say(f"op({_quoted(f'{index + 1}: {format_operation(op)}')});")
        if name in _FILES:
            self._checked(file_call(op), op, step, file_call(op).here())
            self._take(file_call(op))
        elif op[1] == TASK_MONITOR:
            self._by_monitor(name, op, step)
        elif step.status is Status.BLOCKED:
            self._blocked(name, op, step)
        else:
            self._by_task(name, op, step)
        self._completions(name, step)

    def _by_task(self, name: str, op: Operation, step: Step) -> None:
        process = process_of(op[1])
        if name == "fork":
            self._fork(None if self._is_main(process) else op[1], op[2])
        elif name == "exit":
            self._say(f"exits({self._task(op[1])});")
            self._tasks_gone(process)
        elif name == "pagemap-scan":
            self._scan(op, step)
        elif name == "uffd-open":
            call = task_call(op)
            variable = f"u{op[2]}"
            if step.status is Status.DONE:
                self._variables[variable] = None
                self._open.add(op[2])
                self._say(f"{variable} = {self._made(call, op[1])};", f"done({variable});")
            else:
                self._checked(call, op, step, self._made(call, op[1]))
        else:
            call = self._call(name, op)
            if name == "ref":
                self._reference(op)
            self._checked(call, op, step, self._made(call, op[1]))

    def _call(self, name: str, op: Operation) -> Call:
        return task_call(op, self._pid(op[2]) if name in ("process-read", "process-write") else "")

    def _reference(self, op: Operation) -> None:
        self._variables[f"k{op[2]}[2]"] = None
        self._pins[op[2]] = op[3]
        self._say(f"new_pipe(k{op[2]}, {op[4]});")

    def _tasks_gone(self, process: int) -> None:
        for index in [i for i, task in self._waiting.items() if process_of(task) == process]:
            del self._waiting[index]

    def _blocked(self, name: str, op: Operation, step: Step) -> None:
        task = self._task(op[1])
        if name == "fork":
            child = task_byte(op[2])
            self._tasks.add(child)
            self._say(f"{self._task(child)} = new_task();")
            call = Call("fork_as", "fork_as({0})", (_TASK_ARG,))
            passed = f"(unsigned long){self._task(child)}"
        else:
            call = self._call(name, op)
            passed = call.passed()
            if name == "ref":
                self._reference(op)
        self._take(call)
        self._wrap(call)
        self._calls[step.index] = call
        self._say(f"start({', '.join(filter(None, (task, call.wrapper(), passed)))});")
        if len(self._open) == 1 and not self._waiting:
            self._say(f"blocks({task}, u{next(iter(self._open))});")
        else:
            self._say(f"sleeps({task});")
        self._waiting[step.index] = op[1]

    def _completions(self, name: str, step: Step) -> None:
        for ended in step.completions:
            task = self._waiting.pop(ended.index, None)
            if task is None or ended.status is Status.KILLED:
                continue
            op = self._expected.ops[ended.index]
            self._checked(self._calls[ended.index], op, ended, f"ends({self._task(task)})")
            if OPS[op[0]].name == "fork" and ended.status is Status.DONE:
                self._born(op[2])
        if name in _WAKING:
            for task in self._waiting.values():
                self._say(f"still_waits({self._task(task)});")
        elif name == "uffd-read" and step.status is Status.DONE and step.value & 0xFF != Event.PAGEFAULT:
            for index, task in self._waiting.items():
                if self._expected.steps[index].value == Wait.EVENT:
                    self._say(f"sleeps({self._task(task)});")

    def _checked(self, call: Call, op: Operation, step: Step | Completion, expression: str) -> None:
        """The call, and what it has to come to."""
        if step.index in self._expected.open:
            self._say(f"chosen({self._comparison(call, op, step, expression)});")
        elif step.status is Status.ERROR:
            self._say(f"fails({_errno(step.value)}, {expression});")
            if call.result is Result.PAGES and call.name != "uffd_move" and step.aux > 0:
                self._say(f"counts({step.aux}, progress);")
        elif step.status is Status.SIGNAL:
            self.headers.add("signal.h")
            self._say(f"expect({_signal(step.value)}, {expression});")
        elif call.result is Result.PAGES:
            self._say(f"counts({step.aux}, {expression});")
        elif call.result is Result.NOTHING:
            if OPS[op[0]].name == "file-open":
                self._variables[f"f{op[2]}"] = None
                self._say(f"{expression};")
            else:
                self._say(f"done({expression});")
        else:
            self._say(f"expect({self._byte(op, step)}, {expression});")

    def _comparison(self, call: Call, op: Operation, step: Step | Completion, expression: str) -> str:
        """Whether the call came to one of several outcomes."""
        if step.status is Status.ERROR:
            self.headers.add("errno.h")
            return f"{expression} == -1 && errno == {_errno(step.value)}"
        if step.status is Status.SIGNAL:
            self.headers.add("signal.h")
            return f"{expression} == {_signal(step.value)}"
        if call.result is Result.PAGES:
            return f"{expression} == {step.aux}"
        return f"{expression} != -1" if call.result is Result.NOTHING else f"{expression} == {self._byte(op, step)}"

    @staticmethod
    def _byte(op: Operation, step: Step | Completion) -> str:
        name = OPS[op[0]].name
        if name == "write":
            return "STORED"
        if name == "file-read" and not step.aux:
            return "END_OF_FILE"
        return "MIXED" if step.value == VALUE_MIXED else str(step.value)

    def _scan(self, op: Operation, step: Step) -> None:
        _, _, start, pages, category, mode = op
        bits = [bool(mode >> SCAN_MODE.words.index(word) & 1) for word in ("wp", "check", "inverted", "present")]
        wanted_ = "PAGE_IS_" + CATEGORY.words[category].upper().replace("-", "_")
        how = " | ".join(n for n, on in zip(("PM_SCAN_WP_MATCHING", "PM_SCAN_CHECK_WPASYNC"), bits, strict=False) if on)
        mask = f"{wanted_} | PAGE_IS_PRESENT" if bits[3] and wanted_ != "PAGE_IS_PRESENT" else wanted_
        pid = self._pid(process_of(op[1]))
        expression = f"scan({pid}, {start}, {pages}, {how or 0}, {wanted_ if bits[2] else 0}, {mask}, {mask})"
        if step.status is Status.ERROR:
            self._say(f"fails({_errno(step.value)}, {expression});")
        else:
            self._say(f"same_pages({step.aux & 0xFFFF_FFFF:#x}, {expression});")

    # --- the monitor ---

    def _by_monitor(self, name: str, op: Operation, step: Step) -> None:
        match name:
            case "uffd-read":
                self._message(op, step)
            case "ksm-merge" | "ksm-scan":
                self._say("ksm_scan();")
            case "swap-out":
                self._swap_out(op)
            case "drop-swap-cache":
                self._say("/* a live kernel does that when it likes */")
            case "swapoff":
                self._say("swap_off_and_on();")
            case "mem-read":
                call = Call("mem_read", f"mem_read({self._pid(op[2])}, addr({op[3]}))", (), result=Result.ACCESS)
                self._checked(call, op, step, call.here())
            case "mem-write":
                call = Call("mem_write", f"mem_write({self._pid(op[2])}, addr({op[3]}), {op[4]})", ())
                self._checked(call, op, step, call.here())
            case "pin-read":
                self._say(f"expect({self._byte(op, step)}, referenced(k{op[2]}[0], {op[3] - self._pins[op[2]]}));")
            case "unpin":
                self._say(f"close(k{op[2]}[0]);", f"close(k{op[2]}[1]);")
            case _:
                call = uffd_call(op)
                self._take(call)
                self._checked(call, op, step, call.here())
                if name == "uffd-close":
                    self._open.discard(op[2])

    def _swap_out(self, op: Operation) -> None:
        _, _, process, start, pages = op
        task = self._free(process)
        if self._is_main(process):
            self._say(f"page_out({start}, {pages});")
        elif task is None:
            self._say(f"page_out_of({self._pid(process)}, {start}, {pages});")
        else:
            call = Call("page_out", "page_out({0}, {1})", (plain(start), plain(pages)))
            self._say(f"{self._made(call, task)};")

    def _message(self, op: Operation, step: Step) -> None:
        uffd, value = f"u{op[2]}", step.value
        if step.status is Status.ERROR:
            self._say(f"fails({_errno(value)}, read_message({uffd}));")
            return
        event, flag_bits, slot = Event(value & 0xFF), value >> 8 & 0xFF, value >> 16
        if event is Event.PAGEFAULT:
            names = [name for i, name in enumerate(_FAULT_FLAGS) if flag_bits >> i & 1]
            if flag_bits & 4:
                self.named.add("fallbacks.flag-minor")
            self._say(f"told_of_fault({uffd}, {' | '.join(names) or 0}, addr({slot}));")
        elif event is Event.FORK:
            child = step.aux - 1
            self._open.add(child)
            self._variables[f"u{child}"] = None
            self._say(f"u{child} = told_of_fork({uffd});")
        elif event is Event.REMAP:
            self._say(f"told_of_remap({uffd}, addr({slot}), addr({step.aux & 0xFF}), {step.aux >> 8});")
        else:
            self._say(f"told_of_removal({uffd}, UFFD_EVENT_{event.name}, addr({slot}), {step.aux});")

    # --- the end ---

    def _end(self) -> None:
        last = self._expected.last
        for name in self._bits:
            bit, mark = PAGEMAP[name]
            self.lines.append("")
            self._say(f'op("at the end, the bit {name} in pagemap");')
            for process, words in last.words.items():
                mask = sum(1 << slot for slot in range(SLOTS) if words[slot] & mark)
                self._say(f"same_pages({mask:#x}, pages_with({self._pid(process)}, {bit}));")
        if self._expected.holding:
            self._say_blank("at the end, what the pages hold")
        for held in self._expected.holding:
            value = "MIXED" if held.value == VALUE_MIXED else str(held.value)
            if held.pages == 1:
                call = Call("load", "load({0})", (page(held.start),), result=Result.ACCESS)
            else:
                args = (plain(held.start), plain(held.pages), plain(value))
                call = Call("pages_hold", "pages_hold({0}, {1}, {2})", args, result=Result.ACCESS)
            task = task_byte(held.process) if self._is_main(held.process) else self._free(held.process)
            if task is not None:
                self._say(f"expect({value}, {self._made(call, task)});")

    def _say_blank(self, text: str) -> None:
        self.lines.append("")
        self._say(f"op({_quoted(text)});")


def _wrapped(line: str) -> list[str]:
    """A statement of main(), in two or more lines if it is too long for one."""
    lines, rest, indent = [], line, "\t"
    while len(rest) + _TAB * len(indent) > _WIDTH and not rest.startswith('op("'):
        room = _WIDTH - _TAB * len(indent)
        at = max(rest.rfind(", ", 0, room), rest.rfind(" | ", 0, room))
        if at < 0:
            break
        at += 1 if rest[at] == "," else 2
        lines.append(indent + rest[:at].rstrip())
        rest, indent = rest[at:].lstrip(), "\t\t"
    return [*lines, indent + rest]


def _parts_for(code: str, named: set[str], style: Style) -> list[Part]:
    """The parts that the code uses, in order."""
    names = {name for name in named if name.startswith("fallbacks.")} | {"base"}
    names |= {provider for word in re.findall(r"\b(\w+)\(", code) if (provider := _providers().get(word))}
    names |= {provider for word in re.findall(r"\b(end_processes)\b", code) if (provider := _providers().get(word))}
    if re.search(r"\b(STORED|MIXED|SIGNAL|END_OF_FILE)\b", code):
        names.add("outcomes")
    if re.search(r"\bprogress\b", code):
        names.add("progress")
    swapped = {"fail": "selftest.fail", "skip": "selftest.skip"} if style is Style.SELFTEST else {}
    if "clone" in named:
        swapped["fork"] = "clone"
    return wanted(names, swapped)


def _includes(headers: set[str]) -> list[str]:
    user = sorted(header for header in headers if not header.startswith("linux/"))
    return [f"#include <{header}>" for header in (*user, *sorted(headers - set(user)))]


def c_source(
    expected: Expected, name: str, about: Sequence[str], remarks: Remarks, bits: Sequence[str], style: Style
) -> str:
    """The text of the C file.

    :param name: the test's, for a selftest.
    :param about: lines for the comment at its top.
    :param bits: of pagemap, what is checked at the end.
    """
    writer = _Writer(expected, remarks, bits)
    writer.write()
    main = [*writer.variables(), *_opening(style), *writer.lines, ""]
    wrappers = "\n".join(writer.wrappers())
    chosen = _parts_for(_code([*main, wrappers]), writer.named, style)
    headers = {header for part in chosen for header in part.headers} | writer.headers
    lines = ["// SPDX-License-Identifier: GPL-2.0-only", *_comment(about)]
    lines += ["#define _GNU_SOURCE", *_includes(headers)]
    if style is Style.SELFTEST:
        lines += ["", '#include "../kselftest.h"', "", f"#define TEST_NAME\t{_quoted(name)}"]
    lines += ["", *(f"{part.text}" for part in chosen)]
    lines += [*writer.task_variables(), *([""] if writer.task_variables() else [])]
    lines += [wrappers] if wrappers else []
    lines += ["int main(void)", "{", *main, *_closing(style), "}"]
    return "\n".join(lines) + "\n"


def _opening(style: Style) -> list[str]:
    return ["\tksft_print_header();", "\tksft_set_plan(1);", ""] if style is Style.SELFTEST else []


def _closing(style: Style) -> list[str]:
    if style is Style.SELFTEST:
        return ['\tksft_test_result_pass(TEST_NAME "\\n");', "\tksft_print_cnts();", "\treturn 0;"]
    return ['\tputs("PASS");', "\treturn 0;"]
