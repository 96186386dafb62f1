"""Builds a tree, with patches, and the machine into one library."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Final, TypeVar

from faultline.build.headers import BOUNDS_SOURCE, bounds, generated
from faultline.build.lacks import CompileError, Lacks, UndefinedData
from faultline.build.link import Linker, plan
from faultline.build.objects import Compiled, Compiler, digest
from faultline.build.profile import read_profile
from faultline.build.toolchain import find_toolchain
from faultline.build.units import Role, Roots, Unit, Variant, find_units, flags
from faultline.kinds import FaultlineError
from faultline.tree import Overlay, TreeInfo
from faultline.tree.cache import cache_dir, prune_now_and_then, scratch, store, store_folder, touch, writing

#: The cache's objects and libraries may take this much; what was not used for longest goes first.
CACHE_BYTES_MAX: Final = 4 << 30

Progress = Callable[[str, int, int], None]
"""Told what was done last, how many steps are done, and of how many."""

T = TypeVar("T")
R = TypeVar("R")


@cache
def _builder() -> str:
    """This package's own sources: a library that another builder linked is not what this one would make."""
    return digest(*(path.read_text() for path in sorted(Path(__file__).parent.glob("*.py"))))


@dataclass(frozen=True, slots=True)
class BuiltLibrary:
    """A built machine."""

    path: Path
    key: str
    """Stands for the library's content: equal keys are equal libraries."""
    variant: Variant
    profile: str
    tree: TreeInfo
    patches: tuple[Path, ...]
    cached: bool
    """Nothing had to be compiled or linked."""
    seconds: float
    traps: tuple[str, ...]
    """Kernel functions in the library that trap, ascending."""


def csrc_dir() -> Path:
    """The machine's C sources: ``FAULTLINE_CSRC``, else csrc/ of the repository that this package lies in."""
    chosen = os.environ.get("FAULTLINE_CSRC")
    return Path(chosen).expanduser().absolute() if chosen else Path(__file__).resolve().parents[3] / "csrc"


def build(
    tree: TreeInfo,
    patches: Sequence[Path] = (),
    *,
    variant: Variant = "plain",
    profile: str = "base",
    jobs: int = 2,
    extra_headers: Mapping[str, str] | None = None,
    progress: Progress = lambda _stage, _done, _total: None,
    csrc: Path | None = None,
    counted: Collection[str] = (),
) -> BuiltLibrary:
    """Builds ``tree`` with ``patches`` (applied in order) and the machine in ``csrc`` into one library.

    ``extra_headers`` are generated headers of the machine, name -> text.  ``jobs`` compilers run at once.  All that was
    built before is taken from the cache by its content.  ``counted`` are files of the tree: the library counts how
    often their lines run (:func:`faultline.build.covmap.read_coverage`).  Raises :class:`FaultlineError`: a patch that
    does not apply or compile, a missing program, kernel data that nothing defines, a cache that cannot be written.
    """
    started = time.monotonic()
    root = cache_dir()
    overlay = Overlay(tree.path, patches)
    with scratch(root) as work:
        extra, files = dict(extra_headers or {}), frozenset(counted)
        job = _Job(tree, overlay, csrc or csrc_dir(), variant, profile, jobs, extra, root, work, progress, files)
        path, key, traps, cached = job.run()
    if not cached:
        prune_now_and_then(root, CACHE_BYTES_MAX)
    seconds = time.monotonic() - started
    return BuiltLibrary(path, key, variant, profile, tree, tuple(patches), cached, seconds, traps)


def kernel_files(overlay: Overlay, profile: str) -> tuple[str, ...]:
    """Paths of the files of a tree that a library is built of, without headers."""
    csrc = csrc_dir()
    units = find_units(csrc, overlay.tree, overlay, read_profile(csrc, profile), Lacks())
    return tuple(sorted(unit.replaces or unit.name for unit in units if unit.role in (Role.KERNEL, Role.GLUE)))


@dataclass(slots=True)
class _Job:
    tree: TreeInfo
    overlay: Overlay
    csrc: Path
    variant: Variant
    profile: str
    jobs: int
    extra_headers: dict[str, str]
    root: Path
    work: Path
    progress: Progress
    counted: frozenset[str]

    def run(self) -> tuple[Path, str, tuple[str, ...], bool]:
        config = read_profile(self.csrc, self.profile)
        lacks = Lacks()
        units = find_units(self.csrc, self.tree.path, self.overlay, config, lacks)
        compiler = self._compiler(config)
        objects = self._objects(compiler, units, lacks)
        script = self.csrc / "link.ld"
        linker = Linker(compiler.toolchain, self.root, self.work, script if script.is_file() else None)
        key = digest(linker.identity, _builder(), *(f"{entry.unit.name} {entry.key}" for entry in objects))
        library, listing = self.root / "libs" / f"{key}.so", self.root / "libs" / f"{key}.traps"
        if library.is_file() and listing.is_file():
            touch(library)
            touch(listing)
            return library, key, tuple(listing.read_text().split()), not any(entry.fresh for entry in objects)
        self.progress("link", len(units), len(units))
        if lacks:
            self._lacking_data(linker, compiler, objects, units, lacks)
            raise lacks.error(self.tree)
        made, traps = linker.link(plan(objects, partial(self._kinds, compiler)))
        with writing(self.root):
            store(listing, "\n".join(traps).encode())
            library.parent.mkdir(parents=True, exist_ok=True)
            made.replace(library)
        return library, key, traps, False

    def _compiler(self, config: dict[str, str]) -> Compiler:
        """Writes the generated headers and sets up a compiler that sees them."""
        headers = generated(self.tree, self.overlay, self.csrc, config)
        extra = self._folder(self.extra_headers)
        compiler = self._compiler_with(headers | {"include/generated/bounds.h": ""}, extra)
        unit = Unit(BOUNDS_SOURCE, self.tree.path / BOUNDS_SOURCE, Role.KERNEL)
        constants = bounds(compiler.text(unit, [*flags(unit, self.tree, self.overlay, "plain"), "-S"]))
        if not constants:
            raise FaultlineError(f"{BOUNDS_SOURCE} of the tree yields no constants")
        return self._compiler_with(headers | {"include/generated/bounds.h": constants}, extra)

    def _compiler_with(self, headers: dict[str, str], extra: Path) -> Compiler:
        roots = Roots(self.tree.path, self.csrc, self._folder(headers), extra)
        own = sorted(str(path.relative_to(self.csrc)) for path in self.csrc.rglob("*.h"))
        arch = [path for path in own if path.startswith("arch/")]
        # a header that comes or goes may change which one an unchanged #include finds; no other file can
        moved = sorted(
            path
            for path, content in self.overlay.changed.items()
            if path.endswith(".h") and (content is None or not (self.tree.path / path).is_file())
        )
        kernel_layout = digest(*sorted(headers), "", *arch, "", *moved)
        layouts = {role: kernel_layout if role is Role.KERNEL else digest(kernel_layout, *own) for role in Role}
        vfs = self.overlay.save(self.root)
        return Compiler(find_toolchain(), roots, self.overlay, vfs, self.root, self.work, layouts)

    def _folder(self, headers: dict[str, str]) -> Path:
        """A folder of the cache with these files."""
        parts = [text for path, content in sorted(headers.items()) for text in (path, content)]
        folder = self.root / "headers" / digest(*parts)
        store_folder({path: content.encode() for path, content in headers.items()}, folder, self.root)
        return folder

    def _lacking_data(
        self, linker: Linker, compiler: Compiler, objects: list[Compiled], units: list[Unit], lacks: Lacks
    ) -> None:
        """Adds the variables that nothing defines, as far as that can be told without what did not compile."""
        failed = {error.unit for error in lacks.units}
        texts = [self._text(unit) for unit in units if unit.name in failed]
        try:
            linker.link(plan(objects, partial(self._kinds, compiler)))
        except UndefinedData as error:
            for name, users in error.users.items():
                if not any(re.search(rf"\b{re.escape(name)}\b", text) for text in texts):
                    lacks.data[name] = users
        except FaultlineError:
            pass  # what else the linker has to say follows from what is missing

    def _text(self, unit: Unit) -> str:
        """The source of a unit, with that of the kernel file that it stands for."""
        own = unit.source.read_text(errors="replace") if unit.source.is_file() else ""
        return own + (self.overlay.read(unit.replaces or unit.name) or "")

    def _objects(self, compiler: Compiler, units: list[Unit], lacks: Lacks) -> list[Compiled]:
        """All objects that there are, in the order of ``units``; patched files first, as they may fail, then big ones.

        Without patches what does not compile goes to ``lacks``, with patches the first failure is raised.
        """

        def urgency(unit: Unit) -> tuple[bool, int]:
            size = unit.source.stat().st_size if unit.source.is_file() else 0
            return (unit.replaces or unit.name) not in self.overlay.touched, -size

        def compile_unit(unit: Unit) -> Compiled | CompileError:
            try:
                counts = self._counts(compiler, unit)
                return compiler.object(unit, flags(unit, self.tree, self.overlay, self.variant, counted=counts))
            except CompileError as error:
                if self.overlay.touched:
                    raise
                return error

        done: dict[str, Compiled] = {}
        ordered = sorted(units, key=urgency)
        for unit, entry in self._parallel(compile_unit, ordered):
            if isinstance(entry, CompileError):
                lacks.units.append(entry)
                continue
            done[unit.name] = entry
            self.progress(f"compile {unit.name}" if entry.fresh else "cached", len(done), len(units))
        lacks.units.sort(key=lambda error: error.unit)
        return [done[unit.name] for unit in units if unit.name in done]

    def _counts(self, compiler: Compiler, unit: Unit) -> bool:
        """Whether some code of the unit is of a file to be counted: its own, or a header that it includes, as far as
        is known from the last time that it was compiled."""
        if unit.role not in (Role.KERNEL, Role.GLUE) or not self.counted:
            return False
        if (unit.replaces or unit.name) in self.counted:
            return True
        headers = {path for path in self.counted if path.endswith(".h")}
        reads = compiler.reads(unit, flags(unit, self.tree, self.overlay, self.variant)) if headers else frozenset()
        return reads is None or not headers.isdisjoint(reads)

    def _kinds(self, compiler: Compiler, users: dict[str, list[Compiled]]) -> dict[str, bool]:
        """Which symbols are functions, as the compiler declares them in one of the units that use each."""
        chosen = {entries[0].unit.name: entries[0].unit for entries in users.values()}
        kinds: dict[str, bool] = {}
        for _, found in self._parallel(partial(_declared, compiler, self.tree, self.overlay), list(chosen.values())):
            kinds |= found
        return {name: kinds.get(name, False) for name in users}

    def _parallel(self, work: Callable[[T], R], items: Sequence[T]) -> Iterator[tuple[T, R]]:
        """Runs ``work`` on all items, at most ``jobs`` at once, and yields results as they come.

        The first failure ends it and is raised.
        """
        pool = ThreadPoolExecutor(max(1, self.jobs))
        try:
            futures: dict[Future[R], T] = {pool.submit(work, item): item for item in items}
            for future in as_completed(futures):
                yield futures[future], future.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _declared(compiler: Compiler, tree: TreeInfo, overlay: Overlay, unit: Unit) -> dict[str, bool]:
    """The undefined symbols of a unit: name -> whether it is a function, from the compiler's intermediate code."""
    unoptimised = ["-S", "-emit-llvm", "-Xclang", "-disable-llvm-passes"]
    code = compiler.text(unit, [*flags(unit, tree, overlay, "plain"), *unoptimised])
    functions = re.findall(r'^declare [^@]*@"?([\w.$]+)"?\(', code, re.MULTILINE)
    data = re.findall(r'^@"?([\w.$]+)"? = .*external .*global', code, re.MULTILINE)
    return dict.fromkeys(data, False) | dict.fromkeys(functions, True)
