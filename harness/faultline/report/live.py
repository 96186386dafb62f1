"""What programs of files came to on the running kernel."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from faultline.backend.live_offer import NEVER, Offer
from faultline.campaign.files import Outcome
from faultline.program.codec import Operation
from faultline.program.ops import BY_NAME
from faultline.program.text import format_operation, format_program
from faultline.report.replay import outcomes_of
from faultline.report.repro import near
from faultline.report.result import finding_json
from faultline.report.text import Line, Style, explain, labelled, title, transcript


def outcome_lines(outcome: Outcome, replay: str, *, verbose: bool) -> list[Line]:
    """The report of one file: its finding in full; ``replay`` is the command that shows it.  Nothing if all is well;
    ``verbose``: a line then too, with what was skipped and which rules explain what."""
    lines: list[Line] = []
    finding, path = outcome.finding, near(outcome.path)
    if finding is not None and not outcome.known:
        did = outcomes_of(outcome.ops, outcome.trial) if outcome.trial else []
        lines += [(Style.TITLE, f"{path}: {title(finding, outcome.ops)}"), (Style.PLAIN, "")]
        lines += transcript(outcome.ops, did, finding)
        lines += [(Style.PLAIN, ""), *explain(finding), *labelled("replay", [replay], Style.COMMAND), (Style.PLAIN, "")]
    elif verbose:
        word = "not run" if outcome.trial is None else f"known: {finding.signature}" if finding else "clean"
        lines.append((Style.PLAIN, "; ".join([f"{path}: {word}", *_remarks(outcome)])))
    return lines


def _remarks(outcome: Outcome) -> list[str]:
    remarks = [f"skipped: {_counted(Counter(outcome.skipped))}"] if outcome.skipped else []
    if outcome.not_run:
        at = outcome.stopped_at
        remarks.append(outcome.not_run if at is None else not_reached(outcome.ops, at, outcome.not_run))
    return remarks + [f"no difference, by rule: {name}" for name in outcome.explained]


def not_reached(ops: Sequence[Operation], index: int, why: str) -> str:
    """That a program was not run from an operation on, in a line."""
    return f"not run from operation {index + 1} on, {format_operation(ops[index])}: {why}"


def _counted(names: Counter[str]) -> str:
    return ", ".join(f"{name} {n}" if n > 1 else name for name, n in sorted(names.items()))


def closing_lines(
    outcomes: Sequence[Outcome], offer: Offer, against: str | None, seconds: float, *, interrupted: bool, verbose: bool
) -> list[str]:
    """The result of all files in a few lines.  ``against``: the tree that was compared too."""
    found = [o for o in outcomes if o.finding is not None and not o.known]
    run = [o for o in outcomes if o.trial is not None]
    count = len(found)
    what = "no finding" if count == 0 else "1 finding" if count == 1 else f"{count} findings"
    operations = sum(len(o.ops) for o in run)
    beside = f" beside {against}" if against else ""
    lines = [
        f"{'interrupted: ' if interrupted else ''}{what}: live kernel {offer.release}{beside}, "
        f"{len(run):,} program{'s' * (len(run) != 1)}, {operations:,} operations in {seconds:.1f} s"
    ]
    known = Counter(o.finding.signature for o in outcomes if o.finding is not None and o.known)
    lines += [f"known finding: {name} ({n:,} programs)" for name, n in sorted(known.items())]
    lines += _skipped_lines(outcomes, offer)
    explained = Counter(name for o in outcomes for name in o.explained)
    if verbose:
        lines += [f"no difference, by rule: {name} ({n:,} programs)" for name, n in sorted(explained.items())]
    return lines


def _skipped_lines(outcomes: Iterable[Outcome], offer: Offer) -> list[str]:
    outcomes = list(outcomes)
    skipped = Counter(name for o in outcomes for name in o.skipped)
    lacking: dict[str, Counter[str]] = {}
    for name, n in skipped.items():
        needs = [need for need in BY_NAME[name].needs if need in offer.lacks] or ["tree"]
        lacking.setdefault(needs[0], Counter())[name] = n
    lines = [
        f"skipped: {_counted(names)}: {offer.lacks.get(need, 'the tree, in this profile, lacks what they need')}"
        for need, names in sorted(lacking.items())
    ]
    why = Counter(("cut short" if o.trial else "not run", o.not_run) for o in outcomes if o.not_run)
    lines += [f"{n:,} program{'s' * (n != 1)} {how}: {reason}" for (how, reason), n in sorted(why.items())]
    unused = {need: reason for need, reason in offer.lacks.items() if need not in NEVER}
    return lines + [f"without {need}: {reason}" for need, reason in sorted(unused.items()) if need not in lacking]


def live_json(
    outcomes: Sequence[Outcome], offer: Offer, against: str | None, profile: str | None, *, interrupted: bool
) -> dict[str, Any]:
    """The same as plain data."""
    found = any(o.finding is not None and not o.known for o in outcomes)
    return {
        "verdict": "findings" if found else "interrupted" if interrupted else "clean",
        "kernel": "live",
        "release": offer.release,
        "beside": against,
        "profile": profile,
        "lacks": dict(sorted(offer.lacks.items())),
        "interrupted": interrupted,
        "programs": [_outcome_json(outcome) for outcome in outcomes],
    }


def _outcome_json(outcome: Outcome) -> dict[str, Any]:
    at = outcome.stopped_at
    return {
        "file": str(near(outcome.path)),
        "run": outcome.trial is not None,
        "finding": finding_json(outcome.finding) if outcome.finding else None,
        "known": outcome.known,
        "program": format_program(outcome.ops) if outcome.finding else None,
        "skipped": dict(sorted(Counter(outcome.skipped).items())),
        "not_run": outcome.not_run or None,
        "stopped_at": at,
        "deviations": list(outcome.trial.deviations) if outcome.trial else [],
        "explained": list(outcome.explained),
    }




