"""The files of a program on the running kernel; it does not matter which process works on them, so the monitor does."""

from __future__ import annotations

import ctypes
import errno
import os
import tempfile
from typing import Final

from faultline.backend.live_offer import PAGE
from faultline.backend.live_process import FILE_FD
from faultline.program.ops import ALLOCATE, FILE_TYPE
from faultline.program.trace import VALUE_MIXED, Status

Outcome = tuple[int, int, int]
"""Status, value, aux."""

#: SYNC_FILE_RANGE_WAIT_BEFORE, _WRITE and _WAIT_AFTER.
_WRITE_AND_WAIT: Final = 7
_FALLOCATE_MODES: Final = tuple({"extend": 0, "keep-size": 1, "punch-hole": 3}[word] for word in ALLOCATE.words)

_libc = ctypes.CDLL(None, use_errno=True)


def byte_of(page: bytes) -> int:
    """The byte that fills the page."""
    return page[0] if page == page[:1] * PAGE else VALUE_MIXED


class Files:
    """The open files, by their handles."""

    def __init__(self) -> None:
        self._open: set[int] = set()

    def __contains__(self, file: int) -> bool:
        return file in self._open

    def close(self) -> None:
        """Closes all."""
        for file in self._open:
            os.close(FILE_FD + file)

    def operation(self, name: str, file: int, *values: int) -> Outcome:
        """What an operation on a file comes to, by its name and operands."""
        try:
            return getattr(self, "_" + name.replace("-", "_"))(file, *values) or (Status.DONE, 0, 0)
        except OSError as error:
            return Status.ERROR, error.errno or errno.EIO, 0

    def _file_open(self, file: int, kind: int, end: int) -> None:
        if FILE_TYPE.words[kind] == "memfd":
            fd = os.memfd_create("faultline", os.MFD_CLOEXEC)
        else:
            fd = os.open(tempfile.gettempdir(), os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
        os.dup2(fd, FILE_FD + file, inheritable=False)
        os.close(fd)
        self._open.add(file)
        os.ftruncate(FILE_FD + file, end * PAGE)

    def _file_close(self, file: int) -> None:
        os.close(FILE_FD + file)
        self._open.remove(file)

    @staticmethod
    def _file_read(file: int, page: int) -> Outcome:
        data = os.pread(FILE_FD + file, PAGE, page * PAGE)
        return (Status.DONE, byte_of(data), 1) if data else (Status.DONE, 0, 0)

    @staticmethod
    def _file_write(file: int, page: int, value: int) -> None:
        os.pwrite(FILE_FD + file, bytes((value,)) * PAGE, page * PAGE)

    @staticmethod
    def _file_truncate(file: int, end: int) -> None:
        os.ftruncate(FILE_FD + file, end * PAGE)

    @staticmethod
    def _file_allocate(file: int, page: int, end: int, mode: int) -> None:
        offset, length = (ctypes.c_long(pages * PAGE) for pages in (page, end - page))
        if _libc.fallocate(FILE_FD + file, _FALLOCATE_MODES[mode], offset, length):
            raise OSError(ctypes.get_errno(), "fallocate")

    @staticmethod
    def _file_sync(file: int) -> None:
        os.fsync(FILE_FD + file)

    @staticmethod
    def _file_drop(file: int) -> None:
        """The call starts to write dirty pages back, and drops those that have been: as if the disk were done at once,
        for how fast it is must not show."""
        whole = ctypes.c_long(0)
        if _libc.sync_file_range(FILE_FD + file, whole, whole, _WRITE_AND_WAIT):
            error = ctypes.get_errno()
            if error != errno.ESPIPE:  # shared memory has no store
                raise OSError(error, "sync_file_range")
        os.posix_fadvise(FILE_FD + file, 0, 0, os.POSIX_FADV_DONTNEED)
