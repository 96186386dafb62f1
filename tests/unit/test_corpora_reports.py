"""corpora/known/reports/: every entry has its report, which says what the entry says."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from faultline.export.expected import check_exportable
from faultline.kinds import FaultlineError
from faultline.program.text import parse_program, parse_repro
from faultline.report import discovery
from faultline.report.discovery import Discovery, discoveries, lists_for, prose, report

KNOWN = Path(__file__).parents[2] / "corpora" / "known"
REPORTS = KNOWN / "reports"
FOUND = discoveries(KNOWN)
AGAIN = "python -m faultline.report.discovery"
entries = pytest.mark.parametrize("name", FOUND)


def text_of(name: str) -> str:
    return (REPORTS / f"{name}.txt").read_text()


def c_of(name: str) -> str:
    """The C program of the report; empty if there is none."""
    return text_of(name).partition(f"--- {FOUND[name].path.stem}.c ---\n")[2]


def lists_of(text: str) -> tuple[str, ...]:
    (to,) = (line.removeprefix("To: ") for line in text.splitlines() if line.startswith("To: "))
    return tuple(address for address in to.split(", ") if not address.startswith("stable@"))


def test_there_is_a_report_of_each_entry_and_no_other() -> None:
    assert {path.stem for path in REPORTS.iterdir()} == set(FOUND)


@entries
def test_the_committed_report_is_current(name: str) -> None:
    text = text_of(name)
    assert {"linux-mm@kvack.org", "linux-kernel@vger.kernel.org"} <= set(lists_of(text))
    expected = "\n".join(prose(FOUND[name], lists_of(text)))
    assert text.startswith(expected), f"write it anew: {AGAIN}"


@entries
def test_its_program_can_be_run_again(name: str) -> None:
    one = FOUND[name]
    assert parse_program(one.program) == parse_repro(one.path.read_text()).ops


@entries
def test_it_has_a_c_program_if_a_running_kernel_can_do_it(name: str) -> None:
    one = FOUND[name]
    refused = ""
    try:
        check_exportable(parse_repro(one.path.read_text()).ops, one.path.name)
    except FaultlineError as error:
        refused = str(error).partition(": ")[2]
    if refused and not one.path.with_suffix(".c").is_file():
        told = " ".join(text_of(name).split())
        assert refused in told
        assert f"faultline replay corpora/known/{one.path.name}" in told
    else:
        assert "int main(" in c_of(name)


@pytest.mark.skipif(not shutil.which("gcc"), reason="no gcc")
@pytest.mark.parametrize("name", [name for name in FOUND if c_of(name)])
def test_the_c_program_compiles(name: str) -> None:
    command = ["gcc", "-fsyntax-only", "-Wall", "-Wextra", "-Werror", "-O2", "-pthread", "-x", "c", "-"]
    done = subprocess.run(command, input=c_of(name), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_report_is_made_of_what_the_entry_says() -> None:
    name = "wp-over-hole"
    assert report(FOUND[name], lists_of(text_of(name))) == text_of(name), f"write it anew: {AGAIN}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return shutil.copytree(KNOWN, tmp_path / "known", ignore=shutil.ignore_patterns(discovery.REPORTS))


def test_an_entry_without_words_is_named(folder: Path) -> None:
    words = (folder / "reports.toml").read_text()
    (folder / "reports.toml").write_text(words.replace("[wp-over-hole]", "[wp-over-whole]"))
    with pytest.raises(FaultlineError, match=r"reports.toml: has no entry wp-over-hole"):
        discoveries(folder)
    (folder / "reports.toml").write_text(f'{words}\n[nothing]\nsubject = "x"\nfiles = []\n')
    with pytest.raises(FaultlineError, match=r"reports.toml: has an odd entry nothing"):
        discoveries(folder)
    (folder / "reports.toml").write_text(words.replace("subject =", "object =", 1))
    with pytest.raises(FaultlineError, match=r"reports.toml: .*unknown field `object`"):
        discoveries(folder)


def test_what_the_running_kernel_showed_is_told(folder: Path) -> None:
    (folder / "live.toml").write_text('[mremap-over-hole]\nkernel = "6.18 (x86_64)"\ntold = "FAIL: 2: it fails"\n')
    told = " ".join(prose(discoveries(folder)["mremap-over-hole"], ("a@b",)))
    assert "The C program below, on Linux 6.18 (x86_64): FAIL: 2: it fails" in told


def test_older_trees_are_kept_by_others() -> None:
    text = text_of("wp-survives-unregister")
    assert "To: stable@vger.kernel.org, " in text
    assert "(Linux 5.10)" in text
    assert "Trees after 5.10 do not show it." in text
    assert "stable@" not in text_of("wp-over-hole")


def tree(folder: Path, script: str) -> Path:
    (folder / "scripts").mkdir(exist_ok=True)
    (folder / "scripts" / "get_maintainer.pl").write_text(script)
    return folder


@pytest.mark.skipif(not shutil.which("perl"), reason="no perl")
def test_the_tree_says_whom_to_tell(tmp_path: Path) -> None:
    told = tree(tmp_path, 'print "one\\@list (open list:X)\\n"; print "$ARGV[-1]\\@list\\n";')
    assert lists_for(told, ("mm/a.c", "mm/b.c")) == ("one@list", "mm/b.c@list")
    with pytest.raises(FaultlineError, match=r"get_maintainer.pl: file not found; see whether the tree has mm/a.c"):
        lists_for(tree(tmp_path, 'print STDERR "file not found\\n"; exit 1;'), ("mm/a.c",))
    with pytest.raises(FaultlineError, match="no list"):
        lists_for(tree(tmp_path, "exit 0;"), ("mm/a.c",))


def test_the_source_of_a_repro_is_told_apart() -> None:
    one: Discovery = FOUND["guard-install-endless"]
    assert one.documented.startswith("guard pages are installed")
    assert one.kernel.startswith("on write-protected pages of a file")
    assert one.source.startswith("madvise_guard_install() gives up")
