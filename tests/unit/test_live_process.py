"""The programs of the live backend, and what it reads of a process: here of this very one."""

from __future__ import annotations

import ctypes
import mmap
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from faultline.backend import live_process
from faultline.backend.live_offer import PAGE
from faultline.backend.live_process import PROGRAM, REGION, Process, SnapshotReader, built
from faultline.kinds import FaultlineError
from faultline.program import cheader
from faultline.program.ops import SLOTS
from faultline.program.trace import COUNTERS, Bit

BACKEND = Path(live_process.__file__).parent
pytestmark = [
    pytest.mark.skipif(not shutil.which("gcc"), reason="no gcc"),
    pytest.mark.skipif(os.uname().machine != "x86_64", reason="mmap's number is x86-64's"),
]
_MAP_FIXED_NOREPLACE, _MAP_PRIVATE, _MAP_ANONYMOUS = 0x100000, 2, 0x20
_SYS_MMAP = 9


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "ops.h").write_text(cheader.c_header())
    return tmp_path


def test_programs_lie_behind_the_region(folder: Path) -> None:
    """The kernel may put their heap up to a GiB behind them."""
    with built(folder, BACKEND / "live_worker.c").open("rb") as file:
        loaded = [segment["p_vaddr"] for segment in ELFFile(file).iter_segments("PT_LOAD")]
    assert min(loaded) == PROGRAM >= REGION + SLOTS * PAGE


def test_what_does_not_compile_is_named(folder: Path) -> None:
    (folder / "wrong.c").write_text("int main(void) { return nothing; }\n")
    with pytest.raises(FaultlineError, match=r"wrong.c: gcc: .*wrong.c.*"):
        built(folder, folder / "wrong.c")


def test_a_snapshot_tells_what_is_in_the_region(folder: Path) -> None:
    reader = SnapshotReader(built(folder, BACKEND / "live_snapshot.c", library=True))
    process = Process(os.getpid())
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long

    def mapped(slot: int, pages: int, prot: int) -> int:
        arguments = (REGION + slot * PAGE, pages * PAGE, prot, _MAP_PRIVATE | _MAP_ANONYMOUS | _MAP_FIXED_NOREPLACE)
        address = libc.syscall(_SYS_MMAP, *map(ctypes.c_long, (*arguments, -1, 0)))
        assert address == REGION + slot * PAGE, os.strerror(ctypes.get_errno())
        return int(address)

    try:
        first = mapped(2, 3, mmap.PROT_READ | mmap.PROT_WRITE)
        last = mapped(SLOTS - 1, 1, mmap.PROT_READ | mmap.PROT_WRITE)
        mapped(8, 2, 0)
        ctypes.memset(first, 7, PAGE)
        ctypes.memset(first + 2 * PAGE, 8, 1)
        ctypes.memset(last, 9, PAGE)
        row = reader.row(process)
        words = process.words(reader)
    finally:
        for slot, pages in ((2, 3), (8, 2), (SLOTS - 1, 1)):
            libc.munmap(ctypes.c_void_p(REGION + slot * PAGE), ctypes.c_size_t(pages * PAGE))
    writable = Bit.MAPPED | Bit.READ | Bit.WRITE
    there = writable | Bit.PRESENT | Bit.EXCLUSIVE
    expected = {2: there | 7, 3: writable, 4: there | 8 | Bit.MIXED, 8: Bit.MAPPED, 9: Bit.MAPPED, SLOTS - 1: there | 9}
    assert {slot: word & ~Bit.SOFT_DIRTY for slot, word in enumerate(words) if word} == expected
    assert COUNTERS.unpack(row[-COUNTERS.size :]) == (3, 0, 0)
    process.close()


def test_a_process_that_has_ended_cannot_be_read(folder: Path) -> None:
    reader = SnapshotReader(built(folder, BACKEND / "live_snapshot.c", library=True))
    with subprocess.Popen(["sleep", "1000"]) as sleeper:
        process = Process(sleeper.pid)
        process.tids[0] = sleeper.pid
        assert process.sleeps(0) is None, "elsewhere"
        process.kill()
        process.wait()
    with pytest.raises(OSError, match="No such"):
        reader.row(process)
    assert process.sleeps(0) is None
    process.close()
