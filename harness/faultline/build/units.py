"""What a build compiles, and with which flags."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Final, Literal

from faultline.build.lacks import Lacks
from faultline.kinds import FaultlineError
from faultline.tree import Overlay, TreeInfo

Variant = Literal["plain", "asan", "race"]

#: Flags of a kernel build that change what the code means, and what the machine needs of it.
_KERNEL_FLAGS: Final = (
    "-D__KERNEL__", "-D__DISABLE_EXPORTS", "-nostdinc", "-std=gnu11",
    "-fno-strict-aliasing", "-fno-common", "-fshort-wchar", "-funsigned-char", "-fno-delete-null-pointer-checks",
    "-fwrapv", "-fms-extensions", "-ffunction-sections", "-fdata-sections", "-fno-stack-protector",
    "-fno-asynchronous-unwind-tables",
    # the kernel's own warnings are not ours to report, but these are errors in a kernel build too
    "-w", "-Werror=implicit-function-declaration", "-Werror=implicit-int", "-Werror=return-type",
    "-Werror=incompatible-pointer-types", "-Werror=int-conversion",
)  # fmt: skip
_COMMON_FLAGS: Final = ("-O2", "-gline-tables-only", "-fPIC", "-fno-omit-frame-pointer", "-mno-omit-leaf-frame-pointer")
#: Of the kernel-side code in the variant with sanitiser and coverage.  Recovering, as the machine ends the program
#: itself; no fake stacks, as its tasks have stacks of their own.
_ASAN_FLAGS: Final = ("-fsanitize=address", "-fsanitize-recover=address", "-fsanitize-address-use-after-return=never")
#: Of the tree's own code besides: counters for the fuzzer.  No comparison tracing: an operand is reduced before the
#: kernel sees it, so what the kernel compares tells nothing about the input's bytes.
_COVERAGE_FLAGS: Final = ("-fsanitize-coverage=inline-8bit-counters,pc-table",)
#: Of the tree's own code in the variant that looks for data races, as the kernel's build has it with KCSAN: calls of
#: csrc/check/races.c, where a volatile access counts as marked.
_RACE_FLAGS: Final = (
    "-fsanitize=thread", "-mllvm", "-tsan-distinguish-volatile=1", "-mllvm", "-tsan-compound-read-before-write=1",
    "-mllvm", "-tsan-instrument-func-entry-exit=0", "-fno-optimize-sibling-calls",
)  # fmt: skip
#: Of units whose lines are to be counted (covmap.py).  Names and values as they are; a counter is written each time, as
#: a task may leave a loop for good.
COUNT_FLAGS: Final = (
    "-fprofile-instr-generate", "-fcoverage-mapping", "-mllvm", "-enable-name-compression=false",
    "-mllvm", "-disable-vp=true", "-mllvm", "-do-counter-promotion=false",
)  # fmt: skip
#: By the variant: what the code of the machine and of the kernel is told.
_DEFINES: Final[dict[Variant, tuple[str, ...]]] = {
    "plain": (),
    "asan": ("-DFL_ASAN=1",),
    "race": ("-DFL_RACE=1", "-DCONFIG_KCSAN=1", "-DCONFIG_KCSAN_WEAK_MEMORY=1"),
}
#: Included before anything else, as the kernel's build does; a tree need not have all.
_FORCED: Final = ("compiler-version.h", "kconfig.h", "compiler_types.h")


class Role(Enum):
    """Where a unit comes from."""

    KERNEL = "kernel"
    """A file of the tree."""
    GLUE = "glue"
    """Ours in csrc/kernel, compiled instead of a file of the tree, which it includes."""
    HOST = "host"
    """Ours in csrc/host: weak, so that the kernel's own definition wins."""
    SCHED = "sched"
    """Ours in csrc/sched, as CHECK: who goes on while operations overlap."""
    CHECK = "check"
    POSIX = "posix"
    """Ours in csrc/posix: against the C library's headers, never instrumented."""

    @property
    def kernel_side(self) -> bool:
        """Whether it is compiled as kernel code."""
        return self is not Role.POSIX


@dataclass(frozen=True, slots=True)
class Unit:
    """One file to compile.  ``name`` is its path in the tree, or from ``csrc/`` on."""

    name: str
    source: Path
    role: Role
    replaces: str = ""
    """For glue: the file of the tree that it includes."""


@dataclass(frozen=True, slots=True)
class Roots:
    """The folders that a build reads.  A flag names them by these fields (``{tree}/mm``), so that what is kept in the
    cache does not depend on where they are."""

    tree: Path
    csrc: Path
    headers: Path
    """Generated headers of the kernel."""
    extra: Path
    """Generated headers of the machine (``ops.h``)."""

    def expand(self, flag: str) -> str:
        """The flag with the real paths."""
        for name in ("tree", "csrc", "headers", "extra"):
            flag = flag.replace(f"{{{name}}}", str(getattr(self, name)))
        return flag

    def collapse(self, path: str) -> str:
        """The path with the name of its folder instead, absolute if it is in none of them."""
        for name in ("tree", "csrc", "headers", "extra"):
            root = f"{getattr(self, name)}/"
            if path.startswith(root):
                return f"{{{name}}}/{os.path.normpath(path[len(root) :])}"
        return os.path.normpath(path)


def find_units(csrc: Path, tree: Path, overlay: Overlay, config: Collection[str], lacks: Lacks) -> list[Unit]:
    """All units, kernel files in the order of sources.txt first; ``config`` names the settings of the profile.

    Files that the tree should have go to ``lacks``.  Raises :class:`FaultlineError`: glue for a file that no tree
    builds.
    """
    units: list[Unit] = []
    glued: set[Path] = set()
    for choices, path in _sources(csrc, overlay, config, lacks):
        glued |= {_glue(csrc, choice) for choice in choices}
        if path is not None:
            units.append(_kernel_unit(csrc, tree, path))
    for glue in sorted((csrc / "kernel").glob("*.c")):
        if glue not in glued:
            raise FaultlineError(f"csrc/kernel/{glue.name} stands for no file that sources.txt names")
    for role in (Role.HOST, Role.SCHED, Role.CHECK, Role.POSIX):
        for source in sorted((csrc / role.value).glob("*.c")):
            units.append(Unit(f"csrc/{role.value}/{source.name}", source, role))
    return units


def _glue(csrc: Path, path: str) -> Path:
    return csrc / "kernel" / path.replace("/", "_")


def _kernel_unit(csrc: Path, tree: Path, path: str) -> Unit:
    glue = _glue(csrc, path)
    if glue.is_file():
        return Unit(f"csrc/kernel/{glue.name}", glue, Role.GLUE, replaces=path)
    return Unit(path, tree / path, Role.KERNEL)


def _sources(
    csrc: Path, overlay: Overlay, config: Collection[str], lacks: Lacks
) -> Iterator[tuple[list[str], str | None]]:
    """For each line its choices, and the one to build: None if the profile or the tree leaves the file out."""
    listing = csrc / "sources.txt"
    try:
        lines = listing.read_text().splitlines()
    except OSError as error:
        raise FaultlineError(f"cannot read {listing}: {error.strerror}") from error
    for number, line in enumerate(lines, 1):
        files, _, condition = line.partition("#")[0].strip().partition(" if CONFIG_")
        if not files:
            continue
        choices = [choice.strip() for choice in files.removeprefix("?").split("|")]
        present = [choice for choice in choices if overlay.exists(choice)]
        wanted = not condition or condition in config
        if wanted and not present and not files.startswith("?"):
            lacks.files.append(f"{' or '.join(choices)} (named by {listing.name}:{number})")
        yield choices, present[0] if wanted and present else None


def flags(unit: Unit, tree: TreeInfo, overlay: Overlay, variant: Variant, *, counted: bool = False) -> list[str]:
    """The compiler flags of a unit but for its source and output, with folders as :class:`Roots` names them.

    :param counted: the library is to count how often each line of the unit runs.
    """
    own = [] if unit.role is Role.KERNEL else ["-I{csrc}", "-I{extra}", "-I{tree}/mm"]
    if unit.role is Role.HOST:
        own.append(f"-DFL_SUBLEVEL={tree.sublevel}")
    if unit.role in (Role.HOST, Role.SCHED, Role.CHECK):
        own.append("-DFL_QUIET=1")  # our own code is not interrupted where it uses the kernel's headers
    maps = ["-ffile-prefix-map={tree}/=", "-ffile-prefix-map={csrc}=csrc", "-fdebug-compilation-dir=."]
    variant_defines = _DEFINES[variant]
    if not unit.role.kernel_side:
        return [*_COMMON_FLAGS, *maps, *variant_defines, "-I{csrc}", "-I{extra}"]
    path = unit.replaces or unit.name
    module = Path(path).stem.replace("-", "_")
    glue = [f'-DFL_SOURCE="{{tree}}/{unit.replaces}"', f"-I{{tree}}/{Path(path).parent}"] if unit.replaces else []
    forced = [f for name in _FORCED if overlay.exists(f"include/linux/{name}") for f in _force(name)]
    sanitised = _ASAN_FLAGS if variant == "asan" else ()
    of_tree = unit.role in (Role.KERNEL, Role.GLUE)
    covered = _COVERAGE_FLAGS if variant == "asan" and of_tree else ()
    watched = _RACE_FLAGS if variant == "race" and of_tree else ()
    counting = COUNT_FLAGS if counted else ()
    return [
        *_KERNEL_FLAGS, *_COMMON_FLAGS, *sanitised, *covered, *watched, *counting, *maps, *variant_defines,
        f"-DFL_KVER={tree.kver}",
        f'-DKBUILD_MODNAME="{module}"', f'-DKBUILD_BASENAME="{module}"', f'-DKBUILD_MODFILE="{path[:-2]}"',
        f"-D__KBUILD_MODNAME=kmod_{module}",
        "-I{csrc}/arch", "-I{headers}/include", "-I{headers}", "-I{tree}/include",
        "-I{csrc}/arch/uapi", "-I{headers}/uapi", "-I{tree}/include/uapi", *forced, *glue, *own,
    ]  # fmt: skip


def _force(name: str) -> tuple[str, str]:
    return "-include", f"{{tree}}/include/linux/{name}"
