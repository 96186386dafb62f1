"""Series of patches on a real tree: git ranges and mboxes, patch by patch."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from commands import interrupted
from kernel_repository import KernelRepository

from faultline.kinds import ExitStatus

DOUBLE_RELEASE = "unlock-not-owner:write:handle_userfault"
OPTIONS = ("--seed", 1, "--programs", 120, "--schedules", "none", "--json")


@pytest.fixture(scope="session")
def repository(tmp_path_factory: pytest.TempPathFactory) -> KernelRepository:
    return KernelRepository(tmp_path_factory.mktemp("series") / "linux")


@pytest.fixture(scope="session")
def mended(repository: KernelRepository) -> str:
    """A slip, its repair, a harmless patch, one to a file that is not built, and one that does not compile."""
    slip = repository.semantic(repository.base, "mm: add a helper", "thread/t5.cocci")
    repair = repository.commit(slip, "mm: mend the helper", repository.original("mm/memory.c"))
    split = repository.semantic(repair, "mm: split do_wp_page()", "thread/t3.cocci")
    manual = repository.commit(split, "mm: tell of it", {"Documentation/mm/new.rst": "New\n"})
    return repository.commit(manual, "mm: no C", {"mm/ksm.c": "this is no C\n"})


@pytest.mark.slow
def test_a_series_is_judged_patch_by_patch(repository, mended, faultline, tmp_path):
    before = repository.git("for-each-ref")
    found = faultline("check", "--tree", repository.path, "--range", f"{repository.base}..{mended}", *OPTIONS)
    assert found.status == ExitStatus.FINDINGS, found.err
    assert repository.git("for-each-ref") == before
    patches = found.json["series"]["patches"]
    assert [patch["state"] for patch in patches] == ["findings", "fixes", "clean", "not-tested", "does-not-compile"]
    assert [patch["subject"] for patch in patches][:2] == ["mm: add a helper", "mm: mend the helper"]
    assert DOUBLE_RELEASE in patches[0]["findings"]
    assert patches[1]["fixes"] == patches[0]["findings"]
    assert patches[3]["files"] == ["Documentation/mm/new.rst"]
    assert patches[4]["why"].startswith("mm/ksm.c:1: error: unknown type name 'this'")
    assert found.err.count("what can be built of the series is tested without it") == 1
    assert found.json["findings"] == []
    assert found.json["verdict"] == "findings"
    (broken,) = [one for one in found.json["series"]["broken"] if one["signature"] == DOUBLE_RELEASE]
    assert (broken["by"], broken["until"]) == (patches[0]["name"], patches[1]["name"])
    replayed = faultline("replay", broken["repro"])
    assert replayed.status == ExitStatus.FINDINGS, replayed.err
    assert DOUBLE_RELEASE in replayed.out


@pytest.mark.slow
def test_an_mbox_with_a_late_slip_names_it(repository, faultline, tmp_path):
    split = repository.semantic(repository.base, "mm: split do_wp_page()", "thread/t3.cocci")
    slip = repository.semantic(split, "mm: another slip", "thread/t5.cocci")
    mails = repository.git("format-patch", "--stdout", "--cover-letter", f"{repository.base}..{slip}")
    head, *patches = mails.split("\n\nFrom ")  # turned round, with noise
    (tmp_path / "series.mbx").write_text("\n\nFrom ".join([head, *reversed(patches)]))
    done = faultline("check", "--tree", repository.tree, "--patch", "series.mbx", *OPTIONS)
    assert done.status == ExitStatus.FINDINGS, done.err
    series = done.json["series"]
    assert [(patch["name"], patch["state"]) for patch in series["patches"]] == [("1/2", "clean"), ("2/2", "findings")]
    (broken,) = [one for one in series["broken"] if one["signature"] == DOUBLE_RELEASE]
    assert broken["by"] == "2/2"
    assert DOUBLE_RELEASE in [finding["signature"] for finding in done.json["findings"]]
    replayed = faultline("replay", broken["repro"])
    assert DOUBLE_RELEASE in replayed.out, replayed.err


def test_what_a_patch_cures_is_said(repository, mended, faultline):
    """The base has the bug."""
    slip = repository.git("rev-parse", f"{mended}~4")
    done = faultline("check", "--tree", repository.path, "--range", f"{slip}..{mended}~3", *OPTIONS)
    assert done.status == ExitStatus.CLEAN, done.err
    assert done.json["series"] is None
    assert DOUBLE_RELEASE in done.json["fixed"]
    (fix,) = [one for one in done.json["fixes"] if one["signature"] == DOUBLE_RELEASE]
    assert "uffd-wp" in fix["program"]
    assert len(fix["program"].splitlines()) <= 6
    told = faultline("check", "--tree", repository.path, "--range", f"{slip}..{mended}~3", *OPTIONS[:-1], "-q")
    assert f"fixed: {DOUBLE_RELEASE}, which only the base tree shows" in told.out


def test_the_patch_of_a_series_that_cures_is_named(repository, mended, faultline):
    """The base has the bug, the first of two patches mends it."""
    series = f"{mended}~4..{mended}~2"
    done = faultline("check", "--tree", repository.path, "--range", series, *OPTIONS)
    assert done.status == ExitStatus.CLEAN, done.err
    first, second = done.json["series"]["patches"]
    assert (first["state"], second["state"]) == ("fixes", "clean")
    assert DOUBLE_RELEASE in first["fixes"]
    (fix,) = [one for one in done.json["fixes"] if one["signature"] == DOUBLE_RELEASE]
    assert fix["by"] == first["name"]


def test_a_series_that_comes_to_nothing_is_tested_patch_by_patch(repository, mended, faultline):
    done = faultline("check", "--tree", repository.path, "--range", f"{repository.base}..{mended}~3", *OPTIONS)
    assert done.status == ExitStatus.FINDINGS, done.err
    assert "the series as a whole changes nothing that is built; its patches are tested one by one" in done.err
    assert [patch["state"] for patch in done.json["series"]["patches"]] == ["findings", "fixes"]
    assert DOUBLE_RELEASE in done.json["series"]["patches"][1]["fixes"]

    split = repository.semantic(repository.base, "mm: split do_wp_page()", "thread/t3.cocci")
    back = repository.commit(split, "mm: do not", repository.original("mm/memory.c"))
    done = faultline("check", "--tree", repository.path, "--range", f"{repository.base}..{back}", *OPTIONS)
    assert done.status == ExitStatus.CLEAN, done.err
    assert [patch["state"] for patch in done.json["series"]["patches"]] == ["clean", "clean"]
    assert done.json["programs"] == 120, "those of the step in the middle"


def test_ctrl_c_in_a_series_keeps_what_is_there(repository, mended, faultline, tmp_path):
    split = repository.semantic(repository.base, "mm: split do_wp_page()", "thread/t3.cocci")
    slip = repository.semantic(split, "mm: another slip", "thread/t5.cocci")
    command = ("check", "--tree", repository.path, "--range", f"{repository.base}..{slip}", "--time", 600, "--seed", 1)
    done = interrupted(tmp_path, *command, at="replay  ")
    assert done.status == ExitStatus.INTERRUPTED, done.err
    out, err = done.out, done.err
    assert "Traceback" not in err
    lines = out.splitlines()
    assert any(line.startswith("interrupted: ") for line in lines)
    (head,) = [number for number, line in enumerate(lines) if line.startswith("series of 2 patches")]
    for line in (lines[head + 1], lines[head + 3]):
        assert line.split()[1] == "not-tested", "no step was asked yet, so none is called clean"
    assert "not all steps were asked" in out
    assert list((tmp_path / "findings").glob("*.repro"))
    assert "<h1>Interrupted: " in faultline("report", "findings", "--html", "-").out


def test_a_range_that_changes_nothing_built_is_not_tested(repository, mended, faultline):
    done = faultline("check", "--tree", repository.path, "--range", f"{mended}~2..{mended}~1", *OPTIONS)
    assert done.status == ExitStatus.SKIPPED
    assert "they change Documentation/mm/new.rst, and none of the kernel files that are built" in done.err


@pytest.mark.parametrize(
    ("revisions", "status", "message"),
    [
        ("HEAD..nowhere", ExitStatus.ERROR, "no commit 'HEAD' there"),
        ("{base}..{base}", ExitStatus.SKIPPED, "no commit in it"),
        ("{base}", ExitStatus.USAGE, "a range looks like base..topic"),
    ],
)
def test_bad_ranges_are_one_line(revisions, status, message, repository, faultline):
    done = faultline("check", "--tree", repository.path, "--range", revisions.format(base=repository.base))
    assert done.status == status
    (line,) = done.err.splitlines()
    assert line.startswith("faultline: ")
    assert message in line


def test_a_range_needs_a_repository(faultline, tmp_path: Path):
    assert faultline("check", "--range", "a..b").status == ExitStatus.USAGE
    assert faultline("check", "--range", "a..b", "--patch", "x", "--tree", ".").status == ExitStatus.USAGE
    done = faultline("check", "--range", "a..b", "--tree", tmp_path)
    assert done.status == ExitStatus.ERROR
    assert "not a git repository" in done.err
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    assert "no commit 'a' there" in faultline("check", "--range", "a..b", "--tree", tmp_path).err
