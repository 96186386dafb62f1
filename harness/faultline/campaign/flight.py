"""The flight recorder: a small mapped file that holds a program before it runs.

A worker writes it with one copy into the mapping, no system call; when the worker dies, whatever the cause, its
parent reads which program was under way.  The parent also reads its counters and asks the worker to stop through it.
"""

from __future__ import annotations

import mmap
import os
import struct
from pathlib import Path
from typing import Final

from faultline.program.ops import OP_SIZE, OPS_MAX

#: runs begun, programs of the campaign finished, index of the program under way, its length in bytes
_HEAD: Final = struct.Struct("=QQQI")
_STOP: Final = _HEAD.size
_END, _HURRY = 1, 2
_WIRE: Final = 64
SIZE: Final = _WIRE + OP_SIZE * OPS_MAX


class Flight:
    """One worker's recorder; worker and parent each map the same file."""

    def __init__(self, path: Path) -> None:
        """Maps ``path``, creating it if it is not there.

        :raises OSError: the file cannot be created or is cut short (a full disk).
        """
        fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            os.posix_fallocate(fd, 0, SIZE)
            self._map = mmap.mmap(fd, SIZE)
        finally:
            os.close(fd)
        self._runs, self._done, self._index = self.runs, self.done, self.index

    def close(self) -> None:
        self._map.close()

    # the worker's side

    def begin(self, wire: bytes) -> None:
        """Records that the program ``wire`` is about to run."""
        self._runs += 1
        head = _HEAD.pack(self._runs, self._done, self._index, len(wire))
        self._map[_WIRE : _WIRE + len(wire)] = wire
        self._map[: _HEAD.size] = head

    def at(self, index: int, done: int) -> None:
        """Says that program ``index`` of the campaign comes next, after ``done`` finished ones."""
        self._index, self._done = index, done

    def rest(self) -> None:
        """Records that nothing runs: the work is over."""
        self._map[: _HEAD.size] = _HEAD.pack(self._runs, self._done, self._index, 0)

    @property
    def stopping(self) -> bool:
        """Whether the parent asked for the end."""
        return self._map[_STOP] >= _END

    @property
    def hurrying(self) -> bool:
        """Whether the parent asked for the end even of a minimisation under way."""
        return self._map[_STOP] == _HURRY

    # the parent's side

    def stop(self, *, hurry: bool = False) -> None:
        """Asks the worker to end after the program under way and its minimisation; ``hurry``: without the latter."""
        self._map[_STOP] = _HURRY if hurry else _END

    @property
    def runs(self) -> int:
        """Runs begun, those of the minimiser included: a worker whose count stands still hangs."""
        return int(_HEAD.unpack_from(self._map)[0])

    @property
    def done(self) -> int:
        """Programs of the campaign finished."""
        return int(_HEAD.unpack_from(self._map)[1])

    @property
    def index(self) -> int:
        """The campaign's number of the program under way."""
        return int(_HEAD.unpack_from(self._map)[2])

    @property
    def wire(self) -> bytes:
        """The program under way in wire form, empty if none is."""
        length = min(int(_HEAD.unpack_from(self._map)[3]), SIZE - _WIRE)
        return self._map[_WIRE : _WIRE + length]
