"""A series patch by patch: as lines for people, and as repros of what only its beginning shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from faultline.campaign.run import Result
from faultline.campaign.worker import Record
from faultline.program.text import format_program
from faultline.report.repro import Patch, Setting, keep_repro, near
from faultline.report.text import WIDTH, Line, Style
from faultline.tree.cache import cache_dir, store
from faultline.tree.series import Series
from faultline.verdict.series import Broken, Fix, PatchState, PatchVerdict, SeriesVerdict

#: Below the folder of findings, the patches of repros that need only some of a series.
FOLDER: Final = "series"
_STYLES: Final[dict[PatchState, Style]] = {
    "clean": Style.PLAIN,
    "fixes": Style.PLAIN,
    "not-tested": Style.MARKED,
    "findings": Style.TITLE,
    "does-not-apply": Style.TITLE,
    "does-not-compile": Style.TITLE,
}
_STATE_WIDTH: Final = max(map(len, _STYLES))


def series_lines(series: SeriesVerdict) -> list[Line]:
    """The table of a series, and below it what people must not overlook."""
    title = f": {series.title}" if series.title else ""
    seconds = series.seconds_build + series.seconds_check
    lines: list[Line] = [
        (Style.MARKED, f"series of {len(series.patches)} patches{title} ({seconds:.1f} s for its steps)")
    ]
    width = max(len(patch.name) for patch in series.patches)
    for patch in series.patches:
        lines += _patch_lines(patch, series.broken, width)
    lines += [(Style.TITLE, mended_line(broken)) for broken in series.mended]
    return lines + [(Style.MARKED, text) for text in series_doubts(series)]


def series_doubts(series: SeriesVerdict) -> list[str]:
    """What is not known of a series, a line each."""
    doubts = [f"not seen again, so no patch is named: {signature}" for signature in series.unplaced]
    if series.interrupted:
        doubts.append("not all steps were asked: a finding may come with an earlier patch than named")
    return doubts


def _patch_lines(patch: PatchVerdict, broken: Sequence[Broken], width: int) -> list[Line]:
    head = f"  {patch.name:<{width}}  {patch.state:<{_STATE_WIDTH}}  {patch.subject}".rstrip()
    indent = " " * (width + _STATE_WIDTH + 6)
    style = _STYLES[patch.state]
    return [(style, head[:WIDTH]), *((style, indent + text) for text in patch_says(patch, broken))]


def patch_says(patch: PatchVerdict, broken: Sequence[Broken]) -> list[str]:
    """What a patch brings and ends, and why it could not be tested, a line each."""
    since = {one.signature: one.since for one in broken if one.by == patch.name}
    texts = [f"brings {name}{_since(since.get(name, ''))}" for name in patch.findings]
    texts += [f"ends {name}" for name in patch.fixes]
    return [*texts, *([patch.why] if patch.why else [])]


def _since(name: str) -> str:
    return f" (or one of the patches after {name})" if name else ""


def mended_line(broken: Broken) -> str:
    """What one patch breaks and a later one mends, in a line."""
    where = f"; see {near(Path(broken.repro))}" if broken.repro else ""
    return f"broken between {broken.by} and {broken.until}: {broken.signature}{where}"


def fixes(result: Result) -> tuple[Fix, ...]:
    """What the patches cure, each with the patch of a series that does."""
    by = {name: patch.name for patch in (result.series.patches if result.series else ()) for name in patch.fixes}
    return tuple(
        Fix(
            signature=cure.finding.signature,
            program=format_program(cure.ops),
            index=cure.index,
            known=cure.known,
            by=by.get(cure.finding.signature, ""),
        )
        for cure in result.cures
    )


def fix_lines(result: Result, programs: dict[str, int]) -> list[str]:
    """The same in a line each; ``programs``: how many show it on the base tree, by signature."""
    told = {fix.signature: fix for fix in fixes(result)}
    lines = []
    for name, count in programs.items():
        fix = told.get(name)
        by = f" by {fix.by}" if fix and fix.by else ""
        known = ", listed in corpora/known" if fix and fix.known else ""
        times = f"{count:,} program{'' if count == 1 else 's'}"
        lines.append(f"fixed{by}: {name}, which only the base tree shows ({times}){known}")
    return lines


def keep_beginning(setting: Setting, series: Series, record: Record, upto: int, out: Path) -> Path | None:
    """Writes the repro of a finding that the first ``upto`` patches show, with these patches beside it if they were
    unpacked; None: it cannot be written."""
    try:
        return keep_repro(_beginning(setting, series, upto, out), record.finding, record.ops, out)
    except OSError:
        return None


def _beginning(setting: Setting, series: Series, upto: int, out: Path) -> Setting:
    if setting.range:
        base = setting.range.partition("..")[0]
        return replace(setting, range=f"{base}..{series.patches[upto - 1].name}")
    patches = []
    for patch in series.patches[:upto]:
        path = patch.path
        if path.is_relative_to(cache_dir()):
            path = out / FOLDER / path.name
            store(path, patch.path.read_bytes())
        patches.append(Patch.of(path))
    return replace(setting, patches=tuple(patches))
