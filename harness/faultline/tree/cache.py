"""The cache folder: trees, objects and libraries that can always be made again.

Everything in it is written beside its place and then renamed, so that two processes may work in it at once and an
interrupted one leaves nothing half done.
"""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from faultline.kinds import FaultlineError

_FULL: Final = (errno.ENOSPC, errno.EDQUOT)
#: Pruning looks at everything in the cache, which takes longer than a link: not more often than so, in seconds.
PRUNE_EVERY: Final = 600
#: Entries used within this many seconds are never pruned: a campaign may be running on them.
_KEEP_SECONDS: Final = 6 * 3600


def cache_dir() -> Path:
    """The cache folder: ``FAULTLINE_CACHE``, else ``faultline`` in ``XDG_CACHE_HOME``, else in ``~/.cache``."""
    chosen = os.environ.get("FAULTLINE_CACHE")
    if chosen:
        return Path(chosen).expanduser().absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser().absolute() / "faultline"


def no_space(where: Path) -> FaultlineError:
    """The error for a full disk."""
    return FaultlineError(f"no space left for the cache {where}: free some, or set FAULTLINE_CACHE to another disk")


@contextmanager
def writing(where: Path) -> Iterator[None]:
    """Turns an :class:`OSError` of the enclosed writes to the cache ``where`` into a :class:`FaultlineError`."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise no_space(where) from error
        raise FaultlineError(
            f"cannot write to the cache {where}: {error.strerror or error}; set FAULTLINE_CACHE to a writable folder"
        ) from error


@contextmanager
def scratch(root: Path) -> Iterator[Path]:
    """A temporary folder on the disk of the cache ``root``, removed at the end, come what may.

    Raises :class:`FaultlineError` if it cannot be made.
    """
    with writing(root):
        (root / "tmp").mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(dir=root / "tmp"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def store(path: Path, content: bytes) -> None:
    """Writes a file whole or not at all.  Raises :class:`OSError`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".part-{os.getpid()}-{secrets.token_hex(4)}")
    try:
        part.write_bytes(content)
        part.replace(path)
    except BaseException:
        with suppress(OSError):
            part.unlink()
        raise


def store_folder(files: dict[str, bytes], target: Path, root: Path) -> None:
    """Writes a folder of ``files`` (path in it -> content) to ``target``, whole or not at all; done already is fine.

    Raises :class:`FaultlineError` if the cache ``root`` cannot be written.
    """
    if target.is_dir():
        touch(target)
        return
    with scratch(root) as work, writing(root):
        part = work / "part"
        part.mkdir()
        for name, content in files.items():
            path = part / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        move_folder(part, target)


def move_folder(part: Path, target: Path) -> None:
    """Renames a finished folder to its place, unless another process was quicker.  Raises :class:`OSError`."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        part.rename(target)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise


@contextmanager
def locked(root: Path, name: str) -> Iterator[None]:
    """Keeps other threads and processes from doing at the same time what ``name`` stands for.

    Raises :class:`FaultlineError` if the cache ``root`` cannot be written.
    """
    with writing(root):
        (root / "locks").mkdir(parents=True, exist_ok=True)
        file = (root / "locks" / name).open("w")
    with file:
        with suppress(OSError):  # a file system without locks: then work may be done twice, which does no harm
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def touch(path: Path) -> None:
    """Notes that an entry was used now; a cache that cannot be written is fine."""
    with suppress(OSError):
        os.utime(path)


def prune_now_and_then(root: Path, limit_bytes: int) -> None:
    """As :func:`prune`, unless that was done not long ago."""
    stamp = root / "pruned"
    if 0 <= time.time() - _mtime(stamp) < PRUNE_EVERY:
        return
    with suppress(OSError):
        stamp.touch()
    prune(root, limit_bytes)


def prune(root: Path, limit_bytes: int) -> int:
    """Removes what was not used for longest until the cache's objects and libraries fit into ``limit_bytes``.

    Entries used within the last hours stay.  Trees are left alone.  Returns how many bytes were removed.
    """
    now = time.time()
    for leftover in _children(root / "tmp"):
        if now - _mtime(leftover) > 24 * 3600:
            shutil.rmtree(leftover, ignore_errors=True)
    entries = [
        (_mtime(entry), _size(entry), entry)
        for part in ("objects", "libs", "headers", "overlays", "manifests", "spatch", "series", "reach", "locks")
        for entry in _children(root / part)
    ]
    excess = sum(size for _, size, _ in entries) - limit_bytes
    removed = 0
    for used, size, entry in sorted(entries, key=lambda item: item[0]):
        if removed >= excess or now - used < _KEEP_SECONDS:
            break
        if entry.is_dir():
            shutil.rmtree(entry, ignore_errors=True)
        else:
            entry.unlink(missing_ok=True)
        removed += size
    return removed


def _children(folder: Path) -> Iterable[Path]:
    return list(folder.iterdir()) if folder.is_dir() else ()


def _mtime(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _size(path: Path) -> int:
    try:
        if path.is_dir():
            return sum(_size(child) for child in path.iterdir())
        return path.stat().st_size
    except OSError:
        return 0
