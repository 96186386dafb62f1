"""Names for addresses in a built library: function, file and line, with inlined calls."""

from __future__ import annotations

import json
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final

from faultline.build.toolchain import PREFERRED, find_program
from faultline.kinds import FaultlineError

#: How far back to look for a line where the compiler merged code of several lines and so gave none.
_NEAR_BYTES: Final = 64


@dataclass(frozen=True, slots=True)
class Frame:
    """A place in the source."""

    function: str
    file: str
    """Relative to the tree, or from ``csrc/`` on; empty if unknown."""
    line: int
    """0 if unknown."""

    def __str__(self) -> str:
        return f"{self.function} {self.file}:{self.line}" if self.file else self.function


class Symbolizer:
    """Looks up addresses of one library with llvm-symbolizer, which it starts at the first question."""

    def __init__(self, library: Path) -> None:
        self._library = library
        self._process: subprocess.Popen[str] | None = None
        self._known: dict[int, list[Frame]] = {}
        self._lock = threading.Lock()

    def lookup(self, offset: int) -> list[Frame]:
        """The places that an offset into the library stands for, innermost inlined call first; empty if unknown.

        Where an instruction belongs to no line, that of the nearest one before it in the function is given.  A return
        address stands behind its call: pass it less one.  Raises :class:`FaultlineError` if there is no
        llvm-symbolizer, or it fails.
        """
        with self._lock:
            if offset not in self._known:
                self._known[offset] = self._near(offset)
            return self._known[offset]

    def close(self) -> None:
        """Ends llvm-symbolizer."""
        if self._process:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def __enter__(self) -> Symbolizer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _near(self, offset: int) -> list[Frame]:
        frames = self._ask(offset)
        if not frames or frames[0].line:
            return frames
        for before in range(offset - 1, max(offset - _NEAR_BYTES, 0), -1):
            near = self._ask(before)
            if not near or near[-1].function != frames[-1].function:
                break
            if near[0].line and [frame.function for frame in near] == [frame.function for frame in frames]:
                return near
        return frames

    def _ask(self, offset: int) -> list[Frame]:
        process = self._process or self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(f"{offset:#x}\n")
            process.stdin.flush()
            answer = json.loads(process.stdout.readline())
        except (OSError, ValueError) as error:
            self.close()
            raise FaultlineError(f"llvm-symbolizer fails on {self._library}") from error
        if "Error" in answer:
            raise FaultlineError(f"llvm-symbolizer cannot read {self._library}: {answer['Error'].get('Message', '')}")
        return [_frame(entry) for entry in answer.get("Symbol", ()) if entry["FunctionName"]]

    def _start(self) -> subprocess.Popen[str]:
        program = find_program("llvm-symbolizer")
        if not program:
            raise FaultlineError(f"llvm-symbolizer is not here: apt-get install llvm-{PREFERRED} (or run `make setup`)")
        command = [program, f"--obj={self._library}", "--output-style=JSON", "--no-demangle"]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        return self._process


def _frame(entry: dict[str, str | int]) -> Frame:
    return Frame(str(entry["FunctionName"]), str(entry["FileName"]).removeprefix("./"), int(entry["Line"]))
