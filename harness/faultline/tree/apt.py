"""Downloads a Debian package, from another suite of the machine's mirror if the machine's own suites lack it."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from faultline.kinds import FaultlineError
from faultline.tree.cache import no_space, writing

#: Suites by the names that every mirror has for them, newest kernels first.
_SUITES: Final = (
    "unstable", "experimental", "testing", "stable-backports", "stable", "oldstable-backports", "oldstable",
    "oldoldstable",
)  # fmt: skip
#: Who signs Debian's suites, where the package debian-archive-keyring is installed; else what apt itself trusts.
_KEYRING: Final = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_TARGETS: Final = ("indextargets", "--format", "$(REPO_URI) $(LABEL)", "Created-By: Packages", "Component: main")


def download(package: str, work: Path, root: Path, say: Callable[[str], None]) -> Path:
    """Downloads ``package`` to the folder ``work`` in the cache ``root``; returns the file.

    Tried in this order: the machine's package lists as they are, its sources with new lists, the other suites of its
    Debian mirror.  The machine's own lists and sources are never changed.  ``say`` is told what takes time.
    Raises :class:`FaultlineError`.
    """
    failure = _download(package, (), work, root)
    if not failure:
        return _downloaded(package, work)
    apt = _PrivateApt(work, root)
    failure = apt.update() or _download(package, apt.options, work, root)
    if _files(package, work):
        return _downloaded(package, work)
    mirror, known = apt.mirror(), apt.names(package)
    if not mirror:
        raise FaultlineError(
            f"cannot download {package}: {failure or 'not among the packages'}; "
            "it takes an apt source of a Debian mirror and the network, or give the path of a tree instead"
        )
    return _search(package, apt, mirror, known, say)


def _search(package: str, apt: _PrivateApt, mirror: str, known: set[str], say: Callable[[str], None]) -> Path:
    """Looks for the package in the suites of ``mirror``, new ones first if it is newer than the ``known`` ones."""
    newest = max(map(_release, known), default=(0, 0))
    failures: list[str] = []
    for suite in _SUITES if _release(package) > newest else reversed(_SUITES):
        say(f"looking for {package} in {suite}")
        failure = apt.update(f"{mirror} {suite} main")
        if failure:
            failures.append(failure)
            continue
        names = apt.names(package)
        known |= names
        if package in names:
            failure = _download(package, apt.options, apt.work, apt.root)
            if failure:
                raise FaultlineError(f"cannot download {package} of {suite}: {failure}")
            return _downloaded(package, apt.work)
    if len(failures) == len(_SUITES):
        raise FaultlineError(f"cannot download {package}: {failures[0]}; is the network there?")
    versions = ", ".join(f"{major}.{minor}" for major, minor in sorted(map(_release, known)))
    raise FaultlineError(
        f"no suite of {mirror} has {package}, only {versions or 'no version at all'}; give the path of a tree instead"
    )


@dataclass(frozen=True, slots=True)
class _PrivateApt:
    """apt with package lists and sources of its own in the folder ``work``."""

    work: Path
    root: Path

    @property
    def options(self) -> tuple[str, ...]:
        """Puts apt's state into the folder; its sources too, once :meth:`update` was given one."""
        sources = self.work / "sources.list"
        own = {"Dir::State::Lists": self.work / "lists", "Dir::Cache": self.work / "apt", "Acquire::Languages": "none"}
        if sources.exists():
            own |= {"Dir::Etc::SourceList": sources, "Dir::Etc::SourceParts": "/dev/null"}
        return tuple(word for name, value in own.items() for word in ("-o", f"{name}={value}"))

    def update(self, source: str = "") -> str:
        """Fetches the lists of a source (``URI suite component``), without one those of the machine's sources.

        Returns what went wrong, empty if nothing did.
        """
        with writing(self.root):
            for folder in ("lists/partial", "apt/archives/partial"):
                (self.work / folder).mkdir(parents=True, exist_ok=True)
            if source:
                signed = f"[signed-by={_KEYRING}] " if _KEYRING.exists() else ""
                (self.work / "sources.list").write_text(f"deb {signed}{source}\n")
        command = ["apt-get", *self.options, "-o", "APT::Update::Error-Mode=any", "update"]
        return run(command, self.work, self.root)

    def mirror(self) -> str:
        """The Debian mirror of the sources whose lists are here; empty if there is none."""
        lines = _output(["apt-get", *self.options, *_TARGETS], self.work)
        return next((uri for uri, _, label in (line.partition(" ") for line in lines) if label == "Debian"), "")

    def names(self, package: str) -> set[str]:
        """The packages in the lists that are another version of ``package``, or it."""
        stem = package.rpartition("-")[0]
        names = _output(["apt-cache", *self.options, "pkgnames", stem], self.work)
        return {name for name in names if re.fullmatch(rf"{re.escape(stem)}-\d+\.\d+", name)}


def _release(package: str) -> tuple[int, int]:
    """The version that the name of a package ends in."""
    major, minor = package.rpartition("-")[2].split(".")
    return int(major), int(minor)


def _download(package: str, options: Sequence[str], work: Path, root: Path) -> str:
    return run(["apt-get", *options, "download", package], work, root) or (
        "" if _files(package, work) else "apt-get left no file"
    )


def _files(package: str, work: Path) -> list[Path]:
    return sorted(work.glob(f"{package}_*.deb"))


def _downloaded(package: str, work: Path) -> Path:
    return _files(package, work)[-1]


def run(command: Sequence[str], work: Path, root: Path) -> str:
    """Runs a command in ``work``; empty if it succeeded, else its first complaint.

    Raises :class:`FaultlineError` if the disk of the cache ``root`` is full.
    """
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
    last = lines[-1] if lines else f"{command[0]} failed with status {done.returncode}"
    return (errors[0] if errors else last).removeprefix("E: ")


def _output(command: Sequence[str], work: Path) -> list[str]:
    """The lines that a command prints; none if it fails."""
    try:
        done = subprocess.run(command, cwd=work, capture_output=True, text=True, check=False, env=_plain_environment())
    except OSError:
        return []
    return done.stdout.splitlines() if done.returncode == 0 else []


def _plain_environment() -> dict[str, str]:
    """The environment with messages in English, for :func:`run` reads them."""
    return {**os.environ, "LC_ALL": "C"}
