"""A git repository with a kernel tree in it, and commits made of semantic patches; nothing is ever checked out."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from commands import ROOT

from faultline.tree import DEFAULT_TREE, Overlay, find_tree

NAMES = ("-c", "user.name=Jane Doe", "-c", "user.email=jane@example.org", "-c", "commit.gpgsign=false")


class KernelRepository:
    """``base`` is the default tree, or the one that FAULTLINE_TREE names."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.tree = find_tree(os.environ.get("FAULTLINE_TREE") or DEFAULT_TREE).path
        path.mkdir()
        self.git("init", "-q", ".")
        self.git(f"--work-tree={self.tree}", "add", "-A", "-f", "--", ":(top)", ":(top,exclude).*")
        self.base = self._commit("base")

    def git(self, *arguments: str, given: str | None = None) -> str:
        done = subprocess.run(
            ["git", *NAMES, *arguments], cwd=self.path, input=given, capture_output=True, text=True, check=True,
            errors="surrogateescape",
        )  # fmt: skip
        return done.stdout.strip()

    def _commit(self, subject: str, *parents: str) -> str:
        tree = self.git("write-tree")
        return self.git("commit-tree", tree, "-m", subject, *(word for parent in parents for word in ("-p", parent)))

    def commit(self, parent: str, subject: str, files: dict[str, str]) -> str:
        """A commit in which these files have this content."""
        self.git("read-tree", parent)
        for path, text in files.items():
            blob = self.git("hash-object", "-w", "--stdin", given=text)
            self.git("update-index", "--add", "--cacheinfo", f"100644,{blob},{path}")
        return self._commit(subject, parent)

    def semantic(self, parent: str, subject: str, patch: str) -> str:
        """A commit of what a semantic patch of the corpora makes of the tree itself."""
        changed = Overlay(self.tree, [ROOT / "corpora" / patch]).changed
        return self.commit(parent, subject, {path: text or "" for path, text in changed.items()})

    def original(self, *paths: str) -> dict[str, str]:
        """Files as ``base`` has them."""
        return {path: (self.tree / path).read_text() for path in paths}
