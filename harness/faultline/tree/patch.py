"""Patches laid over a tree that stays as it is."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from faultline.kinds import ExitStatus, FaultlineError
from faultline.tree.cache import store_folder
from faultline.tree.debian import PACKAGE_NOTE, part_of
from faultline.tree.diff import apply_diff
from faultline.tree.smpl import apply_smpl


class Overlay:
    """A tree with patches on it: the patched files are held aside, all others are the tree's own.

    Paths are relative to the tree, with ``/``.  Contents are text with every byte kept (surrogateescape).
    """

    def __init__(self, tree: Path, patches: Sequence[Path] = ()) -> None:
        """``patches`` are applied in order, each on what the ones before it left.  Raises as :meth:`apply` does."""
        self.tree = tree
        #: Patched file -> new content, None for one that is deleted.
        self.changed: dict[str, str | None] = {}
        #: Patched file -> names of the patches that touched it, in order.
        self.touched: dict[str, list[str]] = {}
        #: File that an unpacked tree leaves out -> names of the patches that would touch it, in order.
        self.left_out: dict[str, list[str]] = {}
        self._partial = (tree / PACKAGE_NOTE).is_file()
        for patch in patches:
            self.apply(patch)

    def read(self, path: str) -> str | None:
        """The file's content with the patches so far, None if there is no such file."""
        if path in self.changed:
            return self.changed[path]
        try:
            return (self.tree / path).read_bytes().decode("utf-8", "surrogateescape")
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return None

    def exists(self, path: str) -> bool:
        """Whether the patched tree has this file."""
        return self.changed[path] is not None if path in self.changed else (self.tree / path).is_file()

    def apply(self, patch: Path) -> set[str]:
        """Applies one patch: SmPL if its name ends in ``.cocci``, else a unified diff (or a mail with one).

        Returns the files that it changes, those among them that an unpacked tree leaves out.
        Raises as :func:`patch_bytes` does, or which hunk or rule does not apply to which file.
        """
        text = patch_bytes(patch).decode("utf-8", "surrogateescape")
        files: set[str] = set()

        def skip(path: str) -> bool:
            elsewhere = self._partial and not part_of(path) and not self.exists(path)
            if elsewhere:
                files.add(path)
                self.left_out.setdefault(path, []).append(patch.name)
            return elsewhere

        if patch.suffix == ".cocci":
            changes = apply_smpl(text, self.read, patch.name)
        else:
            changes = apply_diff(text, self.read, patch.name, skip)
        for path, content in changes.items():
            self.changed[path] = content
            self.touched.setdefault(path, []).append(patch.name)
            files.add(path)
        for path in [path for path in self.changed if self.changed[path] == self._original(path)]:
            del self.changed[path]
        return files

    def _original(self, path: str) -> str | None:
        return Overlay(self.tree).read(path)

    def save(self, root: Path) -> Path | None:
        """Writes the patched files to the cache ``root`` with a clang VFS overlay that lays them over the tree.

        Returns the overlay's path, None if no file is changed.  Under it the compiler sees the patched files by the
        names of the tree's own, wherever and however they are included.
        """
        if not self.changed:
            return None
        digest = hashlib.blake2b(str(self.tree).encode(), digest_size=20)
        for path, content in sorted(self.changed.items()):
            digest.update(f"\0{path}\0{content is None}\0".encode() + _encode(content))
        folder = root / "overlays" / digest.hexdigest()
        files = {f"files/{path}": _encode(content) for path, content in self.changed.items() if content is not None}
        files["vfs.yaml"] = json.dumps(_vfs(self.tree, folder / "files", self.changed), indent=1).encode()
        store_folder(files, folder, root)
        return folder / "vfs.yaml"


def patch_bytes(path: Path) -> bytes:
    """The content of a file that a user names as a patch.

    :raises FaultlineError: (USAGE) it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise FaultlineError(f"{path}: {error.strerror}; name a patch file", ExitStatus.USAGE) from None


def _encode(content: str | None) -> bytes:
    return b"" if content is None else content.encode("utf-8", "surrogateescape")


def _vfs(tree: Path, files: Path, changed: dict[str, str | None]) -> dict[str, object]:
    """The overlay as clang reads it; a deleted file maps to one that is not there."""
    return {
        "version": 0,
        "case-sensitive": "true",
        "use-external-names": "false",
        "roots": [
            {"type": "file", "name": str(tree / path), "external-contents": str(files / path)}
            for path in sorted(changed)
        ],
    }
