"""Export files: what a repro says, in a form that runs without Faultline, or in somebody's suite."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from faultline.export.expected import EXPORT_HAS, Expected, check_exportable, expected
from faultline.export.source import PAGEMAP, Remarks, Style, c_source
from faultline.kinds import FindingKind
from faultline.oracle.model import Oracle
from faultline.program.ops import OPS
from faultline.program.text import HEADER_KEYS, Repro, format_repro

#: Findings that user space sees, and so does an exported program.
SEEN: Final = frozenset(
    (FindingKind.WRONG_DATA, FindingKind.MISSED_EVENT, FindingKind.SPURIOUS_EVENT, FindingKind.WRONG_SIGNAL,
     FindingKind.WRONG_ERRNO, FindingKind.LOST_BIT, FindingKind.STRAY_BIT, FindingKind.HANG,
     FindingKind.BASE_DIFFERENCE)
)  # fmt: skip
_COMMENT: Final = re.compile(r"(?:^|\s)#\s?(.*)$")
_HEADER: Final = re.compile(rf"(?:{'|'.join(HEADER_KEYS)}):\s")
_HEAD_LINES_MAX: Final = 40


@dataclass(frozen=True)
class Source:
    """A repro that is to be exported: its file, what was read of it, its text."""

    path: Path
    repro: Repro
    text: str

    @property
    def name(self) -> str:
        """A name for a function or a program: the file's, in the letters that C and Python allow."""
        word = re.sub(r"\W+", "_", self.path.stem).strip("_") or "program"
        return f"test_{word}" if word[0].isdigit() else word

    @property
    def aspect(self) -> str:
        """What the finding is about; empty if there is none."""
        return self.repro.header.get("signature", "").rpartition(":")[2]


def remarks_of(text: str) -> Remarks:
    """The comments of a repro's text, by operation."""
    remarks = Remarks()
    index, pending = 0, list[str]()
    for number, line in enumerate(text.splitlines()):
        body = line.split("#", 1)[0].strip()
        match = _COMMENT.search(line)
        comment = match[1].strip() if match else None
        if not body:
            if comment is not None and not (number == 0 and comment.startswith("faultline repro v")):
                pending.append(comment)
        elif not _HEADER.match(line.strip()):
            if index == 0 and not remarks.beside:
                remarks.head, pending = tuple(pending), []
            said = [*pending, *([comment] if comment else [])]
            pending = []
            if said:
                remarks.beside[index] = [*remarks.beside.get(index, []), *said]
            index += not body.endswith("\\")
    return remarks


def _bits(source: Source) -> list[str]:
    """The bits of pagemap that the finding is about, or else those that the program works with."""
    names = {OPS[op[0]].name for op in source.repro.ops}
    working = [("uffd-wp", "uffd-wp"), ("clear-refs", "soft-dirty")]
    bits = [bit for name, bit in working if name in names]
    return [*bits, *([source.aspect] if source.aspect in PAGEMAP and source.aspect not in bits else [])]


def _head(source: Source, remarks: Remarks) -> list[str]:
    lines = list(remarks.head[:_HEAD_LINES_MAX]) or [source.name]
    while lines and not lines[0]:
        del lines[0]
    while lines and not lines[-1]:
        del lines[-1]
    return lines


def plain_c(source: Source, version: tuple[int, int], observed: bytes | None = None) -> str:
    """One C file; its exit status is 0 if the running kernel does what is expected, 1 if not, 4 if it lacks something.

    :param version: of the kernel whose documented behaviour is expected.
    :param observed: a trace of the program, whose choices are taken where documentation leaves some.
    :raises FaultlineError: (SKIPPED) a live kernel cannot do on demand what the program does.
    """
    wanted, remarks = _wanted(source, version, observed), remarks_of(source.text)
    about = [
        *_head(source, remarks),
        "",
        f"Made by faultline from {source.path.name}.  What is expected is what documentation says of Linux "
        f"{version[0]}.{version[1]}.",
        f"build: gcc -O2 -Wall -pthread -o {source.name} {source.name}.c",
        "exit status: 0 as expected, 1 not so (a line says which operation), 4 this kernel lacks something",
        "",
        "In the names of operations p1.0 is thread 0 of process 1, m the process that has the userfaultfds, a3+2 two",
        "pages from page 3 on, u0 a userfaultfd, =7 the byte that fills a page.",
    ]
    return c_source(wanted, source.name, about, remarks, _bits(source), Style.PLAIN)


def selftest(source: Source, version: tuple[int, int], observed: bytes | None = None) -> str:
    """A test for tools/testing/selftests/mm, to be finished by its author.

    Parameters and errors are those of `plain_c`.
    """
    wanted, remarks = _wanted(source, version, observed), remarks_of(source.text)
    about = [
        *_head(source, remarks),
        "",
        f"For tools/testing/selftests/mm/{source.name}.c; what to add to the Makefile there:",
        f"TEST_GEN_FILES += {source.name}",
        f"$(OUTPUT)/{source.name}: LDLIBS += -lpthread",
        f"and to run_vmtests.sh, in a category that fits: run_test ./{source.name}",
        "",
        "In the names of operations p1.0 is thread 0 of process 1, m the process that has the userfaultfds, a3+2 two",
        "pages from page 3 on, u0 a userfaultfd, =7 the byte that fills a page.",
    ]
    return c_source(wanted, source.name, about, remarks, _bits(source), Style.SELFTEST)


def _wanted(source: Source, version: tuple[int, int], observed: bytes | None) -> Expected:
    check_exportable(source.repro.ops, str(source.path))
    return expected(source.repro.ops, Oracle(tree_version=version, has=EXPORT_HAS), observed)


_PYTEST: Final = '''"""{about}"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

PROGRAM = """\\
{program}"""
#: The kernel tree, and patches on it; the program's own tree unless given.
TREE = os.environ.get("FAULTLINE_TREE")
PATCHES = os.environ.get("FAULTLINE_PATCH", "").split()


def test_{name}(tmp_path: Path) -> None:
    faultline = shutil.which("faultline")
    if faultline is None:
        pytest.skip("faultline is not installed")
    repro = tmp_path / "{name}.repro"
    repro.write_text(PROGRAM)
    options = [*(("--tree", TREE) if TREE else ()), *(word for patch in PATCHES for word in ("--patch", patch))]
    done = subprocess.run([faultline, "replay", str(repro), "-q", *options], capture_output=True, text=True)
    if done.returncode == 4:
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stdout + done.stderr
'''


def pytest_test(source: Source) -> str:
    """A test that replays the program on a tree and expects no finding."""
    header = {key: source.repro.header[key] for key in _KEPT if key in source.repro.header}
    program = format_repro(Repro(header, source.repro.ops))
    about = "\n".join(_head(source, remarks_of(source.text))).replace("\\", "\\\\").replace('"""', "'''")
    about = about if about.endswith(".") else about + "."
    return _PYTEST.format(about=about, program=program, name=re.sub("^test_", "", source.name))


_KEPT: Final[Collection[str]] = ("kernel", "profile", "variant", "schedule", "faults", "requires")
