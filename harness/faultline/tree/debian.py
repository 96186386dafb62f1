"""Fetches a Debian kernel source package and unpacks the parts that a build reads."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

from faultline.kinds import FaultlineError
from faultline.tree.apt import download, run
from faultline.tree.cache import cache_dir, move_folder, scratch, writing

#: In an unpacked tree: the package and its version.
PACKAGE_NOTE: Final = ".faultline-package"

#: What the build, the reports (MAINTAINERS) and the oracle's sources (Documentation, vm/ before 6.0) need; patterns.
PARTS: Final = (
    "Makefile", "MAINTAINERS", "include", "mm", "kernel", "lib", "fs", "ipc", "scripts", "arch/x86/include",
    "Documentation/[mv]m", "Documentation/admin-guide/mm",
)  # fmt: skip


def part_of(path: str) -> str:
    """Which of :data:`PARTS` a file of a tree belongs to; empty: to none, so that an unpacked tree does not have it."""
    words = path.split("/")
    for part in PARTS:
        wanted = part.split("/")
        if len(words) >= len(wanted) and all(map(fnmatchcase, words, wanted)):
            return part
    return ""


def fetch(release: str, say: Callable[[str], None]) -> Path:
    """The tree of Debian's package ``linux-source-<release>``, unpacked in the cache; needs no network if it is there.

    ``say`` is told what takes time.  Raises :class:`FaultlineError`.
    """
    root = cache_dir()
    target = root / "trees" / f"linux-{release}"
    if (target / PACKAGE_NOTE).is_file():
        return target
    package = f"linux-source-{release}"
    if not shutil.which("apt-get"):
        raise FaultlineError(f"debian:{release} needs apt-get, which is not here; give the path of a tree instead")
    with scratch(root) as work:
        work.chmod(0o755)
        say(f"downloading {package}")
        archive = download(package, work, root, say)
        say(f"unpacking {archive.name}")
        part = _unpack(package, archive, work, root)
        with writing(root):
            move_folder(part, target)
    return target


def _unpack(package: str, archive: Path, work: Path, root: Path) -> Path:
    failure = run(["dpkg", "-x", str(archive), "package"], work, root)
    tarballs = sorted((work / "package/usr/src").glob(f"{package}.tar.*"))
    if failure or not tarballs:
        raise FaultlineError(f"cannot unpack {archive.name}: {failure or 'no source archive in it'}")
    with writing(root):
        part = work / "tree"
        part.mkdir()
    members = [f"{package}/{name}" for name in PARTS]
    failure = run(
        ["tar", "-C", str(part), "--strip-components=1", "--wildcards", "-xf", str(tarballs[0]), *members], work, root
    )
    if failure:
        raise FaultlineError(f"cannot unpack {tarballs[0].name}: {failure}")
    with writing(root):
        version = archive.name.split("_")[1].replace("%3a", ":")
        (part / PACKAGE_NOTE).write_text(f"{package} {version}\n")
    return part
