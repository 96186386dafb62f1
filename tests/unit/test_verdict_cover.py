"""How often the lines of a small library ran, and the forms in which that is told."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_verdict_places import AFTER, compiled, opened

from faultline.build.covmap import read_coverage
from faultline.report.cover import Asked, lcov, source_lines, table_lines, unreached_lines
from faultline.verdict.cover import CoveredFile, CoveredFunction, Map, Share, branches_of, calls_of, lines_of
from faultline.verdict.places import Hint, Side

FILE = "mm/a.c"
TEXT = AFTER + "static int dropped(int a) { return a; }\n"
LINES = TEXT.split("\n")


class Library:
    """Compiled and open, with its counters at zero."""

    def __init__(self, root: Path) -> None:
        source = root / FILE
        source.parent.mkdir(parents=True)
        source.write_text(TEXT)
        coverage = read_coverage(compiled(source, root), frozenset([FILE]))
        self.map = Map(coverage, {FILE: TEXT})
        self.lib, self.counts = opened(source.with_suffix(".so"), Side(coverage.start, coverage.size))

    def after(self, *values: int) -> CoveredFile:
        for value in values:
            self.lib.fl_f(value)
        (file,) = self.map.covered(self.counts)
        return file


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(tmp_path)


def function(file: CoveredFile, name: str) -> CoveredFunction:
    (found,) = (one for one in file.functions if one.name == name)
    return found


def count(file: CoveredFile, text: str) -> int:
    (found,) = (
        line.count for one in file.functions for line in one.lines if LINES[line.number - 1].strip() == text
    )
    return found


def test_nothing_ran(library: Library) -> None:
    file = library.after()
    assert lines_of(file.functions).reached == branches_of(file.functions).reached == 0
    assert calls_of(file.functions) == Share(0, 2)
    assert {"never", "dropped"} == set(file.dropped), "nothing calls them, so the linker left them out"
    numbers = [line.number for line in function(file, "fl_f").lines]
    assert function(file, "fl_f").missed == ((numbers[0], numbers[-1]),)


def test_lines_and_branches_are_counted(library: Library) -> None:
    file = library.after(1, 1, 6, 3)
    assert function(file, "fl_f").calls == 4
    assert count(file, "if (a > 5 && part(a) > 9)") == 4
    assert count(file, "b = part(a);") == 1
    assert count(file, "-a);") == 0
    assert count(file, "a = TWICE(a);") == 2
    ways = {
        branch.what: (branch.true, branch.false)
        for one in file.functions
        for line in one.lines
        for branch in line.branches
    }
    assert ways["a > 5"] == (1, 3)
    assert ways["part(a) > 9"] == (1, 0)
    assert ways["a < 0"] == (0, 3)
    assert ways["a == 3 && a"] == (0, 2)
    assert function(library.after(-4), "fl_f").calls == 5, "they go on"
    assert library.map.has_code(FILE)
    assert library.map.callers("part") == ("fl_f",)


def test_the_table_and_the_source(library: Library) -> None:
    file = library.after(1)
    head, row, *functions = (text for _, text in table_lines([file], Asked(per_function=True)))
    assert head.split() == ["lines", "branches", "functions"]
    lines = lines_of(file.functions)
    assert row.split()[:4] == [FILE, f"{lines.reached}", "of", f"{lines.total}"]
    assert [text.split()[0] for text in functions] == ["part", "fl_f"]
    assert functions[0].endswith("never")
    assert functions[1].endswith("1 calls")
    shown = [text for _, text in source_lines(file, function(file, "fl_f"), LINES)]
    assert shown[0].startswith(f"{FILE}:{function(file, 'fl_f').line} fl_f(), 1 calls")
    assert shown[1].endswith("int fl_f(int a)")
    at = next(i for i, text in enumerate(shown) if text.endswith("if (a > 5 && part(a) > 9)"))
    assert shown[at].split()[0] == "1"
    assert shown[at + 1].strip() == "^ never true: a > 5"
    assert shown[at + 2].strip() == "^ never evaluated: part(a) > 9"
    assert shown[at + 3].split()[0] == "never"


def test_what_was_not_reached_is_named_with_who_may_get_there(library: Library) -> None:
    file = library.after(1)
    hints = {"part": Hint(("write", "fork"), "fl_f"), "fl_f": Hint(("read",))}
    told = [text for _, text in unreached_lines([file], hints, {FILE: LINES})]
    assert f"{FILE}:{function(file, 'part').line} part() was never called" in told[0]
    assert told[0].endswith("(operations likely to reach fl_f(), which calls it: write, fork)")
    assert any("in fl_f(): b = part(a); (operations likely to reach it: read)" in text for text in told)
    assert told[-1] == f"{FILE}: 2 functions are not in the library, as nothing calls them"


def test_the_tracefile_sums_up_what_it_lists(library: Library) -> None:
    records = lcov([library.after(1, 6)], Path("/tree")).splitlines()
    assert records[:2] == ["TN:faultline", "SF:/tree/mm/a.c"]
    assert records[-1] == "end_of_record"

    def values(key: str) -> list[list[str]]:
        return [line.partition(":")[2].split(",") for line in records if line.startswith(key + ":")]

    for counts, total, hit in (("DA", "LF", "LH"), ("FNDA", "FNF", "FNH"), ("BRDA", "BRF", "BRH")):
        at = 0 if counts == "FNDA" else -1
        taken = [value[at] for value in values(counts)]
        assert values(total) == [[str(len(taken))]]
        assert values(hit) == [[str(sum(one not in ("0", "-") for one in taken))]]
    assert ["2", "fl_f"] in values("FNDA")
    assert len({(line, block, way) for line, block, way, _ in values("BRDA")}) == len(values("BRDA"))
