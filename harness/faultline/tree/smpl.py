"""Applies semantic patches (SmPL, Coccinelle's language) with spatch.

A semantic patch names the files that it edits in a comment, ``// files: mm/memory.c mm/mprotect.c``.  It must edit
each of them, and each of its rules that edits must do so somewhere: half a semantic patch is a different patch.  A rule
that need not match (one of several variants, say) is named in a comment ``// optional: rule1 rule2``.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from faultline.kinds import FaultlineError
from faultline.tree.cache import cache_dir, no_space, scratch, store, touch, writing

_FILES: Final = re.compile(r"^//\s*files:\s*(.+)$", re.MULTILINE)
_OPTIONAL: Final = re.compile(r"^//\s*optional:\s*(.+)$", re.MULTILINE)
_RULE: Final = re.compile(r"^@\s*(?P<name>[A-Za-z_]\w*)?(?P<script>\s*:)?[^@]*@")
_TRIED: Final = re.compile(r"^dependencies for rule (.+) (?:not )?satisfied:$")
_EDITED: Final = "transform state:"
_TIMEOUT_SECONDS: Final = 300
_MESSAGE_MAX: Final = 200


@dataclass(frozen=True, slots=True)
class _Rule:
    name: str
    """As spatch calls it; an unnamed one by its line."""
    line: int
    """1-based, of its header."""
    script: bool
    edits: bool = False

    def __str__(self) -> str:
        return f"the {self.name}" if " " in self.name else f"rule {self.name} (line {self.line})"


def apply_smpl(text: str, read: Callable[[str], str | None], name: str) -> dict[str, str | None]:
    """What the semantic patch ``text`` makes of the files it names: path in the tree -> new content.

    ``read`` gives a file's present content, or None if there is no such file; ``name`` is the patch's for messages.
    Results are kept in the cache.  Raises :class:`FaultlineError`: no spatch, no files named, a parse error (with its
    line), a file or a rule for which nothing changes.
    """
    declared = _FILES.search(text)
    if not declared:
        raise FaultlineError(f"{name}: a semantic patch must name its files in a line like `// files: mm/memory.c`")
    result: dict[str, str | None] = {}
    edited: set[str] = set()
    paths = declared[1].split()
    for path in paths:
        before = read(path)
        if before is None:
            raise FaultlineError(f"{name}: there is no file {path} in the tree")
        after, rules = _cached(text, path, before, name)
        if after == before:
            raise FaultlineError(f"{name}: changes nothing in {path}{_silent(text, set())}")
        result[path] = after
        edited |= rules
    silent = _silent(text, edited)
    if silent:
        raise FaultlineError(f"{name}: changes only a part of what it should in {', '.join(paths)}{silent}")
    return result


def _silent(text: str, edited: set[str]) -> str:
    """Names the rules that should have edited something and did not."""
    optional = {rule for line in _OPTIONAL.findall(text) for rule in line.split()}
    missed = [rule for rule in _rules(text) if rule.edits and rule.name not in edited | optional]
    return f": {missed[0]} matches nowhere" if missed else ""


def _rules(text: str) -> list[_Rule]:
    """The rules of a semantic patch, found by their headers."""
    rules: list[_Rule] = []
    in_body = True
    for number, line in enumerate(text.splitlines(), 1):
        header = _RULE.match(line) if in_body else None
        if header:
            name = header["name"] or f"rule starting on line {number}"
            rules.append(_Rule(name, number, script=bool(header["script"])))
            in_body = "@@" in line[header.end() :]
        elif not in_body:
            in_body = "@@" in line
        elif rules and not rules[-1].script and line[:1] in ("+", "-"):
            rules[-1] = replace(rules[-1], edits=True)
    return rules


def _cached(text: str, path: str, before: str, name: str) -> tuple[str, set[str]]:
    """The file's new content and the names of the rules that edited it."""
    program = shutil.which("spatch")
    if not program:
        raise FaultlineError(f"{name}: semantic patches need spatch, which is not here: apt-get install coccinelle")
    root = cache_dir()
    inputs = (program, str(Path(program).stat().st_mtime_ns), path, text, before)
    digest = hashlib.blake2b(digest_size=20)
    for part in inputs:
        digest.update(part.encode("utf-8", "surrogateescape") + b"\0")
    entry = root / "spatch" / digest.hexdigest()
    if entry.is_file():
        touch(entry)
    else:
        after, rules = _spatch(program, text, path, before, name, root)
        with writing(root):
            store(entry, ("\n".join(sorted(rules)) + "\0" + after).encode("utf-8", "surrogateescape"))
    rule_lines, _, after = entry.read_bytes().decode("utf-8", "surrogateescape").partition("\0")
    return after, set(rule_lines.splitlines())


def _spatch(program: str, text: str, path: str, before: str, name: str, root: Path) -> tuple[str, set[str]]:
    with scratch(root) as work:
        with writing(root):
            (work / "patch.cocci").write_bytes(text.encode("utf-8", "surrogateescape"))
            target = work / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(before.encode("utf-8", "surrogateescape"))
        quiet = ["--debug", "--no-show-diff", "--no-includes"]
        command = [program, "--sp-file", "patch.cocci", *quiet, "--in-place", path]
        try:
            done = subprocess.run(
                command, cwd=work, capture_output=True, encoding="utf-8", errors="replace", timeout=_TIMEOUT_SECONDS
            )
        except subprocess.TimeoutExpired as error:
            raise FaultlineError(f"{name}: spatch takes more than {_TIMEOUT_SECONDS} s on {path}") from error
        if "No space left on device" in done.stderr:
            raise no_space(root)
        if done.returncode != 0 or "EXN:" in done.stderr:
            raise FaultlineError(f"{name}: {_complaint(done.stderr)}")
        return target.read_bytes().decode("utf-8", "surrogateescape"), _edited(done.stderr)


def _edited(stderr: str) -> set[str]:
    rules: set[str] = set()
    current = ""
    for line in stderr.splitlines():
        tried = _TRIED.match(line)
        if tried:
            current = tried[1]
        elif _EDITED in line:
            rules.add(current)
    return rules


def _complaint(stderr: str) -> str:
    """The essence of spatch's error, with the line of the semantic patch where it says one."""
    place = re.search(r"line (\d+), column (\d+)", stderr)
    around = re.search(r"around = '(.*)'", stderr)
    if place:
        return f"line {place[1]}: spatch cannot parse this" + (f", near {around[1]!r}" if around else "")
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    fatal = [line for line in lines if "EXN" in line or "rror" in line or "xception" in line]
    return "spatch fails: " + (fatal or lines or ["no message"])[-1][:_MESSAGE_MAX]
