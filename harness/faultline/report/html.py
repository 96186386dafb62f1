"""One page that holds a whole run: no file beside it, no script needed to read it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from faultline.report.cost import by_operation, code_says, cost_says, mean, percent
from faultline.report.diffview import diff_files
from faultline.report.document import Document, Found
from faultline.report.picture import ROWS_MAX, swim_lanes
from faultline.report.plot import plots
from faultline.report.repro import replay_command
from faultline.report.series import mended_line, patch_says, series_doubts
from faultline.report.text import kernel_chain, marked, place
from faultline.report.words import again, environment, headline, others, saying, subject
from faultline.verdict.cost import Cost
from faultline.verdict.series import PatchVerdict

#: Pictures and tables of further findings are left out beyond so many bytes of them; the page says so there.
PICTURES_BYTES_MAX: Final = 700_000
#: Findings in full; further ones are in the list.
FULL_MAX: Final = 120
#: Lines of a diff on a page.
DIFF_LINES_MAX: Final = 2_000


@dataclass(frozen=True)
class Shown:
    """A finding as the page shows it."""

    found: Found
    anchor: str
    place: str
    operations: int
    program: list[tuple[bool, str]]
    replay: str
    """Empty: its repro could not be written."""
    picture: Markup | None
    no_picture: str
    """Why there is none."""
    steps: bool
    """Whether the table of steps is on the page."""


def html(document: Document) -> str:
    """The page."""
    template = _environment().get_template("report.html.j2")
    return template.render(
        run=document,
        headline=headline(document),
        subject=subject(document),
        saying=saying(document),
        findings=list(_shown(document)),
        full_max=FULL_MAX,
        others=others(document),
        series=_series(document),
        doubts=[*map(mended_line, document.series.mended), *series_doubts(document.series)] if document.series else [],
        files=diff_files(document.diff, document.reach, DIFF_LINES_MAX),
        cost=_cost(document.cost) if document.cost else None,
        plots=plots(document.timeline),
        environment=environment(document),
        again=again(document),
    )


def _shown(document: Document) -> Iterator[Shown]:
    room = PICTURES_BYTES_MAX
    for number, found in enumerate(document.findings, 1):
        ops = found.ops
        picture = swim_lanes(found, f"lanes-{number}") if room > 0 and number <= FULL_MAX else None
        why = f"a program of more than {ROWS_MAX} operations" if room > 0 else "the page would be too large"
        if picture is not None:
            room -= 2 * len(picture)  # the table of steps takes less than the picture
        yield Shown(
            found=found,
            anchor=f"finding-{number}",
            place=place(found, ops),
            operations=len(ops),
            program=list(marked(found, ops)),
            replay=_replay(found, document.kernel),
            picture=picture,
            no_picture=f"No picture: {why}.",
            steps=picture is not None and bool(found.steps),
        )


def _series(document: Document) -> list[tuple[PatchVerdict, list[str]]]:
    """The patches of a series, each with what is said of it."""
    series = document.series
    return [(patch, patch_says(patch, series.broken)) for patch in series.patches] if series else []


def _cost(cost: Cost) -> dict[str, object]:
    """What is said of the cost, and the changes of each operation as rows of a table."""
    code = code_says(cost, named=None)
    return {
        "says": cost_says(cost),
        "count": len(by_operation(cost)),
        "code": code,
        "operations": [
            (name, [(one, mean(one.before, one), mean(one.after, one), percent(one)) for one in changes])
            for name, changes in by_operation(cost)
        ],
    }


def _replay(found: Found, kernel: str) -> str:
    if found.repro is None:
        return ""
    three_way = bool(found.alone)
    return replay_command(Path(found.repro), kernel if three_way else "", three_way=three_way)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("faultline.report"), autoescape=True, trim_blocks=True, lstrip_blocks=True,
        undefined=StrictUndefined,
    )  # fmt: skip
    environment.filters["thousands"] = lambda number: f"{number:,}"
    environment.filters["chain"] = kernel_chain
    return environment
