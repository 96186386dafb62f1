"""Repro files: a program with its header and, as comments, all that is known of its finding."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from faultline.build import Variant
from faultline.campaign.subject import LIVE_KERNEL
from faultline.program.codec import Operation
from faultline.program.text import Repro, format_repro
from faultline.report.text import explain, marked, plain, title
from faultline.tree.cache import store
from faultline.tree.patch import patch_bytes
from faultline.verdict.finding import Finding

SUFFIX: Final = ".repro"
#: What a header says of a check that compares what is inside, too.
INSIDE: Final = "internals"
#: Between a patch's path and its content's digest in a header.
_DIGEST: Final = " sha256:"
_DIGEST_DIGITS: Final = 16
_NAME_DIGITS: Final = 8


@dataclass(frozen=True)
class Patch:
    """A patch as a repro names it: a path, and the digest of the content that was tested (empty: unknown)."""

    path: Path
    digest: str

    @classmethod
    def of(cls, path: Path) -> Patch:
        """The patch at ``path`` with its present content.

        :raises FaultlineError: (USAGE) it cannot be read.
        """
        return cls(path, hashlib.sha256(patch_bytes(path)).hexdigest()[:_DIGEST_DIGITS])

    @classmethod
    def parse(cls, value: str) -> Patch:
        """The patch that a header's value names."""
        path, _, digest = value.partition(_DIGEST)
        return cls(Path(path), digest)

    def __str__(self) -> str:
        return f"{near(self.path)}{_DIGEST}{self.digest}"


@dataclass(frozen=True)
class Setting:
    """What a finding was made on: enough to build and run the same again."""

    kernel: str
    profile: str
    patches: tuple[Patch, ...] = ()
    seed: int | None = None
    variant: Variant = "plain"
    range: str = ""
    """Commits of the git repository ``kernel`` that take the place of patches."""
    strict: bool = False
    """What patched and base tree do otherwise inside is a finding, too."""

    def repro(self, finding: Finding | None, ops: Sequence[Operation]) -> Repro:
        """The program with its header."""
        header = {"kernel": self.kernel}
        if self.range:
            header["range"] = self.range
        if self.kernel != LIVE_KERNEL:
            header["profile"] = self.profile
        if self.variant != "plain":
            header["variant"] = self.variant
        if self.strict:
            header["compare"] = INSIDE
        if self.seed is not None:
            header["seed"] = str(self.seed)
        if finding is not None:
            header |= {"kind": finding.kind.value, "signature": finding.signature}
            if finding.schedule:
                header["schedule"] = finding.schedule
        return Repro(header, list(ops), [str(patch) for patch in self.patches])

    @property
    def named(self) -> tuple[str, ...]:
        """The patches as they were named: each file with its digest, or the range."""
        return (self.range,) if self.range else tuple(str(patch) for patch in self.patches)

    @property
    def patch_ids(self) -> tuple[str, ...]:
        """What stands for the patches: the same for the same patches, wherever they lie."""
        return (*(patch.digest for patch in self.patches), *([self.range] if self.range else []))

    def file_name(self, finding: Finding) -> str:
        """The name of the finding's repro, the same in every run on the same kernel and patches."""
        identity = "\n".join((finding.signature, self.kernel, self.profile, *self.patch_ids))
        digest = hashlib.sha256(identity.encode()).hexdigest()[:_NAME_DIGITS]
        return f"{finding.kind.value}-{finding.operation}-{digest}{SUFFIX}"


def replay_command(file: Path, kernel: str = "", *, three_way: bool = False) -> str:
    """The command that runs the repro ``file``: on the kernel of its header, unless another is named here."""
    name = shlex.quote(str(near(file)))
    if three_way:
        return f"faultline live --three-way --tree {kernel} {name}"
    return f"faultline replay {'--live ' if kernel == LIVE_KERNEL else ''}{name}"


def repro_text(setting: Setting, finding: Finding, ops: Sequence[Operation], file: Path) -> str:
    """The text of a repro file; ``file`` is where it will lie."""
    header = format_repro(setting.repro(finding, []))
    about = plain(explain(finding)).splitlines()
    how = replay_command(file, setting.kernel if finding.alone else "", three_way=bool(finding.alone))
    comments = [title(finding, ops), *(line.removeprefix("  ") for line in about), f"replay     {how}"]
    program = [line for _, line in marked(finding, ops)]
    return header + "".join(f"# {line}".rstrip() + "\n" for line in ["", *comments, ""]) + "\n".join(program) + "\n"


def keep_repro(setting: Setting, finding: Finding, ops: Sequence[Operation], out: Path) -> Path:
    """Writes the finding's repro into the folder ``out``, whole or not at all; the file's path.

    :raises OSError: it cannot be written.
    """
    file = out / setting.file_name(finding)
    store(file, repro_text(setting, finding, ops, file).encode())
    return file


def near(path: Path) -> Path:
    """The path as seen from the working directory if it lies below it, else in full."""
    full = path.absolute()
    return full.relative_to(Path.cwd()) if full.is_relative_to(Path.cwd()) else full
