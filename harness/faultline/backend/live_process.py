"""A process of a program on the running kernel, as the monitor sees it."""

from __future__ import annotations

import ctypes
import os
import select
import signal
import struct
import subprocess
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Final

from faultline.backend.live_offer import PAGE
from faultline.kinds import FaultlineError
from faultline.program.ops import SLOT_TABLE_EDGE, SLOTS
from faultline.program.trace import COUNTERS, Bit, Wait

_PMD: Final = 1 << 21
#: The region lies astride the border of two page tables, as the operation table asks.
REGION: Final = 0x1000_0000 - SLOT_TABLE_EDGE * PAGE
assert (REGION + SLOT_TABLE_EDGE * PAGE) % _PMD == 0
#: Where programs are linked to lie: behind the region, as the kernel puts the heap anywhere in the GiB behind them,
#: and as smaps tells of mappings by their addresses, and takes its time.
PROGRAM: Final = 0x2000_0000
assert PROGRAM >= REGION + SLOTS * PAGE
#: A worker opens file n of a program as descriptor FILE_FD + n of the monitor.
FILE_FD: Final = 700

#: Kernel functions in which a task sleeps for a userfaultfd.
_SLEEPS: Final = {
    b"handle_userfault": Wait.FAULT,
    b"userfaultfd_event_wait_completion": Wait.EVENT,
    b"dup_userfaultfd_complete": Wait.EVENT,
    b"mremap_userfaultfd_complete": Wait.EVENT,
    b"userfaultfd_remove": Wait.EVENT,
    b"userfaultfd_unmap_complete": Wait.EVENT,
}
_WCHAN_BYTES: Final = 64
#: Seconds after which a process that was killed is given up.
_END_SECONDS: Final = 20.0
_ENTRIES: Final = struct.Struct(f"<{SLOTS}Q")
_WORDS: Final = struct.Struct(f"<{SLOTS}I")


def built(folder: Path, source: Path, *, library: bool = False) -> Path:
    """The program, or the shared library, that a file of C makes.

    :raises FaultlineError: it does not compile.
    """
    program = folder / source.stem
    kind = ["-shared", "-fPIC"] if library else ["-static", f"-Wl,-Ttext-segment={PROGRAM:#x}"]
    flags = ["-O2", *kind, "-fno-stack-protector", f"-DREGION={REGION}UL", f"-DPAGE_SIZE={PAGE}"]
    command = ["gcc", *flags, f"-DFILE_FD={FILE_FD}", f"-I{folder}", "-o", str(program), str(source)]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise FaultlineError(f"{source.name}: gcc: {(done.stderr.splitlines() or ['failed'])[0]}; see the line named")
    return program


class SnapshotReader:
    """Reads a process's part of a snapshot.

    :param library: the built :file:`live_snapshot.c`.
    """

    def __init__(self, library: Path) -> None:
        self._read = ctypes.CDLL(str(library)).live_row
        self._row = ctypes.create_string_buffer(_WORDS.size + COUNTERS.size)

    def row(self, process: Process) -> bytes:
        """The words of all slots, then the counters, as in a trace.

        :raises OSError: a file of the process cannot be read.
        """
        error = self._read(process.smaps, process.pagemap, process.memory, self._row)
        if error:
            raise OSError(-error, f"{os.strerror(-error)}, of process {process.pid}")
        return self._row.raw


class Process:
    """A live process.  Its files are opened as they are asked for; they do not keep its memory alive."""

    def __init__(self, pid: int) -> None:
        self.pid: Final = pid
        self.pidfd: Final = os.pidfd_open(pid)
        self.tids: dict[int, int] = {}
        """Thread ids by task."""
        self._opened = [self.pidfd]
        self._wchan: dict[int, int] = {}

    def _open(self, name: str, flags: int = os.O_RDONLY) -> int:
        fd = os.open(f"/proc/{self.pid}/{name}", flags)
        self._opened.append(fd)
        return fd

    @cached_property
    def pagemap(self) -> int:
        """The descriptor of the file of that name."""
        return self._open("pagemap")

    @cached_property
    def memory(self) -> int:
        """The descriptor of its memory."""
        return self._open("mem", os.O_RDWR)

    @cached_property
    def smaps(self) -> int:
        """The descriptor of the file of that name."""
        return self._open("smaps")

    def close(self) -> None:
        """Closes all descriptors."""
        for fd in self._opened:
            os.close(fd)

    def kill(self) -> None:
        """Ends it; :meth:`wait` tells when it has ended."""
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)

    def wait(self) -> None:
        """Waits for its end.

        :raises FaultlineError: it does not end.
        """
        if not select.select([self.pidfd], [], [], _END_SECONDS)[0]:
            raise FaultlineError(f"live: process {self.pid} does not end; look at /proc/{self.pid}/stack")

    def sleeps(self, task: int) -> Wait | None:
        """What one of its tasks sleeps for; None: it runs, or sleeps elsewhere."""
        try:
            if task not in self._wchan:
                self._wchan[task] = self._open(f"task/{self.tids[task]}/wchan")
            return _SLEEPS.get(os.pread(self._wchan[task], _WCHAN_BYTES, 0))
        except OSError:
            return None  # it has ended

    def entries(self) -> tuple[int, ...]:
        """The pagemap entries of the region."""
        return _ENTRIES.unpack(os.pread(self.pagemap, _ENTRIES.size, REGION // PAGE * 8))

    def words(self, reader: SnapshotReader) -> tuple[int, ...]:
        """The words of all slots, as in a snapshot."""
        return _WORDS.unpack_from(reader.row(self))

    def protects_file(self, reader: SnapshotReader, start: int, pages: int) -> bool:
        """Whether one of these slots is write-protected by userfaultfd in a mapping of a file or of shared memory."""
        words = self.words(reader)
        protected = {slot for slot in range(start, start + pages) if words[slot] & Bit.UFFD_WP}
        if not protected:
            return False
        for line in Path(f"/proc/{self.pid}/maps").read_text().splitlines():
            bounds, *fields = line.split(None, 5)
            first, end = ((int(x, 16) - REGION) // PAGE for x in bounds.split("-"))
            of_file = len(fields) > 4 and not fields[4].startswith("[anon")
            if of_file and any(first <= slot < end for slot in protected):
                return True
        return False

    def mergeable(self, reader: SnapshotReader) -> bool:
        """Whether KSM may merge some of the region."""
        return any(word & Bit.MERGEABLE for word in self.words(reader))
