"""Fetches a Debian kernel source package and unpacks the parts that a build reads."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from faultline.kinds import FaultlineError
from faultline.tree.cache import cache_dir, move_folder, no_space, scratch, writing

#: In an unpacked tree: the package and its version.
PACKAGE_NOTE: Final = ".faultline-package"

#: What the build, the reports (MAINTAINERS) and the oracle's sources (Documentation) need.
_PARTS: Final = (
    "Makefile", "MAINTAINERS", "include", "mm", "kernel", "lib", "fs", "ipc", "scripts", "arch/x86/include",
    "Documentation/mm", "Documentation/admin-guide/mm",
)  # fmt: skip


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
        archive = _download(package, work, root)
        say(f"unpacking {archive.name}")
        part = _unpack(package, archive, work, root)
        with writing(root):
            move_folder(part, target)
    return target


def _download(package: str, work: Path, root: Path) -> Path:
    """Downloads the package to ``work``; brings the package lists up to date if the first attempt fails.

    Without root, apt keeps lists of its own in ``work``.
    """
    options: list[str] = []
    failure = ""
    for update in (False, True):
        if update:
            if os.geteuid() != 0:
                options = ["-o", f"Dir::State::Lists={work}/lists", "-o", f"Dir::Cache={work}/apt"]
                with writing(root):
                    (work / "lists/partial").mkdir(parents=True)
                    (work / "apt/archives/partial").mkdir(parents=True)
            _run(["apt-get", *options, "update"], work, root)
        failure = _run(["apt-get", *options, "download", package], work, root)
        found = sorted(work.glob(f"{package}_*.deb"))
        if found and not failure:
            return found[-1]
    raise FaultlineError(f"cannot download {package}: {failure or 'apt-get left no file'}")


def _unpack(package: str, archive: Path, work: Path, root: Path) -> Path:
    failure = _run(["dpkg", "-x", str(archive), "package"], work, root)
    tarballs = sorted((work / "package/usr/src").glob(f"{package}.tar.*"))
    if failure or not tarballs:
        raise FaultlineError(f"cannot unpack {archive.name}: {failure or 'no source archive in it'}")
    with writing(root):
        part = work / "tree"
        part.mkdir()
    members = [f"{package}/{name}" for name in _PARTS]
    failure = _run(["tar", "-C", str(part), "--strip-components=1", "-xf", str(tarballs[0]), *members], work, root)
    if failure:
        raise FaultlineError(f"cannot unpack {tarballs[0].name}: {failure}")
    with writing(root):
        version = archive.name.split("_")[1].replace("%3a", ":")
        (part / PACKAGE_NOTE).write_text(f"{package} {version}\n")
    return part


def _run(command: Sequence[str], work: Path, root: Path) -> str:
    """Runs a command in ``work``; empty if it succeeded, else its last line of complaint."""
    try:
        done = subprocess.run(command, cwd=work, capture_output=True, text=True, check=False, env=_plain_environment())
    except OSError as error:
        return f"{command[0]}: {error.strerror}"
    if done.returncode == 0:
        return ""
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    if any("No space left on device" in line for line in lines):
        raise no_space(root)
    errors = [line for line in lines if line.startswith(("E:", "Err"))]
    return (errors or lines or [f"{command[0]} failed with status {done.returncode}"])[-1].removeprefix("E: ")


def _plain_environment() -> dict[str, str]:
    """The environment with messages in English, for :func:`_run` reads them."""
    return {**os.environ, "LC_ALL": "C"}
