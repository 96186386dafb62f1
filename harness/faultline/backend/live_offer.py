"""What the running kernel, and this user's rights on it, offer to the live backend; what is lacking, and what helps."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import mmap
import os
import shutil
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from faultline.backend.live_knobs import ksm_lacks, swap_lacks, swap_on
from faultline.kinds import ExitStatus, FaultlineError
from faultline.program.ops import NEED_NAMES

PAGE: Final = 4096
_SYS_USERFAULTFD: Final = {"x86_64": 323, "aarch64": 282}
_SYS_PROCESS_VM_READV: Final = {"x86_64": 310, "aarch64": 270}
_UNPRIVILEGED: Final = Path("/proc/sys/vm/unprivileged_userfaultfd")
#: struct uffdio_api, and the bits of its features that say what a userfaultfd can do.
_UFFDIO_API: Final = 3 << 30 | 24 << 16 | 0xAA << 8 | 0x3F
_API: Final = struct.Struct("<QQQ")
_UFFD_FEATURES: Final = {"uffd-wp": 0, "uffd-minor": 10, "uffd-poison": 14, "uffd-move": 16}
_MADV_POPULATE_READ, _MADV_GUARD_INSTALL, _PAGEMAP_GUARD = 22, 102, 58
#: PAGEMAP_SCAN of linux/fs.h.
_PAGEMAP_SCAN: Final = 3 << 30 | 96 << 16 | ord("f") << 8 | 16

#: Needs that the live backend never meets, and why.
NEVER: Final = {
    "fail": "a running kernel's requests for memory do not fail on demand",
    "guest": "that would take a virtual machine",
    "driver": "pins are taken by drivers, and there is none for tests",
    "migration": "on one node nothing asks for the migration of given pages",
    "soft-dirty": "the live backend was not tried on a kernel with soft-dirty bits",
    "thp": "huge pages of a real machine are bigger than a program's region",
    "hugetlb": "huge pages of a real machine are bigger than a program's region",
    "numa-hints": "NUMA balancing cannot be aimed at given pages",
}
assert NEED_NAMES.issuperset(NEVER)

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Offer:
    """What can be done on the running kernel."""

    release: str
    version: tuple[int, int]
    has: frozenset[str]
    """Of :data:`~faultline.program.ops.NEEDS`."""
    lacks: dict[str, str]
    """By the other needs: why, and what helps if anything does."""
    paging_out: str | None
    """Why nothing is to be paged out, as it would go to swap of others; None: it may."""


def requirement_missing() -> str | None:
    """What this machine lacks for the live backend, as one line that says what helps; None if it lacks nothing."""
    if os.geteuid() != 0:
        return "the live kernel needs root (userfaultfd, pagemap, KSM, swap are all skipped without); run it with sudo"
    if os.sysconf("SC_PAGE_SIZE") != PAGE:
        return f"the live kernel needs pages of {PAGE} bytes; use another machine"
    if not shutil.which("gcc"):
        return "the live kernel needs gcc; apt-get install gcc"
    fd, error = _userfaultfd()
    if fd >= 0:
        os.close(fd)
        return None
    if error == errno.EPERM:
        how = f"'echo 1 > {_UNPRIVILEGED}', or run with CAP_SYS_PTRACE"
        return f"userfaultfd is not permitted ({_UNPRIVILEGED} is {_setting(_UNPRIVILEGED)}): all is skipped; {how}"
    return f"userfaultfd: {os.strerror(error)}: all is skipped; use an x86-64 or arm64 kernel with CONFIG_USERFAULTFD"


def look() -> Offer:
    """Tries what the running kernel offers; nothing is changed.

    :raises FaultlineError: (SKIPPED) the live backend cannot work here at all.
    """
    missing = requirement_missing()
    if missing:
        raise FaultlineError(missing, ExitStatus.SKIPPED)
    lacks = dict(NEVER)
    features = _features()
    for need, bit in _UFFD_FEATURES.items():
        if not features >> bit & 1:
            lacks[need] = "its userfaultfd does not offer that; use a newer kernel"
    tried: tuple[tuple[str, Callable[[], str | None]], ...] = (
        ("ksm", ksm_lacks), ("swap", swap_lacks), ("guard", _guard_lacks), ("populate", _populate_lacks),
        ("process-vm", _process_vm_lacks), ("shmem", _shmem_lacks), ("pagemap-scan", _scan_lacks),
    )  # fmt: skip
    lacks |= {need: why for need, lacking in tried if (why := lacking()) is not None}
    paging_out = lacks.get("swap") if swap_on() else None
    return Offer(os.uname().release, running_version(), NEED_NAMES.difference(lacks), lacks, paging_out)


def running_version() -> tuple[int, int]:
    """Version and patch level of the running kernel."""
    major, minor = os.uname().release.split(".")[:2]
    return int(major), int("".join(c for c in minor if c.isdigit()) or 0)


def _userfaultfd() -> tuple[int, int]:
    """A userfaultfd, or -1, and an errno."""
    number = _SYS_USERFAULTFD.get(os.uname().machine)
    if number is None:
        return -1, errno.ENOSYS
    fd = _libc.syscall(number, os.O_CLOEXEC | os.O_NONBLOCK)
    return fd, ctypes.get_errno() if fd < 0 else 0


def _setting(path: Path) -> str:
    return path.read_text().strip() if path.exists() else "not there"


def _features() -> int:
    fd, _ = _userfaultfd()
    api = bytearray(_API.pack(0xAA, 0, 0))
    try:
        fcntl.ioctl(fd, _UFFDIO_API, api)
    finally:
        os.close(fd)
    return int(_API.unpack(api)[1])


def _with_page(advice: int) -> tuple[bool, int]:
    """Whether advice about a page that was written to works, and the page's entry in pagemap afterwards."""
    with mmap.mmap(-1, PAGE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as page, open("/proc/self/pagemap", "rb") as f:
        page[0] = 1
        address = ctypes.addressof(ctypes.c_char.from_buffer(page))
        done = _libc.madvise(ctypes.c_void_p(address), PAGE, advice) == 0
        f.seek(address // PAGE * 8)
        return done, int.from_bytes(f.read(8), "little")


def _guard_lacks() -> str | None:
    done, entry = _with_page(_MADV_GUARD_INSTALL)
    shown = done and entry >> _PAGEMAP_GUARD & 1
    return None if shown else "pagemap does not show guard pages; use Linux 6.15 or later"


def _populate_lacks() -> str | None:
    return None if _with_page(_MADV_POPULATE_READ)[0] else "no MADV_POPULATE_READ; use Linux 5.14 or later"


def _process_vm_lacks() -> str | None:
    number = _SYS_PROCESS_VM_READV[os.uname().machine]
    none = ctypes.c_ulong(0)  # the last one goes by the stack, where an int would leave half of its place as it is
    if _libc.syscall(number, os.getpid(), none, none, none, none, none) == 0:
        return None
    return "no process_vm_readv(); use a kernel with CONFIG_CROSS_MEMORY_ATTACH"


def _shmem_lacks() -> str | None:
    try:
        os.close(os.memfd_create("faultline"))
    except OSError as error:
        return f"memfd_create: {error.strerror}; use a kernel with CONFIG_TMPFS"
    return None


def _scan_lacks() -> str | None:
    argument = bytearray(96)
    struct.pack_into("<Q", argument, 0, len(argument))
    with open("/proc/self/pagemap", "rb") as f:
        try:
            fcntl.ioctl(f, _PAGEMAP_SCAN, argument)
        except OSError as error:
            if error.errno == errno.ENOTTY:
                return "no PAGEMAP_SCAN; use Linux 6.7 or later"
    return None
