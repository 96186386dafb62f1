"""What was found in unmodified kernels as reports that can be sent: ``python -m faultline.report.discovery``.

Writes ``corpora/known/reports/`` from the entries of ``corpora/known`` (the oracle's deviations and ``index.toml``),
from ``reports.toml``, which has what only a report needs, and ``live.toml``: what the exported programs came to on a
kernel that ran.  The lists to tell are those that the tree's own scripts/get_maintainer.pl names for the files.  With
``--live`` the exported programs run on this kernel first, and ``live.toml`` is written.
"""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from textwrap import wrap
from typing import Final, TypeVar

import msgspec

from faultline.backend.live import LiveBackend
from faultline.backend.live_offer import running_version
from faultline.campaign.source import corpora_dir
from faultline.export.files import Source, plain_c
from faultline.export.fold import fold_c
from faultline.kinds import FaultlineError
from faultline.oracle.orders import DEVIATIONS_OVERLAPPING
from faultline.oracle.rules import DEVIATIONS, KnownDeviation
from faultline.program.text import HEADER_KEYS, parse_repro
from faultline.report.mail import WIDTH
from faultline.tree import SUPPORTED, find_tree
from faultline.verdict.known import Known, read_known

REPORTS: Final = "reports"
_WORDS, _LIVE = "reports.toml", "live.toml"
#: Who reads what is about memory, which MAINTAINERS of old trees does not say of all its files; who keeps old trees.
_MM: Final = "linux-mm@kvack.org"
_STABLE: Final = "stable@vger.kernel.org"
_ATTEMPTS: Final = 20
_SECONDS: Final = 40
_LABEL: Final = re.compile(r"# (documented|kernel|source): (.*)")
_HEADER: Final = re.compile(rf"(?:{'|'.join(HEADER_KEYS)}):\s|# faultline repro")
T = TypeVar("T")
_VERSION: Final = re.compile(r"\b\d+\.\d+\b")


class Words(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An entry of reports.toml."""

    subject: str
    files: tuple[str, ...]
    linux: str = ""
    live: str = ""


class Shown(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An entry of live.toml: what an exported program came to."""

    kernel: str
    told: str

    @property
    def fails(self) -> bool:
        """Whether it showed what the entry is about."""
        return self.told.startswith("FAIL")


@dataclass(frozen=True)
class Discovery:
    """What one report says."""

    path: Path
    """The program."""
    words: Words
    documented: str
    kernel: str
    """What the kernel does."""
    source: str
    """Why, as its source says; empty if that is not told."""
    trees: str
    shown: Shown | None

    @property
    def linux(self) -> tuple[int, int]:
        """The kernel that the report is for: the newest one that shows it."""
        named = [self.words.linux] if self.words.linux else _VERSION.findall(self.trees)
        major, minor = max(tuple(map(int, version.split("."))) for version in named)
        return major, minor

    @property
    def tree(self) -> tuple[int, int]:
        """The tree whose MAINTAINERS says who is told: that kernel's, or the next one that is supported."""
        return min((version for version in SUPPORTED if version >= self.linux), default=SUPPORTED[-1])

    @property
    def program(self) -> str:
        """The operations, in text form."""
        lines = (line for line in self.path.read_text().splitlines() if line.strip())
        return "\n".join(line for line in lines if not line.startswith("#") and not _HEADER.match(line))

    @property
    def has_own_c(self) -> bool:
        """Whether a C program was written for it."""
        return self.path.with_suffix(".c").is_file()

    def c_program(self) -> str:
        """A C program that shows it: one that was written for it, or the exported one.

        :raises FaultlineError: (SKIPPED) a live kernel cannot do on demand what the program does.
        """
        if self.has_own_c:
            return self.path.with_suffix(".c").read_text()
        text = self.path.read_text()
        return plain_c(Source(self.path, parse_repro(text), text), self.linux)


def discoveries(folder: Path) -> dict[str, Discovery]:
    """All of a folder such as corpora/known, by name.

    :raises FaultlineError: a file is damaged, or has no entry for one of them, or one too many.
    """
    words, shown = _read(folder / _WORDS, Words), _read(folder / _LIVE, Shown)
    deviations = {deviation.id: deviation for deviation in (*DEVIATIONS, *DEVIATIONS_OVERLAPPING)}
    index = read_known(folder)
    for name in sorted(words.keys() ^ (deviations.keys() | index.keys())):
        missing = "has no" if name not in words else "has an odd"
        raise FaultlineError(f"{folder / _WORDS}: {missing} entry {name}; name each entry of {folder} once")
    found = {name: _of_deviation(folder, one, words[name], shown.get(name)) for name, one in deviations.items()}
    return found | {name: _of_index(folder, one, words[name], shown.get(name)) for name, one in index.items()}


def _read(path: Path, kind: type[T]) -> dict[str, T]:
    try:
        entries = tomllib.loads(path.read_text())
        return {name: msgspec.convert(entry, kind) for name, entry in entries.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, msgspec.ValidationError) as error:
        raise FaultlineError(f"{path}: {error}; mend the entry or take it out") from None


def _of_deviation(folder: Path, one: KnownDeviation, words: Words, shown: Shown | None) -> Discovery:
    documented = f"{one.documented} [{one.source}]"
    return Discovery(folder / f"{one.id}.prog", words, documented, one.kernel, "", one.trees, shown)


def _of_index(folder: Path, one: Known, words: Words, shown: Shown | None) -> Discovery:
    """The words of a repro's own comments come first."""
    path = folder / one.repro
    told = _labelled(path.read_text())
    trees = f"{', '.join(one.trees)} (machine)" if one.trees else ""
    return Discovery(
        path, words, told.get("documented", f"[{one.source}]"), told.get("kernel", one.why), told.get("source", ""),
        trees, shown,
    )  # fmt: skip


def _labelled(text: str) -> dict[str, str]:
    """The comments above a program by their labels; what has none is about the source."""
    found: dict[str, list[str]] = {}
    label = "source"
    for line in text.splitlines():
        match = _LABEL.match(line)
        if match:
            label = match[1]
            found.setdefault(label, []).append(match[2])
        elif line.startswith("# ") and not _HEADER.match(line):
            found.setdefault(label, []).append(line[2:])
        elif not line.startswith("#") and not _HEADER.match(line):
            break
    return {label: " ".join(lines) for label, lines in found.items()}


def report(one: Discovery, lists: tuple[str, ...]) -> str:
    """The mail, its head included.

    :param lists: addresses, from :func:`lists_for`.
    :raises OSError: the program cannot be read.
    """
    return "".join(f"{line}\n" for line in [*prose(one, lists), *_c_lines(one)])


def prose(one: Discovery, lists: tuple[str, ...]) -> list[str]:
    """The lines of the mail before the C program."""
    newest = one.tree == SUPPORTED[-1]
    lines = [
        f"Subject: [BUG] {one.words.subject}",
        f"To: {', '.join(dict.fromkeys((_MM, *lists) if newest else (_STABLE, _MM, *lists)))}",
        f"X-Files: {', '.join(one.words.files)} (Linux {_dotted(one.linux)})",
        "",
    ]
    paragraphs = [
        ("What is documented:", one.documented),
        ("What happens:", one.kernel),
        ("Why, as far as the source tells:", one.source),
        ("Where it was seen:", " ".join(_seen(one))),
    ]
    for head, text in paragraphs:
        lines += [*(wrap(f"{head} {text}", WIDTH, break_long_words=False, break_on_hyphens=False)), ""] if text else []
    if not newest:
        lines += [f"Trees after {_dotted(one.tree)} do not show it.", ""]
    about = (
        "To see it (in the names of operations p1.0 is thread 0 of process 1, m the process that has the "
        "userfaultfds, a3+2 two pages from page 3 on, u0 a userfaultfd, =7 the byte that fills a page, k0 a reference):"
    )
    return [*lines, *wrap(about, WIDTH), "", *(f"    {line}" for line in one.program.splitlines()), ""]


def _seen(one: Discovery) -> Iterator[str]:
    if one.trees:
        yield f"{one.trees}."
    if one.words.live:
        yield f"Linux {one.words.live}"
    if one.shown is not None and (one.shown.fails or not one.words.live):
        yield f"The C program below, on Linux {one.shown.kernel}: {one.shown.told}"


def _c_lines(one: Discovery) -> list[str]:
    path = f"corpora/known/{one.path.name}"
    try:
        code = one.c_program()
    except FaultlineError as error:
        why = str(error).partition(": ")[2]
        text = f"There is no C program for a running kernel: {why}.  In the machine: faultline replay {path}"
        return wrap(text, WIDTH, break_long_words=False, break_on_hyphens=False)
    head = ["The same in C; exit status 1 if it shows:", "", f"--- {one.path.stem}.c ---"]
    return [*head, *fold_c(code, WIDTH).splitlines()]


def _dotted(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"


def lists_for(tree: Path, files: tuple[str, ...]) -> tuple[str, ...]:
    """The mailing lists for files of a tree.

    :raises FaultlineError: the tree cannot tell.
    """
    command = ["perl", "scripts/get_maintainer.pl", "--no-tree", "--no-git", "--no-git-fallback", "--nom", "--nor"]
    try:
        done = subprocess.run(
            [*command, "--norolestats", "-f", *files], cwd=tree, capture_output=True, text=True, check=False
        )
    except OSError as error:
        raise FaultlineError(f"perl: {error.strerror}; it is needed for {tree}/scripts/get_maintainer.pl") from None
    lists = tuple(line.split()[0] for line in done.stdout.splitlines() if line.strip())
    if done.returncode or not lists:
        why = (done.stderr.splitlines() or ["no list"])[0]
        raise FaultlineError(f"{tree}/scripts/get_maintainer.pl: {why}; see whether the tree has {', '.join(files)}")
    return lists


# --- what the kernel that runs shows ---


def shown_here(found: dict[str, Discovery]) -> dict[str, Shown]:
    """What the exported programs come to on the running kernel, pinned to one CPU, with swap; by name.

    :raises FaultlineError: (SKIPPED) the live backend cannot work, which lends its swap.
    """
    kernel = f"{_dotted(running_version())} ({platform.machine()})"
    with (
        tempfile.TemporaryDirectory(prefix="faultline-") as folder,
        LiveBackend(cpu=min(os.sched_getaffinity(0))) as backend,
    ):
        if "swap" in backend.offer.has:
            backend.swap()
        programs = {name: _built(Path(folder), name, one) for name, one in found.items()}
        return {name: Shown(kernel, _outcome(program)) for name, program in programs.items() if program is not None}


def _built(folder: Path, name: str, one: Discovery) -> Path | None:
    """The exported program; None: there is none."""
    if one.has_own_c:
        return None
    with suppress(FaultlineError):
        file = folder / f"{name}.c"
        file.write_text(one.c_program())
        subprocess.run(["gcc", "-O2", "-pthread", "-o", file.with_suffix(""), file], check=True)
        return file.with_suffix("")
    return None


def _outcome(program: Path) -> str:
    """What it says, if it fails once in several runs; else what it said last."""
    said, end = "", time.monotonic() + _SECONDS
    for _ in range(_ATTEMPTS):
        try:
            done = subprocess.run([program], capture_output=True, text=True, timeout=_SECONDS, check=False)
        except subprocess.TimeoutExpired:
            return f"it does not end in {_SECONDS} seconds"
        said = (done.stdout.splitlines() or [f"exit status {done.returncode}"])[-1]
        if done.returncode != 0 or time.monotonic() > end:
            break
    return said


def _toml(shown: dict[str, Shown]) -> str:
    head = "# What the exported programs came to: python -m faultline.report.discovery --live\n"
    rows = (f'\n[{name}]\nkernel = "{one.kernel}"\ntold = {_quoted(one.told)}\n' for name, one in sorted(shown.items()))
    return head + "".join(rows)


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def main(arguments: list[str]) -> None:
    """Writes the reports.

    :raises FaultlineError: an entry is damaged, or a tree is not there.
    """
    folder = corpora_dir() / "known"
    found = discoveries(folder)
    if arguments == ["--live"]:
        (folder / _LIVE).write_text(_toml(shown_here(found)))
        found = discoveries(folder)
    trees = {version: find_tree(f"debian:{_dotted(version)}").path for version in {one.tree for one in found.values()}}
    out = folder / REPORTS
    out.mkdir(exist_ok=True)
    for name, one in found.items():
        (out / f"{name}.txt").write_text(report(one, lists_for(trees[one.tree], one.words.files)))


if __name__ == "__main__":
    main(sys.argv[1:])
