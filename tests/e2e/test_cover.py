"""`faultline cover`: what programs reach, on a real kernel."""

from __future__ import annotations

from typing import Any

import pytest
from commands import interrupted
from test_reach import MIXED

from faultline.kinds import ExitStatus

FILE = "mm/mprotect.c"
WRITE = "p0.0 mmap a0+4 rw\np0.0 write a0 =1\n"
PROTECT = WRITE + "p0.0 mprotect a0+2 r\np0.0 mprotect a0+4 rw\n"


@pytest.fixture
def programs(tmp_path):
    (tmp_path / "write.prog").write_text(WRITE)
    (tmp_path / "protect.prog").write_text(PROTECT)
    return tmp_path


def only_file(done) -> dict[str, Any]:
    assert done.status == ExitStatus.CLEAN, done.err
    (file,) = done.json["files"]
    return file


def function(file: dict[str, Any], name: str) -> dict[str, Any]:
    (found,) = (one for one in file["in"] if one["name"] == name)
    return found


def test_the_programs_that_are_named_and_no_others(faultline, programs):
    command = ("cover", "--file", FILE, "--json", "--jobs")
    wrote = only_file(faultline(*command, 1, "write.prog"))
    assert wrote["lines"]["reached"] == wrote["branches"]["reached"] == wrote["functions"]["reached"] == 0
    assert wrote["lines"]["total"] > 100
    assert "mprotect_fixup" in [one["name"] for one in wrote["in"]]
    protected = only_file(faultline(*command, 1, "protect.prog"))
    fixup = function(protected, "mprotect_fixup")
    assert fixup["calls"] == 2, "one for each mprotect: the second joins what the first had split"
    both = faultline(*command, 2, programs)
    assert both.json["programs"] == 2
    assert only_file(both) == protected, "two workers, and a program that adds nothing"


def test_the_corpus_reaches_most_of_it_and_the_forms_agree(faultline, tmp_path):
    done = faultline("cover", "--file", FILE, "--json", "--lcov", "reach.info")
    file = only_file(done)
    lines = file["lines"]
    assert lines["reached"] > lines["total"] / 2
    counts = {line: count for one in file["in"] for line, count in one["counts"].items()}
    assert len(counts) == lines["total"]
    records = (tmp_path / "reach.info").read_text().splitlines()
    assert f"LH:{lines['reached']}" in records
    assert {line.removeprefix("DA:") for line in records if line.startswith("DA:")} == {
        f"{line},{count}" for line, count in counts.items()
    }
    said = faultline("cover", "--file", FILE, "--function", "mprotect_fixup").out
    shown = function(file, "mprotect_fixup")["counts"]
    rows = [words for words in map(str.split, said.splitlines()) if len(words) > 2 and words[1] in shown]
    assert len(rows) == len(shown)
    assert all(words[0] == (f"{shown[words[1]]:,}" if shown[words[1]] else "never") for words in rows)


def test_what_is_not_reached_is_named(faultline, programs):
    said = faultline("cover", "--file", FILE, "--unreached", "write.prog").out
    (never,) = (line for line in said.splitlines() if " mprotect_fixup() was never called" in line)
    assert never.startswith(f"{FILE}:")
    assert "(operations likely to reach it: " in never
    assert "mprotect" in never.partition("likely to reach it: ")[2]
    said = faultline("cover", "--file", FILE, "--unreached", "protect.prog").out
    assert "mprotect_fixup() was never called" not in said
    assert " in mprotect_fixup(): " in said, "but not all of it ran"


def test_the_lines_of_a_patch(faultline, tmp_path):
    (tmp_path / "mixed.cocci").write_text(MIXED)
    done = faultline("cover", "--patch", "mixed.cocci", "--json")
    file = only_file(done)
    assert file["path"] == "mm/memory.c"
    patch = done.json["patch"]
    assert (patch["reached"], patch["total"]) == (2, 3)
    lines = {line["text"].strip(): line for line in patch["lines"]}
    ran, never = lines["unsigned long first = vmf->vma->vm_start;"], lines["return VM_FAULT_SIGBUS;"]
    assert (ran["state"], never["state"]) == ("reached", "not-reached")
    counts = function(file, "do_wp_page")["counts"]
    assert counts[str(ran["line"])] == function(file, "do_wp_page")["calls"] > 0
    assert counts[str(never["line"])] == 0
    assert "reach: 2 of 3 changed lines ran" in faultline("cover", "--patch", "mixed.cocci").out


def test_a_campaign_reaches_more_and_ctrl_c_keeps_it(tmp_path):
    done = interrupted(tmp_path, "cover", "--file", FILE, "--time", 600, "--seed", 1, at=" programs, ", on="stderr")
    assert done.status == ExitStatus.INTERRUPTED, done.err
    out, err = done.out, done.err
    *_, last = out.splitlines()
    assert last.endswith(", seed 1, interrupted")
    assert int(last.split()[0].replace(",", "")) > 0
    (row,) = (line for line in out.splitlines() if line.startswith(FILE))
    assert int(row.split()[1].replace(",", "")) > 0
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (("--tree", "nowhere"), ExitStatus.ERROR, "no such kernel tree"),
        (("--file", "mprotect.c"), ExitStatus.USAGE, "no such file; do you mean mm/mprotect.c?"),
        (("--file", "mm/zswap.c"), ExitStatus.SKIPPED, "not built in the profile base"),
        (("--file", FILE, "--function", "mprotect_fixups"), ExitStatus.USAGE, "do you mean mprotect_fixup?"),
        (("broken.prog",), ExitStatus.USAGE, "broken.prog:1: unknown operation 'fly'"),
        (("missing.prog",), ExitStatus.USAGE, "missing.prog: No such file"),
        (("--patch", "missing.patch"), ExitStatus.USAGE, "missing.patch: No such file"),
        (("--patch", "misfit.patch"), ExitStatus.ERROR, "misfit.patch"),
        (("--patch", "elsewhere.patch"), ExitStatus.SKIPPED, "nothing to test"),
        (("--file", FILE, "--lcov", "/proc/a", "write.prog"), ExitStatus.ERROR, "/proc/a: "),
        (("--file", FILE, "huge.prog"), ExitStatus.SKIPPED, "no program ran"),
    ],
)
def test_bad_input_is_one_line(faultline, programs, arguments, status, message):
    (programs / "broken.prog").write_text("p0.0 fly a0\n")
    (programs / "huge.prog").write_text("p0.0 mmap-hugetlb a0+16 rw\n")
    (programs / "misfit.patch").write_text("--- a/mm/memory.c\n+++ b/mm/memory.c\n@@ -1,1 +1,1 @@\n-no\n+yes\n")
    (programs / "elsewhere.patch").write_text("--- /dev/null\n+++ b/Documentation/new\n@@ -0,0 +1 @@\n+new\n")
    done = faultline("cover", "-q", *arguments)
    assert done.status == status, done.err
    assert message in done.err
    (line,) = done.err.splitlines()
    assert line.startswith("faultline: ")
