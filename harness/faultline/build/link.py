"""Links the objects of a build into one library.

Every symbol that kernel code needs is one of three things: defined by kernel code, by the machine, or a trap that stops
the run and names itself.  A trap can stand for a function only; kernel data that nothing defines is a build error.
"""

from __future__ import annotations

import re
import subprocess
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from faultline.build.elf import function_names
from faultline.build.lacks import UndefinedData
from faultline.build.objects import Compiled
from faultline.build.toolchain import Toolchain
from faultline.kinds import FaultlineError
from faultline.tree.cache import no_space, writing

#: Functions that kernel code may take from the C library: the same contract there and in the kernel.
LIBC: Final = frozenset((
    "memcpy", "memmove", "memset", "memcmp", "bcmp", "memchr", "strlen", "strnlen", "strcmp", "strncmp", "strchr",
    "strrchr", "strstr", "strspn", "strcspn",
))  # fmt: skip
#: Prefixes of what a sanitiser's or fuzzer's runtime brings when the library is loaded.
_RUNTIME: Final = ("__asan_", "__sanitizer_", "__sancov_", "__ubsan_")
_FLAGS: Final = (
    "--gc-sections", "--no-undefined", "--warn-unresolved-symbols", "--error-limit=0", "-Bsymbolic", "--build-id=none",
    "-zstart-stop-visibility=hidden",
)  # fmt: skip
#: What the linker's --wrap=NAME calls the one that stands before NAME, and NAME itself.
_WRAP: Final = "__wrap_"
_REAL: Final = "__real_"
#: Symbols that every library exports; all others are its own.
_EXPORTS: Final = "{ global: fl_*; local: *; };\n"
_SHOWN_MAX: Final = 6


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be linked."""

    objects: tuple[Compiled, ...]
    traps: tuple[str, ...]
    """Functions to trap; those that nothing reaches do not get into the library."""
    wrapped: tuple[str, ...] = ()
    """Functions of the kernel that the machine stands before: calls from other files go to its ``__wrap_NAME``."""


def plan(objects: Sequence[Compiled], kinds: Callable[[dict[str, list[Compiled]]], dict[str, bool]]) -> Plan:
    """Decides which undefined symbols become traps.

    ``kinds`` says which of the given symbols (name -> objects that use it) are functions; it is asked only about
    those that are never called.  Raises :class:`FaultlineError` where kernel code and the C library would be mixed up.
    """
    kernel = [entry for entry in objects if entry.unit.role.kernel_side]
    posix = [entry for entry in objects if not entry.unit.role.kernel_side]
    defined = {name for entry in objects for name in entry.symbols.defined}
    called = {name for entry in kernel for name in entry.symbols.called} - defined
    used: dict[str, list[Compiled]] = defaultdict(list)
    for entry in kernel:
        for name in set(entry.symbols.used) - defined - called:
            used[name].append(entry)
    asked = {name: users for name, users in used.items() if not _given(name)}
    functions = {name for name, is_function in kinds(asked).items() if is_function}
    traps = {name for name in called | functions if not _given(name)}
    _check_libc(kernel, posix, traps)
    wrapped = sorted(name.removeprefix(_WRAP) for name in defined if name.startswith(_WRAP))
    return Plan(tuple(objects), tuple(sorted(traps)), tuple(wrapped))


def _given(name: str) -> bool:
    """Whether a symbol comes from outside the build, or from the linker itself."""
    given = (*_RUNTIME, "__start_", "__stop_", "fl_", _REAL)
    return name in LIBC or name.startswith(given) or name == "_GLOBAL_OFFSET_TABLE_"


def _check_libc(kernel: Iterable[Compiled], posix: Iterable[Compiled], traps: set[str]) -> None:
    """Refuses names that mean the C library's function to csrc/posix and the kernel's to kernel code."""
    own = {name for entry in kernel for name in entry.symbols.defined if not name.startswith("fl_")}
    for entry in posix:
        for name in sorted({*entry.symbols.called, *entry.symbols.used} & (own | traps) - LIBC):
            raise FaultlineError(
                f"{entry.unit.name} takes {name}() from the C library, but kernel code has its own: use another there"
            )


def trap_source(traps: Iterable[str]) -> str:
    """Assembly of the traps: each passes its name to fl_trap(), and keeps the chain of frame pointers whole."""
    lines = []
    for number, name in enumerate(traps):
        lines.append(
            f'.section .text.trap.{name},"ax",@progbits\n'
            f".globl {name}\n.hidden {name}\n.type {name},@function\n{name}:\n"
            f" pushq %rbp\n movq %rsp,%rbp\n leaq .L{number}(%rip),%rdi\n callq fl_trap@PLT\n ud2\n"
            f".size {name},.-{name}\n"
            f'.section .rodata.trap.{name},"a",@progbits\n.L{number}: .asciz "{name}"\n'
        )
    return "".join(lines) + '.section .note.GNU-stack,"",@progbits\n'


@dataclass(frozen=True, slots=True)
class Linker:
    """Links in a scratch folder of the cache."""

    toolchain: Toolchain
    root: Path
    work: Path
    script: Path | None
    """Linker script fragment of the machine."""

    @property
    def identity(self) -> str:
        """All that decides the result beside the objects and the traps."""
        script = self.script.read_text() if self.script else ""
        return "\0".join([self.toolchain.identity, *_FLAGS, script, _EXPORTS, trap_source(["x"])])

    def link(self, plan: Plan) -> tuple[Path, tuple[str, ...]]:
        """Makes the library in the scratch folder; returns it with the traps that are in it.

        Raises :class:`FaultlineError`: data that nothing defines, a symbol defined twice.
        """
        library = self.work / "library.so"
        traps = self._traps(plan)
        with writing(self.root):
            exports, response = self.work / "exports", self.work / "objects.rsp"
            exports.write_text(_EXPORTS)
            response.write_text("".join(f'"{path}"\n' for path in [*(entry.path for entry in plan.objects), traps]))
        script = ["-T", str(self.script)] if self.script else []
        wrap = [f"--wrap={name}" for name in plan.wrapped]
        flags = (*_FLAGS, *wrap, f"--version-script={exports}", *script)
        options = [word for flag in flags for word in ("-Xlinker", flag)]
        command = [self.toolchain.clang, "-shared", f"--ld-path={self.toolchain.linker}", *options, f"@{response}"]
        command += ["-o", str(library)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=self.work, check=False)
        self._check(plan, done.stderr, done.returncode)
        present = set(function_names(library))
        return library, tuple(name for name in plan.traps if name in present)

    def _traps(self, plan: Plan) -> Path:
        source, target = self.work / "traps.s", self.work / "traps.o"
        with writing(self.root):
            source.write_text(trap_source(plan.traps))
        command = [self.toolchain.clang, "-c", str(source), "-o", str(target)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise self._failure(done.stderr)
        return target

    def _check(self, plan: Plan, stderr: str, status: int) -> None:
        names = {str(entry.path): entry.unit.name for entry in plan.objects}
        missing: dict[str, list[str]] = defaultdict(list)
        for block in re.split(r"^(?=ld\.lld|\S*ld\S*: )", stderr, flags=re.MULTILINE):
            found = re.search(r"undefined (?:hidden |protected )?symbol: (\S+)", block)
            if found and not found[1].startswith(_RUNTIME):
                users = {names.get(path, Path(path).name) for path in re.findall(r">>>\s+(/\S+?\.o)[:\s]", block)}
                missing[found[1]] += sorted(users)
        if missing:
            shown = [f"{name} ({', '.join(users)})" for name, users in sorted(missing.items())]
            more = f" and {len(shown) - _SHOWN_MAX} more" if len(shown) > _SHOWN_MAX else ""
            raise UndefinedData(
                f"nothing defines this, and no trap can stand for data: {', '.join(shown[:_SHOWN_MAX])}{more};"
                " define it in csrc/host",
                dict(sorted(missing.items())),
            )
        if status != 0:
            for path, name in names.items():
                stderr = stderr.replace(path, name)
            raise self._failure(stderr)

    def _failure(self, stderr: str) -> FaultlineError:
        if "No space left on device" in stderr:
            return no_space(self.root)
        lines = [line.strip() for line in stderr.splitlines() if line.strip()]
        first = next((index for index, line in enumerate(lines) if "error" in line), 0)
        return FaultlineError(f"the library does not link: {' '.join(lines[first : first + 3]) or 'no message'}")
