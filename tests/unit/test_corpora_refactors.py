"""The refactors and their slips: each slip only takes lines away, and both fit the trees that they name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from spatched import tree_to_patch

from faultline import cli
from faultline.campaign import rows
from faultline.campaign.benchmark import Sighting, Trial, read_set
from faultline.campaign.rows import REFACTORS, Row
from faultline.kinds import ExitStatus, FindingKind
from faultline.report.refactors import refactor_lines, refactors_head
from faultline.tree import Overlay, find_tree
from faultline.tree.changes import changes_of
from faultline.verdict.reach import Branch, ChangedLine, Reach, TouchedFunction

FOLDER = Path(__file__).parents[2] / "corpora" / REFACTORS
ENTRIES = read_set(REFACTORS)
SLIPS = {name: entry for name, entry in ENTRIES.items() if entry.on}
APPLICATIONS = [(name, version) for name, entry in ENTRIES.items() for version in entry.trees]


def test_every_refactor_has_a_slip_and_every_patch_an_entry() -> None:
    assert sorted(entry.file for entry in ENTRIES.values()) == sorted(path.name for path in FOLDER.glob("*.cocci"))
    assert {f"{name}-slip" for name in ENTRIES if name not in SLIPS} == set(SLIPS)
    assert len(SLIPS) >= 5
    text = (FOLDER / "README.md").read_text()
    for name, entry in ENTRIES.items():
        assert entry.file == f"{name}.cocci"
        assert bool(entry.expected) == (name in SLIPS)
        assert entry.on == (f"{name.removesuffix('-slip')}.cocci" if name in SLIPS else "")
        (row,) = [line for line in text.splitlines() if line.startswith(f"| `{name.removesuffix('-slip')}`")]
        assert all(kind.value in row for kind in entry.expected)


@pytest.mark.kernel
@pytest.mark.parametrize(("name", "version"), APPLICATIONS)
def test_it_fits_the_tree(name: str, version: str) -> None:
    tree = tree_to_patch(version)
    entry = ENTRIES[name]
    overlay = Overlay(tree, entry.patches(FOLDER))
    added = [line for line in changes_of(overlay).splitlines() if line.startswith("+") and not line.startswith("+++")]
    if entry.on:
        before = Overlay(tree, [FOLDER / entry.on])
        assert overlay.changed.keys() == before.changed.keys()
        lost, kept = (sum(len((o.read(path) or "").splitlines()) for path in o.changed) for o in (before, overlay))
        assert kept < lost
    else:
        assert added


def row(name: str, *kinds: FindingKind, reached: bool = True) -> Row:
    """A check of an entry that finds these kinds."""
    entry = ENTRIES[name]
    line = ChangedLine(
        file="mm/a.c", line=7, text="\tx = y;", state="reached" if reached else "not-reached", function="f",
        branches=(Branch(what="y: true", first=3 if reached else None), Branch(what="y: false")),
    )  # fmt: skip
    touched = TouchedFunction(name="f", file="mm/a.c", reached=int(reached), total=1)
    trial = Trial(
        name,
        entry,
        tuple(Sighting(kind, 1.0, 4, None, 100) for kind in entry.expected if kind in kinds),
        tuple(kind for kind in entry.expected if kind not in kinds),
        tuple(kind for kind in kinds if kind not in {*entry.expected, *entry.also}),
        programs=1234,
        seconds=20.0,
        kinds=kinds,
        reach=Reach(lines=(line,), functions=(touched,)),
        building=2.5,
        first=1.5 if kinds else None,
    )
    return Row(name, entry, "6.12", trial)


def texts(row: Row) -> list[str]:
    return [" ".join(text.split()) for _, text in refactor_lines(row)]


def test_the_table() -> None:
    assert refactors_head()[1].split()[0] == "patch"
    same, found = row("split"), row("split-slip", FindingKind.LOST_BIT)
    assert (same.passed, found.passed) == (True, True)
    assert texts(same)[0] == "split 6.12 same 1/1 1/2 22.5 1,234"
    assert texts(found)[0] == "split-slip 6.12 lost-bit 1/1 1/2 4.0 22.5 4 1,234"
    assert texts(same)[1] == f"{ENTRIES['split'].title} (f)"
    alarm, missed, untested = row("split", FindingKind.WRONG_DATA), row("split-slip"), row("split", reached=False)
    assert not any(one.passed for one in (alarm, missed, untested))
    assert texts(alarm)[-1] == "not as recorded: wrong-data was found"
    assert texts(missed)[-1] == "not as recorded: lost-bit was not found"
    assert texts(untested)[2:] == ["never ran: mm/a.c:7 x = y;", "not as recorded: not tested, instead of same"]
    assert texts(Row("split", ENTRIES["split"], "5.10", misfit="rule split matches nowhere")) == [
        "split 5.10 does not apply", "rule split matches nowhere",
    ]  # fmt: skip


def test_repeated_checks_have_other_seeds(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = []

    def attempt(name: str, *_: object, seed: int, fresh: bool, **__: object) -> Trial:
        asked.append((name, seed, fresh))
        trial = row(name, *ENTRIES[name].expected).trial
        assert trial is not None
        return trial if seed < 9 else replace(trial, stray=(FindingKind.HANG,))

    (tmp_path / "Makefile").write_text("VERSION = 6\nPATCHLEVEL = 12\n")
    (tmp_path / "mm").mkdir()
    (tmp_path / "mm/memory.c").write_text("int x;\n")
    tree = find_tree(str(tmp_path))
    monkeypatch.setattr(rows, "find_tree", lambda spec, say: tree)
    monkeypatch.setattr(rows, "Overlay", lambda path, patches: None)
    monkeypatch.setattr(rows, "attempt", attempt)
    command = ["bench", "refactors", "-q", "helper", "split", "--repeat", "2"]
    assert cli.command_line([*command, "--seed", "7"]) == ExitStatus.CLEAN
    assert asked == [("split", 7, True), ("helper", 7, True), ("split", 8, False), ("helper", 8, False)]
    assert cli.command_line([*command, "--seed", "8"]) == ExitStatus.FINDINGS
    assert "not as recorded: hang was found" in capsys.readouterr().out
    assert cli.command_line(["bench", "refactors", "merge"]) == ExitStatus.USAGE
    assert "merge: not in corpora/refactors" in capsys.readouterr().err
