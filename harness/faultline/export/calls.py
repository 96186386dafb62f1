"""Which call each operation is, in C."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from faultline.program.codec import Operation
from faultline.program.ops import (
    ADVICE,
    ALLOCATE,
    COPY_MODE,
    FEATURES,
    FILE_TYPE,
    MAP_TYPE,
    MOVE_MODE,
    OPS,
    POPULATE,
    PROT,
    REGISTER_MODE,
    REMAP_FLAGS,
    SLOTS,
)


class Result(Enum):
    """What a call's value means if it succeeds."""

    NOTHING = "done"
    """Not -1."""
    ACCESS = "expect"
    """A byte, or another outcome of an access."""
    PAGES = "counts"
    """A number of pages."""


@dataclass(frozen=True, slots=True)
class Arg:
    """An argument: what it is where main() itself makes the call, as it is passed to a task, and its type there."""

    here: str
    passed: str
    cast: str = ""


@dataclass(frozen=True, slots=True)
class Call:
    """A call; ``{0}`` in ``text`` stands for its first argument, and so on."""

    name: str
    text: str
    args: tuple[Arg, ...]
    parts: tuple[str, ...] = ()
    """The parts that define what old headers lack."""
    headers: tuple[str, ...] = ()
    result: Result = Result.NOTHING

    def here(self) -> str:
        """The call as main() makes it."""
        return self.text.format(*(arg.here for arg in self.args))

    def wrapper(self) -> str:
        """The name of the function that makes the call in a task."""
        return f"do_{self.name}"

    def definition(self) -> str:
        """That function."""
        args = (arg.cast + f"arg[{i}]" for i, arg in enumerate(self.args))
        return f"static long {self.wrapper()}(const unsigned long *arg)\n{{\n\treturn {self.text.format(*args)};\n}}\n"

    def passed(self) -> str:
        """The arguments as a task gets them."""
        return ", ".join(arg.passed for arg in self.args)


_PROTS: Final = dict(zip(PROT.words, ("PROT_NONE", "PROT_READ", "PROT_READ | PROT_WRITE"), strict=True))
_MAN: Final = "sys/mman.h"
_REGISTER: Final = tuple(f"UFFDIO_REGISTER_MODE_{word.upper()}" for word in REGISTER_MODE.words)
FEATURE_NAMES: Final = tuple("UFFD_FEATURE_" + word.upper().replace("-", "_") for word in FEATURES.words)
_FEATURE_PARTS: Final = {"wp-async": "fallbacks.feature-wp-async", "wp-unpopulated": "fallbacks.feature-wp-unpopulated"}
_FALLOCATE: Final = {
    "extend": "0",
    "keep-size": "FALLOC_FL_KEEP_SIZE",
    "punch-hole": "FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE",
}


def page(slot: int) -> Arg:
    """The address of a page, as a pointer."""
    return Arg(f"page({slot})", f"addr({slot})", "(void *)")


def address(slot: int) -> Arg:
    """The address of a page, as a number."""
    return Arg(f"addr({slot})", f"addr({slot})")


def plain(value: int | str) -> Arg:
    """A number, or what stands for one."""
    return Arg(str(value), str(value))


def size(pages: int) -> Arg:
    """So many pages, in bytes."""
    return plain("page_size" if pages == 1 else "0" if pages == 0 else f"{pages} * page_size")


def flags(value: int, names: Sequence[str]) -> str:
    """The names of the bits that are set."""
    return " | ".join(name for i, name in enumerate(names) if value >> i & 1) or "0"


def feature_parts(features: int) -> list[str]:
    """The parts that define the features' names where the headers are old."""
    return [_FEATURE_PARTS[w] for i, w in enumerate(FEATURES.words) if features >> i & 1 and w in _FEATURE_PARTS]


def _mmap(op: Operation) -> Call:
    name = OPS[op[0]].name
    args = (page(op[2]), size(op[3]), plain(_PROTS[PROT.words[op[4]]]))
    if name == "mmap-file":
        kind = "MAP_SHARED" if MAP_TYPE.words[op[7]] == "shared" else "MAP_PRIVATE"
        text = "(long)mmap({0}, {1}, {2}, {3} | MAP_FIXED, {4}, {5})"
        return Call("mmap_file", text, (*args, plain(kind), plain(f"f{op[5]}"), size(op[6])), headers=(_MAN,))
    kind = "MAP_SHARED" if name == "mmap-shared" else "MAP_PRIVATE"
    text = f"(long)mmap({{0}}, {{1}}, {{2}}, {kind} | MAP_ANONYMOUS | MAP_FIXED, -1, 0)"
    return Call(name.replace("-", "_"), text, args, headers=(_MAN,))


def _advice(op: Operation) -> Call:
    word = ADVICE.words[op[4]]
    parts = ("fallbacks.advice-reclaim",) if word in ("cold", "pageout") else ()
    return _madvise(op, "MADV_" + word.upper(), *parts)


def _madvise(op: Operation, advice: str, *parts: str) -> Call:
    return Call("madvise", "madvise({0}, {1}, {2})", (page(op[2]), size(op[3]), plain(advice)), parts, (_MAN,))


def _mremap(op: Operation) -> Call:
    _, _, start, pages, target, new_pages, how = op
    dontunmap = bool(how >> REMAP_FLAGS.words.index("dontunmap") & 1)
    options = "MREMAP_MAYMOVE | MREMAP_FIXED" + " | MREMAP_DONTUNMAP" * dontunmap
    name = "mremap_dontunmap" if dontunmap else "mremap"
    return Call(
        name, f"(long)mremap({{0}}, {{1}}, {{2}}, {options}, {{3}})",
        (page(start), size(pages), size(new_pages), page(target)),
        ("fallbacks.dontunmap",) if dontunmap else (), (_MAN,),
    )  # fmt: skip


def _resize(op: Operation) -> Call:
    new = min(op[4], SLOTS - op[2])
    args = (page(op[2]), size(op[3]), size(new))
    return Call("resize", "(long)mremap({0}, {1}, {2}, 0)", args, headers=(_MAN,))


def _move(op: Operation) -> Call:
    _, _, uffd, to, pages, source, mode = op
    assert MOVE_MODE.words == ("dontwake", "holes")
    names = ("UFFDIO_MOVE_MODE_DONTWAKE", "UFFDIO_MOVE_MODE_ALLOW_SRC_HOLES")
    args = (plain(f"u{uffd}"), address(to), plain(pages), address(source), plain(flags(mode, names)))
    text = "uffd_move({0}, {1}, {2}, {3}, {4})"
    return Call("uffd_move", text, args, ("fallbacks.move",), result=Result.PAGES)


def _opened(op: Operation) -> Call:
    args = (plain(flags(op[3], FEATURE_NAMES)),)
    return Call("uffd_open", "uffd_open({0})", args, tuple(feature_parts(op[3])))


def _allocate(op: Operation) -> str:
    _, _, file, first, end, mode = op
    length = f"({end} - {first}) * (long)page_size" if end < first else size(end - first).here
    return f"fallocate(f{file}, {_FALLOCATE[ALLOCATE.words[mode]]}, {size(first).here}, {length})"


def task_call(op: Operation, pid: str = "") -> Call:
    """The call that an operation of a task is; ``pid`` of the process that it names, if it does."""
    name = OPS[op[0]].name
    args: tuple[Arg, ...]
    match name:
        case "mmap" | "mmap-shared" | "mmap-file":
            return _mmap(op)
        case "munmap":
            return Call("munmap", "munmap({0}, {1})", (page(op[2]), size(op[3])), headers=(_MAN,))
        case "mprotect":
            args = (page(op[2]), size(op[3]), plain(_PROTS[PROT.words[op[4]]]))
            return Call("mprotect", "mprotect({0}, {1}, {2})", args, headers=(_MAN,))
        case "madvise":
            return _advice(op)
        case "guard-install" | "guard-remove":
            return _madvise(op, "MADV_" + name.upper().replace("-", "_"), "fallbacks.advice-guard")
        case "populate":
            advice = f"MADV_POPULATE_{POPULATE.words[op[4]].upper()}"
            return _madvise(op, advice, "fallbacks.advice-populate")
        case "mremap":
            return _mremap(op)
        case "mremap-resize":
            return _resize(op)
        case "read":
            return Call("load", "load({0})", (page(op[2]),), result=Result.ACCESS)
        case "write":
            args = (page(op[2]), plain(op[3]))
            return Call("fill", "fill({0}, {1})", args, result=Result.ACCESS)
        case "process-read":
            args = (plain(pid), address(op[3]))
            return Call("process_read", "process_read({0}, {1})", args, result=Result.ACCESS)
        case "process-write":
            args = (plain(pid), address(op[3]), plain(op[4]))
            return Call("process_write", "process_write({0}, {1}, {2})", args)
        case "uffd-open":
            return _opened(op)
        case "uffd-move":
            return _move(op)
        case "clear-refs":
            args = (plain((4, 1)[op[2]]),)
            return Call("clear_refs", "clear_refs({0})", args)
        case "ref":
            args = (plain(f"k{op[2]}[1]"), page(op[3]), plain(op[4]))
            return Call("reference", "reference({0}, {1}, {2})", args, result=Result.PAGES)
        case _:
            raise AssertionError(f"no call of a task: {name}")


def file_call(op: Operation) -> Call:
    """The call that a file's operation is, whoever makes it."""
    name, file = OPS[op[0]].name, f"f{op[2]}"
    fcntl = ("fcntl.h",)
    match name:
        case "file-open":
            maker = "new_memfd" if FILE_TYPE.words[op[3]] == "memfd" else "new_file"
            return Call(name, f"{file} = {maker}({op[4]})", ())
        case "file-close":
            return Call(name, f"close({file})", ())
        case "file-read":
            return Call(name, f"file_read({file}, {op[3]})", (), result=Result.ACCESS)
        case "file-write":
            return Call(name, f"file_write({file}, {op[3]}, {op[4]})", ())
        case "file-truncate":
            return Call(name, f"ftruncate({file}, {size(op[3]).here})", ())
        case "file-allocate":
            return Call(name, _allocate(op), (), headers=fcntl)
        case "file-sync":
            return Call(name, f"fsync({file})", ())
        case "file-drop":
            return Call(name, f"-!!posix_fadvise({file}, 0, 0, POSIX_FADV_DONTNEED)", (), headers=fcntl)
        case _:
            raise AssertionError(f"no call of a file: {name}")


_DONTWAKE_OR_WP: Final = {
    "uffd-copy": ("UFFDIO_COPY_MODE_WP", "UFFDIO_COPY_MODE_DONTWAKE"),
    "uffd-continue": ("UFFDIO_CONTINUE_MODE_WP", "UFFDIO_CONTINUE_MODE_DONTWAKE"),
    "uffd-zeropage": ("UFFDIO_ZEROPAGE_MODE_DONTWAKE",),
    "uffd-poison": ("UFFDIO_POISON_MODE_DONTWAKE",),
    "uffd-resolve": ("UFFDIO_WRITEPROTECT_MODE_DONTWAKE",),
}
assert COPY_MODE.words == ("wp", "dontwake")


def uffd_call(op: Operation) -> Call:
    """The call that an operation of the monitor on a userfaultfd is."""
    name = OPS[op[0]].name
    what = (f"u{op[2]}", f"addr({op[3]})", f"{op[4]}") if len(op) > 4 else (f"u{op[2]}",)
    parts: tuple[str, ...]
    more: tuple[str, ...] = ()
    function, parts, result = name.replace("-", "_"), (), Result.NOTHING
    match name:
        case "uffd-register":
            more = (flags(op[5], _REGISTER),)
            minor = op[5] >> REGISTER_MODE.words.index("minor") & 1
            parts = ("fallbacks.register-minor",) if minor else ()
        case "uffd-unregister" | "uffd-wake":
            pass
        case "uffd-wp":
            function, more = "uffd_writeprotect", ("UFFDIO_WRITEPROTECT_MODE_WP",)
        case "uffd-resolve":
            function, more = "uffd_writeprotect", (flags(op[5], _DONTWAKE_OR_WP[name]),)
        case "uffd-copy":
            more, result = (f"{op[5]}", flags(op[6], _DONTWAKE_OR_WP[name])), Result.PAGES
        case "uffd-zeropage" | "uffd-continue" | "uffd-poison":
            more, result = (flags(op[5], _DONTWAKE_OR_WP[name]),), Result.PAGES
            parts = () if name == "uffd-zeropage" else ("fallbacks." + name.removeprefix("uffd-"),)
        case "uffd-close":
            return Call(name, f"close(u{op[2]})", ())
        case _:
            raise AssertionError(f"no call on a userfaultfd: {name}")
    return Call(name, f"{function}({', '.join((*what, *more))})", (), parts, result=result)
