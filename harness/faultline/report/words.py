"""What all reports say of a run in the same words."""

from __future__ import annotations

from faultline.report.document import Document


def headline(document: Document) -> str:
    """The verdict in a few words."""
    count = len(document.findings)
    what = "No finding" if count == 0 else "1 finding" if count == 1 else f"{count} findings"
    mended = len(document.series.mended) if document.series else 0
    if mended:
        what += f", and {mended} that {'a later patch mends' if mended == 1 else 'later patches mend'}"
    if document.verdict == "not-tested":
        return "Not tested"
    if document.interrupted:
        return f"Interrupted: {what[0].lower()}{what[1:]} up to then"
    return what if document.ended else f"Not at its end: {what[0].lower()}{what[1:]} so far"


def subject(document: Document) -> str:
    """What was tested: the kernel, and the patches by name."""
    names = [patch.partition(" sha256:")[0].rpartition("/")[2] for patch in document.patches]
    return " + ".join([document.kernel, *names])


def saying(document: Document) -> str:
    """What the verdict means, in a sentence or two."""
    against = {
        "check": "each run with and without the patches, and against the model of documented behaviour",
        "run": "against the model of documented behaviour",
        "live": "on the running kernel, against the model of documented behaviour",
    }[document.mode]
    rate = document.programs / document.seconds if document.seconds else 0
    how = f"{document.programs:,} programs in {document.seconds:.1f} s ({rate:,.0f}/s), {against}."
    if document.verdict == "not-tested":
        return f"None of the changed lines ran, so nothing is known of them. {how}"
    return how


def others(document: Document) -> list[tuple[str, str, dict[str, int]]]:
    """What was seen and is no finding: heading, meaning, programs by name."""
    kinds = [
        ("Base tree", "The tree without the patches shows these on the same programs.", document.base),
        ("Cured", "Only the tree without the patches shows these.", _cured(document)),
        ("Known", "Recorded in corpora/known.", document.known),
        ("Known deviations", "Where this kernel departs from its documentation; allowed for.", document.deviations),
        ("Not judged", "Why programs were not judged under some schedule.", document.undecided),
        ("Explained", "Differences of two kernels that are both right, by the rule that says so.", document.explained),
    ]
    return [kind for kind in kinds if kind[2]]


def _cured(document: Document) -> dict[str, int]:
    """What the patches cure, each with the patch of a series that does."""
    by = {fix.signature: fix.by for fix in document.fixes if fix.by}
    return {f"{name}, by {by[name]}" if name in by else name: n for name, n in document.fixed.items()}


def environment(document: Document) -> list[tuple[str, str]]:
    """What the run was made with: name and value."""
    about = document.environment
    facts = [
        ("kernel", " ".join(filter(None, (document.kernel, about.version)))),
        ("tree", about.tree),
        ("patches", ", ".join(document.patches)),
        ("profile", document.profile + (f", {document.variant}" if document.variant != "plain" else "")),
        ("compiler", about.compiler),
        ("machine", f"{about.machine}, {about.cores} core{'' if about.cores == 1 else 's'}, {about.system}"),
        ("python", about.python),
        ("faultline", about.faultline),
        ("started", document.started),
        ("workers that died", str(document.worker_deaths) if document.worker_deaths else ""),
        *((f"without {need}", why) for need, why in document.lacks.items()),
    ]
    return [(name, value) for name, value in facts if value]


def again(document: Document) -> str:
    """What running it again gives."""
    return (
        "Program number i depends on the seed and on i alone. How far a run gets depends on the machine: "
        f"with --programs {document.programs} instead of --time the same programs run."
    )
