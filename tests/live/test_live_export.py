"""Exported programs on the running kernel: they compile and come to what the live backend came to."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from needs_live import LIVE

from faultline.backend.live import LiveBackend
from faultline.backend.live_offer import running_version
from faultline.campaign.source import corpora_dir
from faultline.export.expected import check_exportable
from faultline.export.files import Source, plain_c
from faultline.kinds import FaultlineError
from faultline.oracle.model import Oracle
from faultline.program.ops import OPS, lacking
from faultline.program.text import parse_repro, read_repro

pytestmark = LIVE
_FLAGS = ("-Wall", "-Wextra", "-Werror", "-O0", "-pthread")
#: What KSM and reclaim come to is the kernel's choice, and may be another one each time.
_CHOOSING = {"ksm-merge", "ksm-scan", "swap-out", "swapoff"}
_ATTEMPTS = 4
#: The live backend pins its thread to one of them; compilers need not be.
_CPUS = os.sched_getaffinity(0)
_OTHERWISE = "the kernel chose otherwise"
#: The live backend does not run these to their end (corpora/known).
_CUT_SHORT = {"guard-install-endless", "dontneed-flushes-late"}


def _sources() -> Iterator[Source]:
    """The programs of the corpora that can be exported."""
    for folder in ("regressions", "seeds", "known"):
        for path in sorted((corpora_dir() / folder).iterdir()):
            if path.suffix not in (".prog", ".repro") or path.stem in _CUT_SHORT:
                continue
            source = Source(path, read_repro(path), path.read_text())
            try:
                check_exportable(source.repro.ops, path.name)
            except FaultlineError:
                continue
            yield source


_SOURCES = {f"{source.path.parent.name}/{source.path.stem}": source for source in _sources()}


@dataclass(frozen=True)
class _Built:
    program: Path
    errors: str


def _compile(file: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    command = ["gcc", *_FLAGS, *flags, "-o", file.with_suffix(""), file]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def _run(program: Path) -> tuple[int, str]:
    done = subprocess.run([program], capture_output=True, text=True, check=False, timeout=60)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def backend() -> Iterator[LiveBackend]:
    with LiveBackend(cpu=min(os.sched_getaffinity(0))) as backend:
        if "swap" in backend.offer.has:
            backend.swap()
        yield backend


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("exported")


def _write(name: str, backend: LiveBackend, folder: Path) -> Path:
    """The program in C, for the choices that the kernel made when the live backend ran it now."""
    source, offer = _SOURCES[name], backend.offer
    ops, trace = source.repro.ops, None
    if not lacking(ops, offer.has):
        trace = backend.run(ops)
        if backend.stopped or Oracle(tree_version=offer.version, has=offer.has).expect(ops, trace).trace != trace:
            trace = None  # what there is against the one or the other is not asked here
    file = folder / (name.replace("/", "-") + ".c")
    file.write_text(plain_c(source, offer.version, trace))
    return file


@pytest.fixture(scope="module")
def built(backend: LiveBackend, folder: Path) -> dict[str, _Built]:
    """All programs."""
    files = [_write(name, backend, folder) for name in _SOURCES]
    with ThreadPoolExecutor(len(_CPUS), initializer=os.sched_setaffinity, initargs=(0, _CPUS)) as pool:
        done = pool.map(_compile, files)
    return {n: _Built(f.with_suffix(""), d.stderr) for n, f, d in zip(_SOURCES, files, done, strict=True)}


@pytest.mark.parametrize("name", _SOURCES)
def test_it_comes_to_the_same(name: str, built: dict[str, _Built], backend: LiveBackend, folder: Path) -> None:
    assert not built[name].errors
    ops = _SOURCES[name].repro.ops
    status, text = _run(built[name].program)
    choosing = bool(_CHOOSING & {OPS[op[0]].name for op in ops})
    attempts = _ATTEMPTS
    while (_OTHERWISE in text or (status == 1 and choosing)) and (attempts := attempts - 1):
        file = _write(name, backend, folder)
        assert not _compile(file).stderr
        status, text = _run(file.with_suffix(""))
    if status == 4 and (_OTHERWISE in text or lacking(ops, backend.offer.has)):
        pytest.skip(text.strip())
    assert status == 0, text


def _exported(program: str, tmp_path: Path, version: tuple[int, int]) -> tuple[int, str]:
    file = tmp_path / "small.c"
    file.write_text(plain_c(Source(tmp_path / "small.prog", parse_repro(program), program), version))
    assert not _compile(file).stderr
    return _run(file.with_suffix(""))


def test_another_outcome_is_told(tmp_path: Path) -> None:
    """Since Linux 6.17 a range of another userfaultfd is not unregistered; who expects what was before is told."""
    if running_version() < (6, 17):
        pytest.skip("the running kernel is not newer than what the program expects")
    program = (
        "p0.0 mmap a0 rw\np0.0 uffd-open u0\np0.0 uffd-open u1\n"
        "m uffd-register u0 a0 missing\nm uffd-unregister u1 a0\n"
    )
    assert _exported(program, tmp_path, (6, 17)) == (0, "PASS\n")
    assert _exported(program, tmp_path, (6, 12)) == (
        1,
        "FAIL: 5: m uffd-unregister u1 a0: expected: done; happened: Invalid argument\n",
    )


@pytest.mark.parametrize(
    ("line", "instead", "told"),
    [
        (
            "expect(2, load(page(0)));",
            "expect(3, load(page(0)));",
            "11: p0.0 read a0: expected: byte 3; happened: byte 2\n",
        ),
        ("blocks(p0_0, u0);", "expect(STORED, ends(p0_0));", "7: p0.0 write a0 =2: expected: it ends"),
        ("fill(page(0), 1)", "load((char *)16)", "2: p0.0 write a0 =1: expected: done; happened: Segmentation fault"),
    ],
)
def test_a_failure_names_the_operation(line: str, instead: str, told: str, tmp_path: Path) -> None:
    """What the kernel should do is altered in the C."""
    file = tmp_path / "cow.c"
    code = plain_c(Source(tmp_path / "cow.prog", parse_repro(_COW), _COW), running_version())
    assert line in code
    file.write_text(code.replace(line, instead, 1).replace("10000", "300"))
    assert "error" not in _compile(file, "-Wno-error").stderr
    status, out = _run(file.with_suffix(""))
    assert status == 1
    assert out.startswith(f"FAIL: {told}")


_COW = """\
p0.0 mmap a0+2 rw
p0.0 write a0 =1
p0.0 fork p1
p0.0 uffd-open u0
m uffd-register u0 a0+2 wp
m uffd-wp u0 a0
p0.0 write a0 =2
p1.0 read a0
m uffd-read u0 u1
m uffd-resolve u0 a0
p0.0 read a0
"""
