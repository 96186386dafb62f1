"""The settings of the whole machine that the live backend changes: KSM's knobs, and swap on zram.

A small process, the keeper (:file:`live_keeper.c`), puts them back.  It is told what to undo before anything is
changed, and undoes it when its input ends: when the backend is closed, and when its process has died, be it by SIGKILL.
The keeper also holds the lock by which one Faultline at a time works on these settings.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import struct
import subprocess
import time
from pathlib import Path
from typing import Final

from faultline.kinds import ExitStatus, FaultlineError

LOCK: Final = Path("/run/faultline-live.lock")
#: Seconds after which another Faultline at work is no longer waited for.
LOCK_SECONDS: Final = 300.0

KSM: Final = Path("/sys/kernel/mm/ksm")
_KSM_KNOBS: Final = (
    *(("advisor_mode", "none"), ("sleep_millisecs", "0"), ("smart_scan", "0"), ("use_zero_pages", "0")),
    ("pages_to_scan", "10000"),
)
#: A page is merged at its third visit: two see that it does not change, one meets an equal page.
_KSM_SCANS: Final = 3
#: A busy machine may leave ksmd no time for long.
_KSM_STALL_SECONDS: Final = 15.0

_USE_SECONDS: Final = 1.0

ZRAM: Final = Path("/sys/block/zram0")
_SWAPS: Final = Path("/proc/swaps")
_ZRAM_BYTES: Final = 64 << 20
_PAGE: Final = 4096

_libc = ctypes.CDLL(None, use_errno=True)


def ksm_lacks() -> str | None:
    """Why KSM is not to be used, and what helps; None: it is.  Who uses it has a moment to end."""
    deadline = time.monotonic() + _USE_SECONDS
    while (user := _ksm_lacks()) is not None and time.monotonic() < deadline:
        time.sleep(0.05)
    return user


def _ksm_lacks() -> str | None:
    if not KSM.is_dir():
        return f"{KSM} is not there; use a kernel with CONFIG_KSM, and mount /sys"
    if (KSM / "run").read_text().strip() == "1":
        return f"KSM is in use; stop it by 'echo 0 > {KSM}/run' if this machine can spare it"
    for stat in Path("/proc").glob("[0-9]*/ksm_stat"):
        try:
            words = stat.read_text().split()
            name = (stat.parent / "comm").read_text().strip()
        except OSError:
            continue  # it has ended
        told = dict(zip(words[::2], words[1::2], strict=False))
        if told.get("ksm_mergeable:") == "yes" or told.get("ksm_merging_pages", "0") != "0":
            return f"process {stat.parent.name} ({name}) has memory for KSM to merge; end it"
    return None


def swap_lacks() -> str | None:
    """Why swap is not to be used, and what helps; None: it is."""
    used = [line.split()[0] for line in _SWAPS.read_text().splitlines()[1:]] if _SWAPS.exists() else []
    if not _SWAPS.exists():
        return f"{_SWAPS} is not there; use a kernel with CONFIG_SWAP"
    if used:
        return f"swap is in use ({', '.join(used)}); 'swapoff {used[0]}' if this machine can spare it"
    if not ZRAM.is_dir():
        return f"{ZRAM} is not there; 'modprobe zram', or use a kernel with CONFIG_ZRAM"
    if (ZRAM / "disksize").read_text().strip() != "0":
        return f"{ZRAM.name} is in use; 'echo 1 > {ZRAM}/reset' if this machine can spare it"
    return None


def swap_on() -> bool:
    """Whether this machine has swap now."""
    return _SWAPS.exists() and len(_SWAPS.read_text().splitlines()) > 1


def _locked() -> int:
    """The descriptor of the lock, which is held from now on.

    :raises FaultlineError: (SKIPPED) another one holds it for long; (ERROR) it cannot be made.
    """
    try:
        lock = os.open(LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise FaultlineError(f"{LOCK}: {error.strerror}; the live backend needs to write there") from None
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            if time.monotonic() > deadline:
                who = os.pread(lock, 20, 0).decode().strip() or "?"
                os.close(lock)
                message = f"another faultline (process {who}) works on the live kernel; wait until it has ended"
                raise FaultlineError(message, ExitStatus.SKIPPED) from None
            time.sleep(0.05)
    os.ftruncate(lock, 0)
    os.pwrite(lock, str(os.getpid()).encode(), 0)
    return lock


class Keeper:
    """The process that undoes; it holds the lock as long as it lives.

    :param program: the built :file:`live_keeper.c`.
    :raises FaultlineError: (SKIPPED) another Faultline works on the live kernel, and does not end.
    """

    def __init__(self, program: Path) -> None:
        lock = _locked()
        # a session of its own: neither Ctrl-C nor a terminal that closes reaches it
        self._process = subprocess.Popen(
            [program], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, start_new_session=True, pass_fds=[lock]
        )
        os.close(lock)

    def will_undo(self, *words: str) -> None:
        """Notes what is to be undone; called before it is done."""
        assert self._process.stdin is not None
        os.write(self._process.stdin.fileno(), (" ".join(words) + "\n").encode())

    def set(self, path: Path, value: str) -> None:
        """Changes a setting until the end."""
        self.will_undo("write", str(path), _chosen(path.read_text()))
        path.write_text(value)

    def close(self) -> None:
        """Undoes everything; when it returns, that has been done."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def _chosen(text: str) -> str:
    """The value of a setting: of several words the one in brackets."""
    before, bracket, rest = text.strip().partition("[")
    return rest.partition("]")[0] if bracket else before


class Ksm:
    """KSM, which scans on demand alone."""

    def __init__(self, keeper: Keeper) -> None:
        keeper.will_undo("write", str(KSM / "run"), (KSM / "run").read_text().strip())
        for name, value in _KSM_KNOBS:
            if (KSM / name).exists():
                keeper.set(KSM / name, value)
        keeper.will_undo("write", str(KSM / "run"), "0")  # before anything else is put back

    @staticmethod
    def scan() -> None:
        """Lets ksmd scan until equal pages have had their chance; there must be memory that may be merged, for without
        any it counts no scans.

        :raises FaultlineError: ksmd does not run.
        """
        scans = int((KSM / "full_scans").read_text()) + _KSM_SCANS
        deadline = time.monotonic() + _KSM_STALL_SECONDS
        (KSM / "run").write_text("1")
        while int((KSM / "full_scans").read_text()) < scans and time.monotonic() < deadline:
            time.sleep(0.0005)
        (KSM / "run").write_text("0")
        if time.monotonic() > deadline:
            raise FaultlineError("live: ksmd does not scan; look at the kernel log")


class Swap:
    """Swap on zram, turned on.

    :raises FaultlineError: it cannot be.
    """

    def __init__(self, keeper: Keeper) -> None:
        self._device = Path("/dev") / ZRAM.name
        keeper.will_undo("write", str(ZRAM / "reset"), "1")
        keeper.will_undo("swapoff", str(self._device))
        try:
            (ZRAM / "disksize").write_text(str(_ZRAM_BYTES))
            header = bytearray(_PAGE)
            struct.pack_into("<II", header, 1024, 1, _ZRAM_BYTES // _PAGE - 1)
            header[-10:] = b"SWAPSPACE2"
            with self._device.open("r+b") as device:
                device.write(header)
        except OSError as error:
            raise FaultlineError(f"live: {ZRAM.name}: {error.strerror}; somebody else uses it") from None
        self.on()

    def on(self) -> None:
        """Turns it on again."""
        if _libc.swapon(str(self._device).encode(), 0):
            raise FaultlineError(f"live: swapon {self._device}: {os.strerror(ctypes.get_errno())}; look at {_SWAPS}")

    def off(self) -> int:
        """Turns it off; 0 or an errno.

        :raises FaultlineError: it is off already.
        """
        error = ctypes.get_errno() if _libc.swapoff(str(self._device).encode()) else 0
        if error == errno.EINVAL:
            raise FaultlineError(f"live: swap on {self._device} was turned off by somebody else; run it again")
        return error
