"""The programs that a build runs."""

from __future__ import annotations

import functools
import hashlib
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from faultline.kinds import FaultlineError

#: The version that the project is developed with; it is taken if it is there.
PREFERRED: Final = 19
#: The oldest clang whose VFS overlays and coverage the build relies on.
OLDEST: Final = 16


@dataclass(frozen=True, slots=True)
class Toolchain:
    """Programs of one LLVM, as paths."""

    clang: str
    linker: str
    objcopy: str
    resources: str
    """The folder of the compiler's own headers."""
    identity: str
    """Changes whenever the programs do."""


def find_program(name: str) -> str | None:
    """The path of an LLVM program: ``<name>-19``, else a plain ``<name>``."""
    return shutil.which(f"{name}-{PREFERRED}") or shutil.which(name)


def clang_version(clang: str) -> tuple[int, str] | None:
    """Major version and the full version line of a clang, None if the program is none."""
    line = _first_line([clang, "--version"])
    found = re.search(r"clang version (\d+)", line)
    return (int(found[1]), line) if found else None


@functools.cache
def find_toolchain() -> Toolchain:
    """The LLVM to build with.  Raises :class:`FaultlineError` naming what is missing and how to get it."""
    programs = {name: find_program(name) for name in ("clang", "ld.lld", "llvm-objcopy")}
    missing = [name for name, path in programs.items() if not path]
    if missing:
        raise FaultlineError(
            f"{missing[0]} is not here: apt-get install clang-{PREFERRED} lld-{PREFERRED} llvm-{PREFERRED}"
            " (or run `make setup`)"
        )
    clang, linker, objcopy = (path or "" for path in programs.values())
    version = clang_version(clang)
    if version is None or version[0] < OLDEST:
        raise FaultlineError(f"{clang} is not clang {OLDEST} or later; apt-get install clang-{PREFERRED}")
    resources = _first_line([clang, "-print-resource-dir"])
    stamps = [f"{path} {Path(path).stat().st_mtime_ns} {Path(path).stat().st_size}" for path in (linker, objcopy)]
    identity = hashlib.blake2b("\n".join([version[1], resources, *stamps]).encode(), digest_size=8).hexdigest()
    return Toolchain(clang, linker, objcopy, f"{resources}/include", identity)


def _first_line(command: list[str]) -> str:
    try:
        output = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    except OSError:
        return ""
    return output.partition("\n")[0].strip()
