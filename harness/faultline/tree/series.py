"""The patches that a user names, whatever they come in, as files that can be applied one after the other.

What has to be unpacked (mails, compressed files, diffs with the line ends of another system) goes to the cache.
"""

from __future__ import annotations

import gzip
import hashlib
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from faultline.kinds import FaultlineError
from faultline.tree.cache import cache_dir, store_folder
from faultline.tree.mail import Mail, is_mail, read_thread
from faultline.tree.patch import patch_bytes

_GZIP: Final = b"\x1f\x8b"
#: A diff of which the lines of its own end like this came by a system that has other line ends than the kernel.
_OTHER_ENDS: Final = re.compile(rb"^\+\+\+ [^\n]*\r\n", re.MULTILINE)
_SLUG_MAX: Final = 52


@dataclass(frozen=True, slots=True)
class SeriesPatch:
    """One patch of those that are tested, in order."""

    path: Path
    """A unified diff, or SmPL if it ends in ``.cocci``."""
    name: str
    """What its author calls it: ``2/5``, a commit, or the file."""
    subject: str = ""
    author: str = ""


@dataclass(frozen=True, slots=True)
class Series:
    """The patches in order of application."""

    patches: tuple[SeriesPatch, ...] = ()
    title: str = ""
    """Of the cover letter; empty: there is none."""
    notes: tuple[str, ...] = ()
    """What of the input was left out, and why."""
    base: Path | None = None
    """The tree that they are for, where the input says so."""

    @property
    def paths(self) -> list[Path]:
        """The files to apply."""
        return [patch.path for patch in self.patches]


def read_series(named: Sequence[Path]) -> Series:
    """The patches of the files that a user names, in that order.

    Raises :class:`FaultlineError`: (USAGE) one cannot be read; an mbox without patches or with half a series; the
    cache.
    """
    parts = [_read(path) for path in named]
    patches = tuple(patch for part in parts for patch in part.patches)
    titles = [part.title for part in parts if part.title]
    return Series(patches, titles[0] if len(titles) == 1 else "", tuple(note for part in parts for note in part.notes))


def _read(path: Path) -> Series:
    content = patch_bytes(path)
    whole = _unzipped(content, path)
    if path.suffix == ".cocci":
        return Series((SeriesPatch(path, path.name),))
    if is_mail(whole):
        return _of_mails(whole, path)
    if _OTHER_ENDS.search(whole):
        whole = whole.replace(b"\r\n", b"\n")
    if whole == content:
        return Series((SeriesPatch(path, path.name),))
    (unpacked,) = unpack({path.name.removesuffix(".gz"): whole})
    return Series((SeriesPatch(unpacked, path.name),))


def _unzipped(content: bytes, path: Path) -> bytes:
    if not content.startswith(_GZIP):
        return content
    try:
        return gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise FaultlineError(f"{path}: damaged gzip file: {error}") from None


def _of_mails(content: bytes, path: Path) -> Series:
    thread = read_thread(content, path.name)
    alone = len(thread.patches) == 1 and path.suffix in (".patch", ".diff")
    names = [path.name if alone else file_name(number, mail.subject) for number, mail in enumerate(thread.patches, 1)]
    files = dict(zip(names, map(_content, thread.patches), strict=True))
    patches = [
        SeriesPatch(
            file,
            path.name if mail.number is None and alone else _name(mail, file),
            mail.subject,
            mail.author,
        )
        for file, mail in zip(unpack(files), thread.patches, strict=True)
    ]
    return Series(tuple(patches), thread.title, tuple(f"{path.name}: {note}" for note in thread.left_out))


def _content(mail: Mail) -> bytes:
    return patch_file(mail.author, mail.subject, mail.text.encode("utf-8", "surrogateescape"))


def _name(mail: Mail, file: Path) -> str:
    return file.name if mail.number is None else f"{mail.number}/{mail.total}"


def patch_file(author: str, subject: str, text: bytes) -> bytes:
    """A patch with its head, as a mail has it."""
    head = f"From: {author}\nSubject: {subject}\n\n"
    return head.encode("utf-8", "surrogateescape") + text.rstrip(b"\n") + b"\n"


def file_name(number: int, subject: str) -> str:
    """The name of a patch's file, as git makes one of a subject."""
    slug = re.sub(r"[^A-Za-z0-9.]+", "-", subject).strip("-.")[:_SLUG_MAX].rstrip("-.")
    return f"{number:04}-{slug or 'patch'}.patch"


def unpack(files: dict[str, bytes]) -> list[Path]:
    """Writes patches (name -> content) into a folder of the cache that has their content for its name.

    Raises :class:`FaultlineError` if the cache cannot be written.
    """
    root = cache_dir()
    digest = hashlib.blake2b(digest_size=20)
    for name, content in files.items():
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    folder = root / "series" / digest.hexdigest()
    store_folder(files, folder, root)
    return [folder / name for name in files]
