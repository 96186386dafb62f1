"""Which patch of a series a finding comes with, and which one ends it.

Each step is the tree with the patches up to one of them.  A finding's program is run on every step; where the answer
changes from one step to the next, the patch between them is the one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

import msgspec

PatchState = Literal["clean", "findings", "fixes", "not-tested", "does-not-apply", "does-not-compile"]
"""``findings``: the patch brings one; ``fixes``: it ends one, of the base tree or of a patch before it; ``not-tested``:
it changes nothing that is built, or could not be looked at."""


Failure = Literal["does-not-apply", "does-not-compile"]


class Broken(msgspec.Struct, frozen=True, kw_only=True):
    """Patches of a series between which a finding shows."""

    signature: str
    by: str
    """The patch that brings it."""
    since: str = ""
    """The last patch before that which is known not to show it; empty: the base tree, or the one just before."""
    until: str = ""
    """The patch that ends it; empty: the whole series shows it."""
    program: str = ""
    repro: str | None = None
    """The file; null: none could be written."""


class Fix(msgspec.Struct, frozen=True, kw_only=True):
    """A finding that the base tree shows and the patches cure."""

    signature: str
    program: str
    index: int
    """The program's number in the run."""
    known: bool = False
    """Whether corpora/known lists it."""
    by: str = ""
    """The patch of a series that cures it; empty: there is one patch alone, or it is not known."""


class PatchVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """One patch of a series."""

    name: str
    """``2/5``, a commit or a file."""
    subject: str
    author: str
    files: tuple[str, ...]
    """That it changes, paths in the tree."""
    state: PatchState
    findings: tuple[str, ...] = ()
    """Signatures that it brings."""
    fixes: tuple[str, ...] = ()
    """Signatures that it ends."""
    why: str = ""
    """Why it does not apply or compile, or was not tested."""


class SeriesVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """What a series of patches comes to, patch by patch."""

    patches: tuple[PatchVerdict, ...]
    title: str = ""
    """Of the cover letter."""
    broken: tuple[Broken, ...] = ()
    unplaced: tuple[str, ...] = ()
    """Signatures of findings that no step shows again: which patch brings them is not known."""
    interrupted: bool = False
    """Whether some steps were not looked at."""
    seconds_build: float = 0.0
    seconds_check: float = 0.0

    @property
    def whole(self) -> bool:
        """Whether all patches apply and compile."""
        return not any(patch.state.startswith("does-not") for patch in self.patches)

    @property
    def mended(self) -> tuple[Broken, ...]:
        """What patches break that later ones mend."""
        return tuple(broken for broken in self.broken if broken.until)


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """A patch and what is known before anything runs."""

    name: str
    subject: str = ""
    author: str = ""
    files: tuple[str, ...] = ()
    built: bool = True
    """Whether the tree with the patches up to this one was built."""
    same: bool = False
    """Whether it is the same library as the one before."""
    failure: Failure | None = None
    why: str = ""


Shown = Sequence[bool | None]
"""By step, whether a finding shows; None: the step was not built, or not asked."""


def judge_series(
    steps: Sequence[Step],
    shown: Mapping[str, Shown],
    cured: Mapping[str, Shown],
    *,
    title: str = "",
    about: Mapping[str, tuple[str, str | None]] | None = None,
    interrupted: bool = False,
    seconds: tuple[float, float] = (0.0, 0.0),
) -> SeriesVerdict:
    """The verdict patch by patch.

    ``shown`` tells of each finding which steps show it, ``cured`` of each finding of the base tree which steps do not;
    ``about``: program and repro of a finding.
    """
    broken = [
        _about(one, (about or {}).get(signature, ("", None)))
        for signature, row in shown.items()
        for one in _intervals(steps, signature, row)
    ]
    fixed = {signature: curing(steps, row) for signature, row in cured.items()}
    return SeriesVerdict(
        patches=tuple(_patch(step, broken, fixed, interrupted=interrupted) for step in steps),
        title=title,
        broken=tuple(broken),
        unplaced=tuple(signature for signature, row in shown.items() if not any(row)),
        interrupted=interrupted,
        seconds_build=round(seconds[0], 3),
        seconds_check=round(seconds[1], 3),
    )


def curing(steps: Sequence[Step], row: Shown) -> str:
    """The patch from which on a finding of the base tree is gone; empty: there is none."""
    gone = [cured is True for cured in row]
    last = max((number for number, cured in enumerate(row) if cured is False), default=-1)
    return next((step.name for step, here in list(zip(steps, gone, strict=True))[last + 1 :] if here), "")


def _about(broken: Broken, program: tuple[str, str | None]) -> Broken:
    return msgspec.structs.replace(broken, program=program[0], repro=program[1])


def _intervals(steps: Sequence[Step], signature: str, row: Shown) -> Iterator[Broken]:
    """Where a finding begins and ends; what is not known of a step is no end."""
    by, clean = "", -1
    since = ""
    for number, (step, here) in enumerate(zip(steps, row, strict=True)):
        if here is None:
            continue
        if here and not by:
            by = step.name
            since = steps[clean].name if 0 <= clean < number - 1 else ""
        elif not here:
            if by:
                yield Broken(signature=signature, by=by, since=since, until=step.name)
            by, clean = "", number
    if by:
        yield Broken(signature=signature, by=by, since=since)


def _patch(step: Step, broken: Sequence[Broken], fixed: Mapping[str, str], *, interrupted: bool) -> PatchVerdict:
    findings = tuple(one.signature for one in broken if one.by == step.name)
    mends = [one.signature for one in broken if one.until == step.name]
    fixes = (*mends, *(signature for signature, name in fixed.items() if name == step.name))
    why = step.why
    state: PatchState
    if step.failure:
        state = step.failure
    elif findings:
        state = "findings"
    elif fixes:
        state = "fixes"
    elif step.same or not step.built:
        state = "not-tested"
        why = why or "it changes nothing that is built"
    elif interrupted:
        state, why = "not-tested", "interrupted"
    else:
        state = "clean"
    return PatchVerdict(
        name=step.name, subject=step.subject, author=step.author, files=step.files, state=state, findings=findings,
        fixes=fixes, why=why,
    )  # fmt: skip
