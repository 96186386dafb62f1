"""KTAP, JUnit XML and mail of all kinds of findings; the report command and what can go wrong with it."""

from __future__ import annotations

import errno
import io
import re
import shlex
import subprocess
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
import report_documents as documents
from junitparser import Error, Failure, JUnitXml, Skipped

from faultline import cli
from faultline.cli.report import FORMS, c_programs, report_command
from faultline.export.fold import columns
from faultline.kinds import ExitStatus, FindingKind
from faultline.program.text import parse_program
from faultline.report.document import Document, read, write
from faultline.report.html import FULL_MAX, html
from faultline.report.junit import junit
from faultline.report.ktap import ktap
from faultline.report.mail import WIDTH, command_lines, mail, operation_lines, trailer

ALL = documents.made(documents.all_kinds(), diff=documents.DIFF, reach=documents.reach(), cost=documents.cost())
COST = documents.made(cost=documents.cost())
SERIES = documents.made([documents.lost_bit()], series=documents.series())
UNFINISHED = documents.made(ended=False, verdict="unfinished")


# --- KTAP ---

_RESULT = re.compile(r"(not )?ok (\d+) ([^#]*?)(?: # SKIP (.*))?$")


def results_of(lines: list[str], depth: int = 0) -> dict[str, object]:
    """The results by name, of a test with subtests as such a table; takes the lines from the front."""
    indent = "  " * depth
    results: dict[str, object] = {}
    inner: dict[str, object] | None = None
    assert lines.pop(0) == indent + "KTAP version 1"
    plan = next(line for line in lines if line.startswith(indent + "1.."))
    count = int(plan.strip()[3:])
    while lines and len(results) < count:
        line = lines[0]
        if line.startswith(indent + "  KTAP"):
            inner = results_of(lines, depth + 1)
            continue
        assert line.startswith(indent)
        line = lines.pop(0)[len(indent) :]
        if line.startswith("#") or line == plan.strip():
            continue
        match = _RESULT.fullmatch(line)
        assert match, line
        assert int(match[2]) == len(results) + 1
        passed = "skip" if match[4] else "not ok" if match[1] else "ok"
        assert inner is None or passed == ("not ok" if "not ok" in inner.values() else "ok")
        results[match[3]] = inner if inner is not None else passed
        inner = None
    assert len(results) == count
    return results


def test_ktap_has_a_test_for_each_kind_and_a_subtest_for_each_finding() -> None:
    lines = ktap(ALL).splitlines()
    results = results_of(lines)
    assert lines == []
    assert list(results) == [*(kind.value for kind in FindingKind), "reach"]
    signatures = {name for inner in results.values() if isinstance(inner, dict) for name in inner}
    assert signatures == {found.signature for found in ALL.findings}
    assert results["reach"] == "skip", "what never ran was not tested"


def test_ktap_of_a_clean_run_and_of_one_that_says_nothing() -> None:
    clean = results_of(ktap(documents.made(reach=documents.reach(missed=False))).splitlines())
    assert set(clean.values()) == {"ok", "skip"}
    assert [name for name, result in clean.items() if result == "skip"] == ["data-race"]
    for document in (UNFINISHED, documents.made(interrupted=True), documents.made(verdict="not-tested")):
        assert set(results_of(ktap(document).splitlines()).values()) == {"skip"}


def test_the_name_of_a_test_cannot_be_a_directive() -> None:
    record = documents.crafted(FindingKind.HANG)
    finding = msgspec.structs.replace(record.finding, aspect="a # SKIP b")
    document = documents.made([replace(record, finding=finding)])
    assert results_of(ktap(document).splitlines())["hang"] == {"hang:read:a _ SKIP b": "not ok"}


def test_ktap_of_a_series_has_a_subtest_for_each_patch() -> None:
    results = results_of(ktap(SERIES).splitlines())
    assert list(results["series"].values()) == ["ok", "not ok", "ok", "skip", "not ok", "not ok"]
    assert "2/6 mm: pass the result by value _2" in results["series"]


# --- JUnit ---


def test_junit_is_read_by_others() -> None:
    xml = JUnitXml.fromfile(io.BytesIO(junit(ALL)))
    (suite,) = xml
    assert suite.name == "faultline check debian:6.12 + t5.cocci"
    assert (suite.tests, suite.failures, suite.errors) == (len(ALL.findings) + 1, len(ALL.findings) - 1, 1)
    failed = {case.name: case.result[0] for case in suite if case.result}
    assert {name for name, result in failed.items() if isinstance(result, Failure | Error)} == {
        found.signature for found in ALL.findings
    }
    errors = [case.classname for case in suite if case.result and isinstance(case.result[0], Error)]
    assert errors == ["faultline.tool-error"]
    assert isinstance(failed["reach"], Skipped)
    result = failed["wrong-data:read:value"]
    assert (result.type, result.message) == ("wrong-data", "reads 1")
    assert "p0.0 read a0     # <- wrong-data" in result.text
    facts = {fact.name: fact.value for fact in suite.properties()}
    assert facts["command"] == ALL.command


def test_junit_of_a_clean_run_passes() -> None:
    (suite,) = JUnitXml.fromfile(io.BytesIO(junit(documents.made())))
    assert (suite.tests, suite.failures, suite.errors, suite.skipped) == (len(FindingKind), 0, 0, 1)


def test_junit_of_a_series_has_its_patches() -> None:
    (suite,) = JUnitXml.fromfile(io.BytesIO(junit(SERIES)))
    patches = {case.name: case.result for case in suite if case.classname == "faultline.series"}
    assert [type(result[0]).__name__ if result else "passed" for result in patches.values()] == [
        "passed", "Failure", "passed", "Skipped", "Error", "Error",
    ]  # fmt: skip
    assert (suite.failures, suite.errors) == (2, 2)


def test_junit_holds_no_character_that_xml_lacks() -> None:
    document = documents.made(command="faultline run --out \x00\x1b\ud800&<>\"'")
    (suite,) = JUnitXml.fromfile(io.BytesIO(junit(document)))
    assert {fact.name: fact.value for fact in suite.properties()}["command"].endswith("���&<>\"'")


# --- mail ---

DOCUMENTS = [
    ALL, UNFINISHED, SERIES, COST, documents.made(), documents.made(interrupted=True),
    documents.made(verdict="not-tested"),
    documents.made([documents.lost_bit()], command="faultline check --patch '" + "x y" * 90 + "' --seed 1"),
]  # fmt: skip


@pytest.mark.parametrize("document", DOCUMENTS)
def test_no_line_of_a_mail_is_too_long(document: Document) -> None:
    text = mail(document, c_programs(document))
    assert [line for line in text.splitlines() if columns(line) > WIDTH] == []
    assert [line for line in text.splitlines() if line.startswith(">") or line != line.rstrip()] == []


def test_a_mail_says_all() -> None:
    document = documents.made([documents.lost_bit()], diff=documents.DIFF, reach=documents.reach())
    text = mail(document, c_programs(document))
    for part in (
        "1 finding\ndebian:6.12 + t5.cocci", "4,321 programs in 60.0 s", "Reach: 1 of 2 changed lines ran",
        "NOT TESTED", "mm/memory.c:3663 (do_wp_page)", "likely to reach it: write, fork", "lost-bit: operation 6 of 7",
        "  p0.0 fork p1  # <- here", "expected  p0 a0: =7 rw present uffd-wp reg-wp", "int main(void)",
        "the base tree shows it too:\n  stray-bit:fork:soft-dirty",
    ):  # fmt: skip
        assert part in text, part
    last = text[text.rindex("\n\n") :].split()
    assert last[:3] == ["Faultline:", "1", "finding"]
    assert "linux-source-6.12" in last


def test_a_mail_says_what_the_patches_cost() -> None:
    text = mail(COST, {})
    assert (
        "Cost: 8 operations cost something else in 3,990 programs (10 with a finding or another outcome left out); "
        "regions of code that run in the changed files: +0.08 %; mprotect +0.08 %."
    ) in " ".join(text.split())
    for part in (
        "  mprotect\n    TLB flushes 0.83 -> 1.67 (+100 %), in 1,000 of 1,200 (there 1 -> 2)\n"
        "    other CPUs told to flush 0.00 -> 0.83 (was none), in 1,000 of 1,200\n      (there 0 -> 1)\n"
        "    such as\n      p0.0 mmap a0 rw\n      p0.0 mprotect a0 r\n",
        "  write fault (write-protected)\n    page tables and kernel pages allocated 2.50 -> 2.50 (+0.1 %),",
        "  ... and 2 more operations",
    ):
        assert part in text, part
    assert "Cost" not in mail(documents.made(), {})


def test_ktap_says_what_the_patches_cost_in_a_comment() -> None:
    assert "# cost: 8 operations cost something else in 3,990 programs" in ktap(COST)
    assert results_of(ktap(COST).splitlines()) == results_of(ktap(documents.made()).splitlines())


def test_a_mail_of_a_series_says_which_patch_it_is() -> None:
    text = mail(SERIES, {})
    assert text.startswith("1 finding, and 1 that a later patch mends\n")
    assert "  2/6  findings: mm: pass the result by value #2\n      brings unlock-not-owner:write:handle" in text
    assert "broken between 2/6 and 3/6: unlock-not-owner:write:handle_userfault" in text
    assert "not seen again, so no patch is named: hang:read:x" in text


def test_the_programs_of_a_mail_can_be_cut_out_and_used() -> None:
    document = documents.made([documents.lost_bit()])
    text = mail(document, c_programs(document))
    program = text[text.index("  p0.0 mmap") : text.index("\nexpected")]
    assert parse_program(program) == document.findings[0].ops
    code = text[text.index("// SPDX") : text.index("\nFaultline:")]
    command = ["gcc", "-fsyntax-only", "-Wall", "-Wextra", "-Werror", "-x", "c", "-"]
    subprocess.run(command, input=code, text=True, check=True)


def test_why_there_is_no_c_program_is_said() -> None:
    pinned = documents.judged("p0.0 mmap a0 rw\np0.0 pin k0 a0\np0.0 read a0\n", "wrong_read")
    document = documents.made([documents.crafted(FindingKind.LOCK_LEAK), pinned])
    text = mail(document, c_programs(document))
    assert "No C program for finding 1: a given schedule cannot be had of a live\nkernel" in text
    assert "No C program for finding 2: 'p0.0 pin k0 a0' cannot be exported" in text


def test_the_trailer_is_one_that_git_reads() -> None:
    lines = trailer(documents.made(reach=documents.reach()))
    assert lines[0].startswith("Faultline: clean (faultline 0.1.0, ")
    done = subprocess.run(
        ["git", "interpret-trailers", "--parse"], input="subject\n\ntext\n\n" + "\n".join(lines) + "\n",
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == "Faultline: clean (faultline 0.1.0, linux-source-6.12 6.12.117-1, seed 1, reach 1/2)\n"


@pytest.mark.parametrize("word", ["short", "x" * 200, "it's " * 60, "/a/b c/" * 30])
def test_a_wrapped_command_is_the_same_command(word: str) -> None:
    command = shlex.join(["printf", "%s.", "first", word, "--seed", "1", word, "last"])
    lines = command_lines(command)
    assert max(map(len, lines)) <= WIDTH
    done = subprocess.run(["sh", "-c", "\n".join(lines)], capture_output=True, text=True, check=True)
    assert done.stdout == f"first.{word}.--seed.1.{word}.last."


def test_a_wrapped_operation_is_the_same_operation() -> None:
    flags = "event-fork,wp-async,wp-unpopulated,sigbus,event-remap,event-remove,event-unmap"
    for text in (f"p1.1 uffd-open u7 {flags}", "p0.0 read a0"):
        lines = operation_lines(text, "  ")
        assert max(map(len, lines)) <= WIDTH
        assert parse_program("\n".join(lines)) == parse_program(text)


# --- the command ---


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write(ALL, tmp_path / "run/result.json")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_report_is_a_page_beside_the_run_unless_it_is_told(folder, capsys) -> None:
    for run in ("run", "run/result.json"):
        assert cli.command_line(["report", run]) == ExitStatus.CLEAN
        page = folder / "run/report.html"
        assert page.read_text() == html(ALL)
        assert capsys.readouterr().out == "run/report.html\n"
        page.unlink()


def test_all_forms_at_once(folder, capsys) -> None:
    files = [word for form in ("html", "junit", "ktap", "json") for word in (f"--{form}", f"a.{form}")]
    assert cli.command_line(["report", "run", *files, "--mail"]) == ExitStatus.CLEAN
    out = capsys.readouterr().out
    assert (folder / "a.html").read_text() == html(ALL)
    assert (folder / "a.junit").read_bytes() == junit(ALL)
    assert (folder / "a.ktap").read_text() == ktap(ALL)
    assert read(folder / "a.json") == ALL
    assert out.endswith(mail(ALL, c_programs(ALL)))
    assert not (folder / "run/report.html").exists()


def test_standard_output_is_a_file_too(folder, capsys) -> None:
    assert cli.command_line(["report", "run", "--ktap", "-"]) == ExitStatus.CLEAN
    assert capsys.readouterr().out == ktap(ALL)


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "no run: no result.json there"), (b"", "damaged"), (b'{"format": 99}', "format 99; this")],
)
def test_what_is_no_run_is_one_line(folder, capsys, content: bytes | None, message: str) -> None:
    (folder / "run/result.json").unlink()
    if content is not None:
        (folder / "run/result.json").write_bytes(content)
    assert cli.command_line(["report", "run", "--mail"]) == ExitStatus.USAGE
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert len(err.splitlines()) == 1


def test_a_damaged_diff_is_one_line(folder, capsys) -> None:
    write(documents.made(diff=documents.DIFF.replace("-3659,4", "-3659,9")), folder / "run/result.json")
    assert cli.command_line(["report", "run"]) == ExitStatus.USAGE
    assert "diff is damaged" in capsys.readouterr().err


def test_a_full_disk_leaves_no_half_page(folder, capsys, monkeypatch) -> None:
    real = Path.write_bytes

    def full(self: Path, data: bytes) -> int:
        real(self, data[: len(data) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    assert cli.command_line(["report", "run"]) == ExitStatus.ERROR
    assert "run/report.html: No space left on device; name another place" in capsys.readouterr().err
    assert [file.name for file in (folder / "run").iterdir()] == ["result.json"]


def test_run_and_check_speak_ktap_and_write_junit(plant, patch, capsys, tmp_path) -> None:
    plant("wrong_read", base=[])
    command = ["check", "--patch", str(patch), "--programs", "60", "--jobs", "1", "--seed", "3", "--out", "found", "-q"]
    assert cli.command_line([*command, "--ktap", "--junit", "j.xml"]) == ExitStatus.FINDINGS
    out, err = capsys.readouterr()
    assert results_of(out.splitlines())["wrong-data"] == {"wrong-data:read:value": "not ok"}
    assert "wrong-data: operation 2 of 2" in err
    (suite,) = JUnitXml.fromfile(str(tmp_path / "j.xml"))
    assert suite.failures == 1
    assert cli.command_line([*command, "--ktap", "--json"]) == ExitStatus.USAGE
    assert "both for standard output" in capsys.readouterr().err


def test_the_page_of_a_long_run_is_not_too_large() -> None:
    records = [documents.crafted(kind) for kind in FindingKind] * 12
    diff = documents.DIFF + "@@ -4000,0 +4001,20000 @@\n" + "+\tsome_function(with, some, arguments);\n" * 20_000
    page = html(documents.made(records, diff=diff, reach=documents.reach()))
    assert len(page.encode()) < 2_000_000
    assert page.count('class="finding"') == FULL_MAX < len(records)
    assert "No picture: the page would be too large." in page
    assert "more lines are not shown" in page


def test_every_form_is_one_that_the_command_knows() -> None:
    options = {name for option in report_command.params for name in option.opts}
    assert {f"--{form}" for form in FORMS} < options
