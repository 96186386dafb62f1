"""The changed lines of a small patch, in libraries that are run: which ran, in which program."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cffi
import pytest

from faultline.build import covmap
from faultline.build.covmap import Coverage, Kind, read_coverage
from faultline.build.elf import symbol_offset
from faultline.build.toolchain import find_toolchain
from faultline.build.units import COUNT_FLAGS
from faultline.campaign.watch import Reached, Watch, earliest
from faultline.kinds import FaultlineError
from faultline.tree import Overlay
from faultline.verdict.places import Hint, Places, Side
from faultline.verdict.reach import Reach

BEFORE = """
#define unlikely(x) __builtin_expect(!!(x), 0)
#define TWICE(x) \\
	((x) > 90 ? (x) : 2 * (x))
static int dropped(int a) { return a; }
int old(int a) { return a + 1; }
int fl_f(int a)
{
	int b = a;

	if (a > 100)
		b = old(a);
	return b;
}
"""

AFTER = """
#define unlikely(x) __builtin_expect(!!(x), 0)
#define TWICE(x) \\
	((x) > 90 ? (x) : \\
	3 * (x))
int never(int a)
{
	return a - 1;
}
static inline int part(int a)
{
	if (unlikely(a == 3 && a))
		return 7;
	switch (a) {
	case 4:
		a++;
		break;
	default:
		/* a comment */
		a = TWICE(a);
	}
	return a;
}
int fl_f(int a)
{
	int b = a;

	if (a > 5 && part(a) > 9)
		b = part(a);
	else if (a < 0) {
#ifdef OFF
		b = 3;
#endif
		b = part(
			-a);
	}
	return b;
}
"""


@dataclass
class Trial:
    """A patch, and its libraries in this process."""

    places: Places
    watch: Watch
    subject: Any
    base: Any

    def run(self, *values: int) -> Reach:
        """One program for each value."""
        first: dict[int, int] = {}
        for index, value in enumerate(values):
            self.watch.begin()
            self.subject.fl_f(value)
            self.base.fl_f(value)
            earliest(first, Reached(index, self.watch.reached()))
        return self.places.reach(first, {"part": Hint(("write", "fork"))})


def compiled(source: Path, root: Path) -> Path:
    tools, part, library = find_toolchain(), source.with_suffix(".o"), source.with_suffix(".so")
    flags = ["-O2", "-fPIC", "-ffunction-sections", f"-ffile-prefix-map={root}/=", *COUNT_FLAGS]
    subprocess.run([tools.clang, *flags, "-c", "-o", part, source], check=True)
    exports = source.with_suffix(".exports")
    exports.write_text("{ global: fl_*; local: *; };")
    linking = ["--gc-sections", "-zstart-stop-visibility=hidden", f"--version-script={exports}"]
    words = [word for option in linking for word in ("-Xlinker", option)]
    command = [tools.clang, f"--ld-path={tools.linker}", "-shared", "-nostdlib", *words, "-o", library, part]
    subprocess.run(command, check=True)
    return library


def opened(library: Path, side: Side) -> tuple[Any, memoryview]:
    ffi = cffi.FFI()
    ffi.cdef("int fl_f(int a);")
    lib: Any = ffi.dlopen(str(library))
    base = int(ffi.cast("uintptr_t", lib.fl_f)) - symbol_offset(library, "fl_f")
    return lib, memoryview(ffi.buffer(ffi.cast("char *", base + side.start), side.size)).cast("Q")


def tried(tmp_path: Path, before: str, after: str) -> Trial:
    libraries = []
    for name, text in (("before", before), ("after", after)):
        source = tmp_path / name / "mm/a.c"
        source.parent.mkdir(parents=True)
        source.write_text(text)
        libraries.append(compiled(source, tmp_path / name))
    overlay = Overlay(tmp_path / "before")
    overlay.changed["mm/a.c"] = after
    places = Places(overlay, libraries[1], libraries[0])
    subject, new = opened(libraries[1], places.points.subject)
    base, old = opened(libraries[0], places.points.base)
    return Trial(places, Watch(places.points, new, old), subject, base)


@pytest.fixture
def trial(tmp_path: Path) -> Trial:
    return tried(tmp_path, BEFORE, AFTER)


def seen(reach: Reach) -> dict[str, tuple[str, int | None]]:
    return {("-" if one.removed else "") + one.text.strip(): (one.state, one.first) for one in reach.lines}


def test_lines_that_ran_and_lines_that_did_not(trial: Trial) -> None:
    lines = seen(trial.run(1, 3, 6, -4))
    assert lines["if (a > 5 && part(a) > 9)"] == ("reached", 0)
    assert lines["b = part(a);"] == ("reached", 2)
    assert lines["else if (a < 0) {"] == ("reached", 0)
    assert lines["b = part("] == ("reached", 3)
    assert lines["-a);"] == ("reached", 3)
    assert lines["a++;"] == ("reached", 3)
    assert lines["if (unlikely(a == 3 && a))"] == ("reached", 2)
    assert lines["return 7;"] == ("not-reached", None)
    assert lines["3 * (x))"] == ("reached", 2)
    assert lines["/* a comment */"] == lines["case 4:"] == lines["b = 3;"] == ("no-code", None)
    assert lines["return a - 1;"] == ("not-reached", None), "nothing calls it: the linker dropped it"


def test_branches_either_way(trial: Trial) -> None:
    reach = trial.run(1, 6, -4)
    taken = {branch.what: branch.first for line in reach.lines for branch in line.branches}
    assert taken["a > 5: true"] == 1
    assert taken["a > 5: false"] == 0
    assert taken["part(a) > 9: true"] == 1
    assert taken["part(a) > 9: false"] is None
    assert taken["a == 3 && a: true"] is None
    assert taken["a == 3 && a: false"] == 1
    assert taken["a < 0: true"] == 2
    assert reach.branches_taken < reach.branches


def test_what_another_run_did_is_not_the_programs(trial: Trial) -> None:
    trial.subject.fl_f(-3)
    assert seen(trial.run(1))["return 7;"] == ("not-reached", None)
    assert seen(trial.run(1, -3))["return 7;"] == ("reached", 1)


def test_a_removed_line_counts_where_nothing_took_its_place(tmp_path: Path) -> None:
    shorter = BEFORE.replace("	if (a > 100)\n		b = old(a);\n", "").replace("int b = a", "int b = a + 0")
    trial = tried(tmp_path, BEFORE, shorter)
    lines = seen(trial.run(1))
    assert lines == {
        "int b = a + 0;": ("reached", 0),
        "-if (a > 100)": ("reached", 0),
        "-b = old(a);": ("not-reached", None),
    }
    assert seen(trial.run(1, 101))["-b = old(a);"] == ("reached", 1)


def test_functions_and_who_may_reach_them(trial: Trial) -> None:
    reach = trial.run(1)
    part = next(function for function in reach.functions if function.name == "part")
    assert (part.file, part.reached, part.operations) == ("mm/a.c", 0, ("write", "fork"))
    assert part.total == sum(line.function == "part" and line.state != "no-code" for line in reach.lines)
    assert not reach.untested
    assert reach.total == reach.reached + len(reach.missed)


def test_who_calls_a_function(trial: Trial) -> None:
    assert trial.places.callers("part") == ("fl_f",)
    assert trial.places.callers("never") == ()


def test_nothing_ran(trial: Trial) -> None:
    reach = trial.places.reach({}, {})
    assert reach.untested
    assert reach.reached == 0
    assert len(reach.missed) == reach.total > 10


def test_a_library_that_counts_nothing(tmp_path: Path) -> None:
    source = tmp_path / "a.c"
    source.write_text("int fl_f(int a) { return a; }\n")
    clang = find_toolchain().clang
    subprocess.run([clang, "-shared", "-nostdlib", "-fPIC", "-o", tmp_path / "a.so", source], check=True)
    assert read_coverage(tmp_path / "a.so") == Coverage((), 0, 0)


def test_the_mapping_tells_where_functions_are_and_who_is_gone(trial: Trial, tmp_path: Path) -> None:
    coverage = read_coverage(tmp_path / "after/mm/a.so")
    by_name = {function.name: function for function in coverage.functions}
    assert by_name["part"].regions[0].start == (11, 1)
    assert {region.kind for region in by_name["part"].regions} >= {Kind.CODE, Kind.BRANCH, Kind.EXPANSION}
    assert all(offset in range(coverage.start, coverage.start + coverage.size) for offset in by_name["part"].counters)
    assert by_name["never"].counters == ()
    assert read_coverage(tmp_path / "after/mm/a.so", ["mm/b.c"]).functions == ()


def test_a_damaged_table_is_an_error() -> None:
    with pytest.raises(FaultlineError, match="clang 16"):
        covmap._counters(bytes(64), 0, range(8))
