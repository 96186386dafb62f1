"""Export: what is refused, what a file says, and that all C compiles."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from faultline.cli import command_line
from faultline.export.expected import EXPORT_HAS, check_exportable, expected
from faultline.export.files import Source, plain_c, pytest_test, remarks_of, selftest
from faultline.export.parts import parts
from faultline.kinds import ExitStatus, FaultlineError
from faultline.oracle.model import Oracle
from faultline.program.ops import OPS, TASK_MONITOR, Actor, Op
from faultline.program.text import format_operation, parse_program, parse_repro
from faultline.program.trace import Status

_FLAGS = ("-fsyntax-only", "-Wall", "-Wextra", "-Werror", "-O2", "-x", "c", "-")
_VERSION = (6, 12)

_COW = """\
# A child gets its own copy
# while the parent waits.
kernel: debian:6.12
p0.0 mmap a0+2 rw
p0.0 write a0 =1
p0.0 fork p1
p0.0 uffd-open u0
m uffd-register u0 a0+2 wp
# Now it is protected.
m uffd-wp u0 a0
p0.0 write a0 =2     # blocks
p1.0 read a0
m uffd-read u0 u1
m uffd-resolve u0 a0
p0.0 read a0
"""


def _source(text: str, name: str = "cow.prog") -> Source:
    return Source(Path(name), parse_repro(text), text)


def _main_of(code: str) -> str:
    return code[code.index("int main(void)") :]


def _compiles(code: str, *flags: str) -> None:
    done = subprocess.run(
        ["gcc", *_FLAGS[:-3], *flags, *_FLAGS[-3:]], input=code, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("program", "told"),
    [
        ("m fail page n1", "'m fail page n1' cannot be exported: a running kernel's requests"),
        ("p0.0 mmap a0 rw\np0.0 guest-read a0", "'p0.0 guest-read a0'"),
        ("p0.0 pin k0 a0", "'p0.0 pin k0 a0'"),
        ("p0.0 madvise a0 hugepage", "'p0.0 madvise a0 hugepage'"),
        ("m migrate p0 a0", "'m migrate p0 a0'"),
        ("par {\n  p0.0 mmap a0 rw\n  p0.1 mmap a1 rw\n}", "schedule"),
    ],
)
def test_what_a_live_kernel_cannot_do_is_named(program: str, told: str) -> None:
    with pytest.raises(FaultlineError, match=re.escape(told)) as error:
        check_exportable(parse_program(program), "x.prog")
    assert error.value.status == ExitStatus.SKIPPED


_EACH = [op for op in OPS if EXPORT_HAS.issuperset(op.needs) and op.name != "pin-write"]
_BEFORE = """\
p0.0 mmap a0+8 rw
p0.0 file-open f0 memfd @4
p0.0 uffd-open u0
m uffd-register u0 a2+6 missing,wp
p0.0 ref k0 a0
"""


def _example(op: Op) -> str:
    """A line with the operation, with the lowest that each operand allows."""
    operands = (1 if what == "child" else kind.lo for what, kind in op.operands)
    return format_operation((op.code, TASK_MONITOR if op.actor is Actor.MONITOR else 0, *operands))


@pytest.mark.parametrize("forked", [False, True], ids=["main", "child"])
@pytest.mark.parametrize("op", _EACH, ids=lambda op: op.name)
def test_every_operation_compiles(op: Op, forked: bool) -> None:
    before = "" if op.name in ("file-open", "uffd-open", "ref", "mmap") else _BEFORE
    program = f"{before}{_example(op)}\n" + "p0.0 exit\n" * (forked and op.name != "exit")
    code = plain_c(_source(program), _VERSION)
    assert f'op("{program.count(chr(10)) - (forked and op.name != "exit")}: {_example(op)}");' in code
    _compiles(code)


def test_all_parts_compile_together() -> None:
    chosen = [part for name, part in parts().items() if name != "fork" and not name.startswith("selftest.")]
    headers = sorted({header for part in chosen for header in part.headers})
    text = "#define _GNU_SOURCE\n" + "".join(f"#include <{header}>\n" for header in headers)
    _compiles(text + "\n".join(part.text for part in chosen), "-Wno-unused-function", "-Wno-unused-variable")


def test_comments_stand_at_their_operations() -> None:
    remarks = remarks_of(_COW)
    assert remarks.head == ("A child gets its own copy", "while the parent waits.")
    assert remarks.beside == {5: ["Now it is protected."], 6: ["blocks"]}
    code = plain_c(_source(_COW), _VERSION)
    assert " * A child gets its own copy\n * while the parent waits.\n" in code
    assert (
        '\t/* blocks */\n\top("7: p0.0 write a0 =2");\n\tstart(p0_0, do_fill, addr(0), 2);\n\tblocks(p0_0, u0);' in code
    )


def test_a_comment_cannot_end_the_comment() -> None:
    code = plain_c(_source("p0.0 mmap a0 rw  # */ evil /*\n"), _VERSION)
    _compiles(code)
    assert "* / evil" in code


def test_a_program_gets_what_it_uses_alone() -> None:
    code = plain_c(_source("p0.0 mmap a0 rw\np0.0 write a0 =1\np0.0 read a0\n"), _VERSION)
    assert "struct task" not in code
    assert "userfaultfd" not in code.split("int main")[0].split("*/", 1)[1]
    assert "expect(1, load(page(0)));" in code


def test_the_bit_of_the_finding_is_checked() -> None:
    text = "signature: lost-bit:mprotect:exclusive\np0.0 mmap a0 rw\np0.0 write a0 =1\np0.0 mprotect a0 r\n"
    code = plain_c(_source(text), _VERSION)
    assert "same_pages(0x1, pages_with(getpid(), 56));" in code


def test_what_documentation_leaves_open_is_no_failure() -> None:
    program = "p0.0 mmap a0 rw\np0.0 write a0 =1\np0.0 madvise a0 free\np0.0 read a0\n"
    wanted = expected(parse_program(program), Oracle(tree_version=_VERSION, has=EXPORT_HAS))
    assert wanted.open == {3}
    assert "chosen(load(page(0)) == " in plain_c(_source(program), _VERSION)


def test_what_departs_from_documentation_is_not_open() -> None:
    """Kernels are known to pass over the hole: exported programs say that they should not."""
    ops = parse_program("p0.0 mmap a0 rw\np0.0 uffd-open u0\nm uffd-register u0 a0 wp\nm uffd-wp u0 a0+2\n")
    wanted = expected(ops, Oracle(tree_version=_VERSION))
    assert wanted.steps[-1].status is Status.ERROR
    assert wanted.open == frozenset()


def test_who_of_two_woken_tasks_comes_first_is_open() -> None:
    program = (
        "p0.0 mmap a0 rw\np0.0 uffd-open u0\nm uffd-register u0 a0 missing\n"
        "p0.0 write a0 =1\np0.1 read a0\nm uffd-unregister u0 a0\n"
    )
    wanted = expected(parse_program(program), Oracle(tree_version=_VERSION, has=EXPORT_HAS))
    assert wanted.open == {4}
    assert "chosen(ends(p0_1) == " in plain_c(_source(program), _VERSION)


@pytest.mark.parametrize("name", ["cow.prog", "7 odd-name.v2.prog"])
def test_selftest_says_where_it_belongs(name: str) -> None:
    code = selftest(_source(_COW, name), _VERSION)
    word = "cow" if name == "cow.prog" else "test_7_odd_name_v2"
    assert f" * TEST_GEN_FILES += {word}\n" in code
    assert '#include "../kselftest.h"' in code
    assert _main_of(code).index("ksft_print_header();") < _main_of(code).index("ksft_set_plan(1);")
    assert f'#define TEST_NAME\t"{word}"' in code


def _pytest_run(test: Path, status: int) -> str:
    """Runs the test with a command named faultline that ends so."""
    stub = test.parent / "faultline"
    stub.write_text(f"#!/bin/sh\ngrep -q 'p0.0 write a0 =2' \"$2\" || exit 9\necho a word >&2\nexit {status}\n")
    stub.chmod(0o755)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", "-c", os.devnull, test],
        capture_output=True, text=True, check=False, env={**os.environ, "PATH": f"{test.parent}:{os.environ['PATH']}"},
    )  # fmt: skip
    return done.stdout


@pytest.mark.parametrize(("status", "told"), [(0, "1 passed"), (1, "1 failed"), (3, "1 failed"), (4, "a word")])
def test_the_pytest_file_goes_by_the_exit_status(status: int, told: str, tmp_path: Path) -> None:
    test = tmp_path / "test_cow.py"
    test.write_text(pytest_test(_source(_COW)))
    assert told in _pytest_run(test, status)


def test_the_command_writes_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    program, out = tmp_path / "cow.prog", tmp_path / "cow.c"
    program.write_text(_COW)
    assert command_line(["export", str(program), "--c", "-o", str(out)]) == 0
    _compiles(out.read_text())
    assert command_line(["export", str(program), "--c"]) == 0
    assert capsys.readouterr().out == out.read_text()


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        ([], 2, "--c, --selftest or --pytest"),
        (["--c", "--linux", "six"], 2, "looks like 6.12"),
        (["--c", "-o", "/nonexistent/x.c"], 3, "--output"),
    ],
)
def test_wrong_use(
    arguments: list[str], status: int, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program = tmp_path / "cow.prog"
    program.write_text(_COW)
    if "/nonexistent/x.c" in arguments:
        blocker = tmp_path / "file"
        blocker.touch()
        arguments = [*arguments[:-1], str(blocker / "x.c")]
    assert command_line(["export", str(program), *arguments]) == status
    assert told in capsys.readouterr().err


def test_refusal_is_status_4(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    program = tmp_path / "fail.prog"
    program.write_text("m fail page n1\np0.0 mmap a0 rw\n")
    assert command_line(["export", str(program), "--c"]) == 4
    assert "m fail page n1" in capsys.readouterr().err


def test_what_user_space_cannot_see_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    program = tmp_path / "lock.prog"
    program.write_text("kind: lock-not-held\np0.0 mmap a0 rw\n")
    assert command_line(["export", str(program), "--c"]) == 0
    assert "lock-not-held" in capsys.readouterr().err


#: The part of the kernel's kselftest.h that a skeleton calls; tests/kernel takes a tree's own.
_KSELFTEST = """\
#include <stdio.h>
#include <stdlib.h>
#define KSFT_FAIL 1
#define KSFT_SKIP 4
#define ksft_print_header() puts("TAP version 13")
#define ksft_set_plan(plan) printf("1..%d\\n", plan)
#define ksft_print_msg(...) printf("# " __VA_ARGS__)
#define ksft_test_result_pass(...) printf("ok 1 " __VA_ARGS__)
#define ksft_test_result_fail(...) printf("not ok 1 " __VA_ARGS__)
#define ksft_exit_skip(...) printf("1..0 # SKIP " __VA_ARGS__)
#define ksft_print_cnts() (void)0
"""


@pytest.mark.parametrize(
    ("value", "status", "told"),
    [(1, 0, "ok 1 small\n"), (2, 1, "# 3: p0.0 read a0: expected: byte 2; happened: byte 1\nnot ok 1 small\n")],
)
def test_selftest_tells_in_ktap(value: int, status: int, told: str, tmp_path: Path) -> None:
    code = selftest(_source("p0.0 mmap a0 rw\np0.0 write a0 =1\np0.0 read a0\n", "small.prog"), _VERSION)
    (tmp_path / "mm").mkdir()
    (tmp_path / "kselftest.h").write_text(_KSELFTEST)
    file = tmp_path / "mm/small.c"
    file.write_text(code.replace("expect(1, load", f"expect({value}, load"))
    subprocess.run(["gcc", "-Wall", "-Wextra", "-Werror", "-o", file.with_suffix(""), file], check=True)
    done = subprocess.run([file.with_suffix("")], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (status, "TAP version 13\n1..1\n" + told)
