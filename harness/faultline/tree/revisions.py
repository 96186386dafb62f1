"""The commits of a git range as patches, and the tree that they begin from.

The repository is only read: its index and its working tree play no part, and the base's files go to the cache.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from faultline.kinds import ExitStatus, FaultlineError
from faultline.tree.cache import cache_dir, move_folder, scratch, touch, writing
from faultline.tree.debian import PACKAGE_NOTE, part_of
from faultline.tree.series import Series, SeriesPatch, file_name, patch_file, unpack

#: Commits of one range; each is compiled.
COMMITS_MAX: Final = 200
#: Trees of bases that are kept, those used last.
TREES_KEPT: Final = 4
#: One used within this many seconds stays anyhow: somebody may be working on it.
TREES_SECONDS: Final = 3600
_SHORT: Final = 12
_DIFF_TREE: Final = (
    "diff-tree", "-p", "--binary", "--no-commit-id", "--root", "--no-renames", "--no-ext-diff", "--no-textconv",
    "--no-color", "--src-prefix=a/", "--dst-prefix=b/",
)  # fmt: skip
_LIKE_A_DIFF: Final = re.compile(rb"^(diff |--- |\+\+\+ |@@ |Binary )", re.MULTILINE)
#: What a caller's environment may say of another repository.
_ELSEWHERE: Final = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_NAMESPACE")


def read_range(repository: Path, revisions: str, say: Callable[[str], None] = lambda _: None) -> Series:
    """The commits that ``revisions`` (``base..topic``) names, as patches on the tree that the first of them is made on.

    ``say`` is told what takes time.  Raises :class:`FaultlineError`: (USAGE) it is no range; no git repository, an
    unknown revision, a merge in it, more than :data:`COMMITS_MAX`; (SKIPPED) there is no commit in it.
    """
    if not shutil.which("git"):
        raise FaultlineError("--range needs git, which is not here: apt-get install git", ExitStatus.SKIPPED)
    git = _Git(repository)
    base, topic = git.ends(revisions)
    merges = git.words("rev-list", "--merges", f"{base}..{topic}")
    if merges:
        raise FaultlineError(
            f"{revisions}: {git.title(merges[-1])} is a merge; rebase the topic, or name a range without merges"
        )
    commits = git.words("rev-list", "--reverse", "--topo-order", f"{base}..{topic}")
    if not commits:
        raise FaultlineError(f"{revisions}: no commit in it; a range looks like base..topic", ExitStatus.SKIPPED)
    if len(commits) > COMMITS_MAX:
        raise FaultlineError(f"{revisions}: {len(commits):,} commits, more than {COMMITS_MAX}; name a shorter range")
    texts = {commit: git.patch(commit) for commit in commits}
    kept = [commit for commit in commits if texts[commit]]
    notes = [f"{git.title(commit)} changes nothing: left out" for commit in commits if not texts[commit]]
    titles = {commit: git.field(commit, "%s") for commit in kept}
    authors = {commit: git.field(commit, "%an <%ae>") for commit in kept}
    files = {
        file_name(number, titles[commit]): patch_file(
            authors[commit], titles[commit], git.description(commit) + texts[commit]
        )
        for number, commit in enumerate(kept, 1)
    }
    patches = [
        SeriesPatch(path, commit[:_SHORT], titles[commit], authors[commit])
        for commit, path in zip(kept, unpack(files), strict=True)
    ]
    begin = git.words("rev-parse", "--verify", f"{commits[0]}^")[0]
    if begin != base:
        notes.append(f"{revisions}: the tree is {git.title(begin)}, where the topic leaves the base")
    return Series(tuple(patches), notes=tuple(notes), base=_tree(git, begin, say))


def fixed_range(repository: Path, revisions: str) -> str:
    """The same range by its commits, which no later push moves.  Raises as :func:`read_range` does."""
    base, topic = _Git(repository).ends(revisions)
    return f"{base[:_SHORT]}..{topic[:_SHORT]}"


class _Git:
    """A repository that is read."""

    def __init__(self, repository: Path) -> None:
        self._path = repository
        if not repository.is_dir():
            raise FaultlineError(f"{repository}: no such folder; --tree names the git repository of --range")
        inside = self._run("rev-parse", "--git-dir")
        if inside.returncode != 0:
            why = _last_line(inside.stderr)
            text = f": {why}" if "not a git repository" not in why else ""
            raise FaultlineError(f"{repository}: not a git repository{text}; --tree names that of --range")

    def ends(self, revisions: str) -> tuple[str, str]:
        """The commits at both ends of a range."""
        base, dots, topic = revisions.partition("..")
        if not dots or ".." in topic.removeprefix("."):
            raise FaultlineError(f"--range {revisions!r}: a range looks like base..topic", ExitStatus.USAGE)
        return self.commit(base or "HEAD"), self.commit(topic.removeprefix(".") or "HEAD")

    def commit(self, revision: str) -> str:
        """The commit that a revision names."""
        done = self._run("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
        if done.returncode != 0:
            raise FaultlineError(f"{self._path}: no commit {revision!r} there; see `git log`, or fetch it")
        return done.stdout.decode().strip()

    def words(self, *arguments: str) -> list[str]:
        """What git says, word by word."""
        return self.output(*arguments).decode().split()

    def field(self, commit: str, form: str) -> str:
        """A field of a commit, as ``git log`` formats it, on one line."""
        text = self.output("log", "-1", "--no-color", "--no-show-signature", f"--format={form}", commit)
        return " ".join(text.decode(errors="replace").split())

    def description(self, commit: str) -> bytes:
        """What a commit says below its subject, with nothing in it that looks like a diff."""
        text = self.output("log", "-1", "--no-color", "--no-show-signature", "--format=%b", commit)
        return _LIKE_A_DIFF.sub(rb" \1", text) + b"---\n"

    def title(self, commit: str) -> str:
        """A commit for messages."""
        return f"{commit[:_SHORT]} ({self.field(commit, '%s')!r})"

    def patch(self, commit: str) -> bytes:
        """What a commit changes, empty if nothing."""
        return self.output(*_DIFF_TREE, commit)

    def archive(self, commit: str, parts: list[str], target: Path) -> None:
        """Writes the files of a commit to a tar archive."""
        self.output("archive", "--format=tar", f"--output={target}", commit, "--", *parts)

    def output(self, *arguments: str) -> bytes:
        """What git writes to its standard output."""
        done = self._run(*arguments)
        if done.returncode != 0:
            raise FaultlineError(f"{self._path}: git {arguments[0]} fails: {_last_line(done.stderr)}")
        return done.stdout

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        environment = {name: value for name, value in os.environ.items() if name not in _ELSEWHERE}
        environment |= {"LC_ALL": "C", "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "GIT_PAGER": "cat"}
        command = ["git", "-C", str(self._path), *arguments]
        return subprocess.run(command, capture_output=True, env=environment, stdin=subprocess.DEVNULL, check=False)


def _last_line(stderr: bytes) -> str:
    lines = [line for line in stderr.decode(errors="replace").splitlines() if line.strip()] or ["no message"]
    return lines[-1].removeprefix("fatal: ")


def _tree(git: _Git, commit: str, say: Callable[[str], None]) -> Path:
    """The files of a commit that a build reads, in the cache."""
    root = cache_dir()
    folder = root / "revisions" / commit
    if (folder / PACKAGE_NOTE).is_file():
        touch(folder)
        return folder
    say(f"unpacking {git.title(commit)}")
    listed = git.output("ls-tree", "-r", "-z", "--name-only", commit).decode("utf-8", "surrogateescape").split("\0")
    parts = {part_of(name) for name in listed} - {""}
    if not parts:
        raise FaultlineError(f"{git.title(commit)}: not a kernel tree; --tree names a kernel repository")
    with scratch(root) as work:
        paths = [f":(glob){part}" if part in listed else f":(glob){part}/**" for part in sorted(parts)]
        git.archive(commit, paths, work / "tar")
        part = work / "part"
        with writing(root):
            part.mkdir()
        done = subprocess.run(["tar", "-C", str(part), "-xf", str(work / "tar")], capture_output=True, check=False)
        if done.returncode != 0:
            raise FaultlineError(f"cannot unpack {git.title(commit)} into {root}: {_last_line(done.stderr)}")
        with writing(root):
            (part / PACKAGE_NOTE).write_text(f"git:{commit[:_SHORT]}\n")
            move_folder(part, folder)
    _forget(root / "revisions")
    return folder


def _forget(folder: Path) -> None:
    """Removes all trees but those used last or not long ago."""
    used = {tree: tree.stat().st_mtime for tree in folder.iterdir()}
    for old in sorted(used, key=lambda tree: -used[tree])[TREES_KEPT:]:
        if time.time() - used[old] > TREES_SECONDS:
            shutil.rmtree(old, ignore_errors=True)
