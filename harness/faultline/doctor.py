"""What Faultline needs, what of it is here, and how to get the rest."""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Final

from faultline.build.toolchain import OLDEST, PREFERRED, clang_version, find_program
from faultline.kinds import FaultlineError
from faultline.tree import DEFAULT_TREE
from faultline.tree.cache import cache_dir, scratch
from faultline.tree.debian import PACKAGE_NOTE

PYTHON_OLDEST: Final = (3, 11)
#: What a cold build of both variants with its tree takes.
_CACHE_BYTES_MIN: Final = 2 << 30

_SYS_USERFAULTFD: Final = 323
"""x86-64, from asm/unistd_64.h."""


@dataclass(frozen=True, slots=True)
class Check:
    """One requirement.  ``remedy`` says how to meet it, and is empty if it is met."""

    name: str
    ok: bool
    detail: str
    remedy: str = ""
    optional: bool = False
    """The main job works without it; the detail of a failed one says what does not."""


def checks() -> list[Check]:
    """Checks everything, in the order in which a user would mend it.  Takes well under a second, changes nothing."""
    return [
        _python(),
        _clang(),
        _program("lld", "ld.lld", f"lld-{PREFERRED}"),
        _program("llvm-objcopy", "llvm-objcopy", f"llvm-{PREFERRED}"),
        _program("llvm-symbolizer", "llvm-symbolizer", f"llvm-{PREFERRED}"),
        _sanitizer(),
        _plain_program("bc", "bc"),
        _plain_program("spatch", "coccinelle", optional=True, without="semantic patches (.cocci)"),
        _packages(),
        _atheris(),
        _cache(),
        _tree(),
        _userfaultfd(),
        _cores(),
    ]


def _python() -> Check:
    version = sys.version.partition(" ")[0]
    oldest = ".".join(map(str, PYTHON_OLDEST))
    ok = sys.version_info[:2] >= PYTHON_OLDEST
    return Check("python", ok, f"{version}, {sys.executable}", "" if ok else f"install Python {oldest} or later")


def _clang() -> Check:
    path = find_program("clang")
    found = clang_version(path) if path else None
    remedy = f"apt-get install clang-{PREFERRED}"
    if not path or not found:
        return Check("clang", False, "not found", remedy)
    detail = f"{found[1]}, {path}"
    return Check("clang", True, detail) if found[0] >= OLDEST else Check("clang", False, f"{detail} is too old", remedy)


def _program(name: str, program: str, package: str) -> Check:
    path = find_program(program)
    return Check(name, True, path) if path else Check(name, False, "not found", f"apt-get install {package}")


def _plain_program(name: str, package: str, *, optional: bool = False, without: str = "") -> Check:
    path = shutil.which(name)
    if path:
        return Check(name, True, path, optional=optional)
    detail = f"not found; needed for {without}" if without else "not found"
    return Check(name, False, detail, f"apt-get install {package}", optional)


def _sanitizer() -> Check:
    """The runtime of AddressSanitizer; the archive carries its architecture in its name or in that of its folder."""
    clang = find_program("clang")
    for archive in ("libclang_rt.asan-x86_64.a", "libclang_rt.asan.a"):
        path = _output([clang, f"-print-file-name={archive}"]) if clang else ""
        if Path(path).is_absolute():
            return Check("sanitiser runtime", True, path, optional=True)
    remedy = f"apt-get install libclang-rt-{PREFERRED}-dev"
    return Check("sanitiser runtime", False, "not found; needed for fuzzing with ASan", remedy, optional=True)


def _output(command: list[str]) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    except OSError:
        return ""


def _packages() -> Check:
    """The Python packages that the project's metadata asks for, extras aside."""
    name = "python packages"
    try:
        required = metadata.requires("faultline") or []
    except metadata.PackageNotFoundError:
        return Check(name, False, "faultline itself is not installed", "pip install -e '.[fuzz,dev]'")
    plain = [match[0] for entry in required if "extra ==" not in entry and (match := re.match(r"[\w.-]+", entry))]
    missing = [package for package in plain if not _version(package)]
    if missing:
        return Check(name, False, f"missing: {', '.join(missing)}", f"pip install {' '.join(missing)}")
    return Check(name, True, ", ".join(f"{package} {_version(package)}" for package in plain))


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def _atheris() -> Check:
    """atheris, and the runtime it brings for native code under a fuzzer with ASan."""
    name, remedy = "atheris", "pip install 'atheris>=3.0'"
    version = _version("atheris")
    if not version:
        return Check(name, False, "not installed; needed for fuzz/fuzz_program.py", remedy, optional=True)
    preload = Path(str(metadata.distribution("atheris").locate_file("asan_with_fuzzer.so")))
    if not preload.is_file():
        return Check(name, False, f"{version} without {preload}", f"{remedy} from a wheel", optional=True)
    return Check(name, True, f"{version}, {preload}", optional=True)


def _cache() -> Check:
    root = cache_dir()
    try:
        with scratch(root):
            free = shutil.disk_usage(root).free
    except FaultlineError as error:
        return Check("cache", False, str(error), "set FAULTLINE_CACHE to a writable folder")
    detail = f"{root}, {free / (1 << 30):.1f} GiB free"
    if free < _CACHE_BYTES_MIN:
        return Check("cache", False, detail, "free some space, or set FAULTLINE_CACHE to another disk")
    return Check("cache", True, detail)


def _tree() -> Check:
    path = cache_dir() / "trees" / f"linux-{DEFAULT_TREE.removeprefix('debian:')}"
    note = path / PACKAGE_NOTE
    if note.is_file():
        return Check("kernel tree", True, f"{note.read_text().strip()}, {path}")
    detail = f"{DEFAULT_TREE} is not in the cache; fetched when it is needed"
    return Check("kernel tree", False, detail, f"faultline tree fetch {DEFAULT_TREE}", optional=True)


def _userfaultfd() -> Check:
    """Whether the running kernel lets this user handle all faults, as the live backend needs (userfaultfd(2))."""
    name = "userfaultfd"
    libc = ctypes.CDLL(None, use_errno=True)
    handle = libc.syscall(_SYS_USERFAULTFD, os.O_CLOEXEC | os.O_NONBLOCK)
    if handle >= 0:
        os.close(handle)
        return Check(name, True, "usable", optional=True)
    reason = os.strerror(ctypes.get_errno())
    remedy = "run as root, or set vm.unprivileged_userfaultfd=1, on a kernel with CONFIG_USERFAULTFD"
    return Check(name, False, f"{reason}; needed for --live only", remedy, optional=True)


def _cores() -> Check:
    usable = len(os.sched_getaffinity(0))
    return Check("cores", usable >= 1, str(usable), optional=True)
