"""From a patch to a verdict on a real tree, and back from a repro."""

from __future__ import annotations

import subprocess
import tomllib

import pytest
from commands import COMMAND, ROOT, interrupted

from faultline.kinds import ExitStatus
from faultline.program.text import read_repro
from faultline.verdict.known import read_known

THREAD = ROOT / "corpora/thread"
PROPOSALS = tomllib.loads((THREAD / "index.toml").read_text())
#: Programs that suffice for every defect of the thread: the seeds come first.
PROGRAMS = 2000


@pytest.mark.parametrize("name", PROPOSALS)
def test_the_thread_gets_its_verdict(name, faultline):
    entry = PROPOSALS[name]
    done = faultline("check", "--patch", THREAD / entry["file"], "--programs", PROGRAMS, "--seed", 1, "--json")
    kinds = {finding["kind"] for finding in done.json["findings"]}
    assert set(entry["expected"]) <= kinds, done.err
    if not entry["expected"]:
        assert done.json["findings"] == []
    assert done.status == (ExitStatus.FINDINGS if entry["expected"] else ExitStatus.CLEAN)
    assert done.json["programs"] == PROGRAMS


def test_the_double_release_of_t5_and_its_repro(faultline, tmp_path):
    done = faultline("check", "--patch", THREAD / "t5.cocci", "--programs", PROGRAMS, "--seed", 1, "--json")
    # the vma's lock as well as mmap_lock is released twice
    finding = next(f for f in done.json["findings"] if f["kind"] == "unlock-not-owner" and f["operation"] == "write")
    assert finding["minimised"]
    assert finding["operation"] == "write"
    repro = read_repro(tmp_path / finding["repro"])
    assert len(repro.ops) <= 6
    for _ in range(3):
        replayed = faultline("replay", finding["repro"])
        assert replayed.status == ExitStatus.FINDINGS
        assert finding["signature"] in replayed.out
        assert "base: clean" in replayed.out


@pytest.mark.parametrize("name", ["t1", "t2"])
def test_a_page_in_the_swap_cache_must_not_become_writable(name, faultline):
    """The proposals' second defect in data: mapped once is not exclusive."""
    done = faultline("replay", ROOT / "corpora/seeds/thread-swap-cache.prog", "--patch", THREAD / f"{name}.cocci")
    assert done.status == ExitStatus.FINDINGS
    assert "wrong-data: operation 11 of 11, p1.0 read a0" in done.out
    assert "base: clean" in done.out


@pytest.mark.parametrize(
    ("profile", "line", "lacks"),
    [
        ("nouffd", "p0.0 uffd-open u0", "uffd-open (needs uffd)"),
        ("noksm", "m ksm-scan", "ksm-scan (needs ksm)"),
        ("noswap", "m swap-out p0 a0", "swap-out (needs swap)"),
    ],
)
def test_a_repro_of_what_the_kernel_lacks_is_named(profile, line, lacks, faultline, tmp_path):
    (tmp_path / "a.repro").write_text(f"p0.0 mmap a0 rw\n{line}\n")
    done = faultline("replay", "a.repro", "--profile", profile)
    assert done.status == ExitStatus.SKIPPED
    assert lacks in done.err
    assert profile in done.err


def test_one_seed_gives_one_result(faultline, tmp_path):
    """Whatever the number of workers, and in two campaigns."""

    def check(out, jobs):
        done = faultline(
            "check", "--patch", THREAD / "t1.cocci", "--programs", PROGRAMS, "--seed", 9, "--json", "--out", out,
            "--jobs", jobs,
        )  # fmt: skip
        texts = {file.name: file.read_text().replace(f"{out}/", "") for file in (tmp_path / out).glob("*.repro")}
        return texts, done.json["findings"], done.json["base"]

    one, again, alone = check("one", 2), check("again", 2), check("alone", 1)
    assert len(one[0]) >= 2
    assert one[0] == again[0] == alone[0]
    assert one[2] == again[2] == alone[2]
    assert [dict(f, repro=None) for f in one[1]] == [dict(f, repro=None) for f in again[1]]


def test_the_unpatched_tree_keeps_to_the_oracle(faultline):
    done = faultline("run", "--programs", 3000, "--seed", 4, "--json")
    assert done.json["findings"] == []
    assert done.status == ExitStatus.CLEAN


def test_ctrl_c_keeps_all_findings(faultline, tmp_path):
    done = interrupted(tmp_path, "run", "--patch", THREAD / "t1.cocci", "--time", 600, "--seed", 1, at="replay  ")
    assert done.status == ExitStatus.INTERRUPTED, done.err
    out, err = done.out, done.err
    assert out.splitlines()[-1].startswith("interrupted: ")
    assert "Traceback" not in err
    files = list((tmp_path / "findings").glob("*.repro"))
    assert files
    assert f"{len(files)} finding" in out.splitlines()[-1]
    page = faultline("report", "findings", "--html", "-").out
    assert f"<h1>Interrupted: {len(files)} finding" in page
    assert page.count("<svg role=\"img\"") > len(files)


def test_a_run_that_is_killed_leaves_a_report(faultline, tmp_path):
    command = [COMMAND, "check", "--patch", str(THREAD / "t1.cocci"), "--time", "600", "--seed", "1", "--jobs", "1"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=tmp_path)
    try:
        for line in process.stdout:
            if line.strip().startswith("replay"):
                break
    finally:
        process.kill()
        process.communicate(timeout=60)
    found = faultline("report", "findings", "--mail")
    assert found.status == ExitStatus.CLEAN
    assert found.out.startswith("Not at its end: ")
    assert "Finding 1 of" in found.out
    assert "change_pte_range" in faultline("report", "findings", "--html", "-").out


@pytest.mark.root
def test_a_full_disk_loses_no_finding(faultline, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k", "none", disk], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("no right to mount")
    try:
        patch = THREAD / "t1.cocci"
        done = faultline("check", "--patch", patch, "--programs", PROGRAMS, "--seed", 1, "--out", disk, "-q")
    finally:
        subprocess.run(["umount", disk], check=True)
    assert done.status == ExitStatus.FINDINGS
    assert done.err.count("No space left on device; findings are printed here") == 1
    assert "signature: wrong-data:write:content" in done.err


def test_a_repro_is_minimised_in_place(faultline, tmp_path):
    source = ROOT / "corpora/seeds/thread-ksm.prog"
    done = faultline("minimize", source, "--patch", THREAD / "t1.cocci", "--output", "small.repro")
    assert done.status == ExitStatus.CLEAN, done.err
    small = read_repro(tmp_path / "small.repro")
    assert len(small.ops) < len(read_repro(source).ops)
    replayed = faultline("replay", "small.repro")
    assert small.header["signature"] in replayed.out


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["run", "--tree", "/nowhere"], ExitStatus.ERROR, "/nowhere: no such kernel tree"),
        (["run", "--tree", "/etc"], ExitStatus.ERROR, "not a kernel tree"),
        (["run", "--tree", "debian:2.4"], ExitStatus.ERROR, "linux-source-2.4"),
        (["run", "--profile", "none"], ExitStatus.ERROR, "no profile none"),
        (["check", "--patch", "misfit.patch"], ExitStatus.ERROR, "does not fit mm/memory.c"),
        (["check", "--patch", "broken.patch"], ExitStatus.ERROR, "mm/memory.c"),
        (["check", "--patch", "manual.patch"], ExitStatus.SKIPPED, "nothing to test"),
        (["replay", "damaged.repro"], ExitStatus.USAGE, "damaged.repro:3"),
    ],
)
def test_bad_input_is_one_line(arguments, status, message, faultline, tmp_path):
    (tmp_path / "misfit.patch").write_text(
        "--- a/mm/memory.c\n+++ b/mm/memory.c\n@@ -1,3 +1,3 @@\n one\n-two\n+three\n four\n"
    )
    (tmp_path / "broken.patch").write_text(
        "--- a/mm/memory.c\n+++ b/mm/memory.c\n@@ -1,1 +1,2 @@\n // SPDX-License-Identifier: GPL-2.0-only\n"
        "+this is no C\n"
    )
    (tmp_path / "manual.patch").write_text("--- /dev/null\n+++ b/Documentation/mm/new.rst\n@@ -0,0 +1 @@\n+New\n")
    (tmp_path / "damaged.repro").write_text("# faultline repro v1\nseed: 1\np0.0 mmap a99 rw\n")
    done = faultline(*arguments)
    assert done.status == status
    lines = [line for line in done.err.splitlines() if line.startswith("faultline: ")]
    assert len(lines) == 1
    assert message in lines[0]
    assert "Traceback" not in done.err


def test_a_bug_put_back_is_found_and_timed(faultline):
    done = faultline("bench", "bugs", "bug-17", "bug-14a", "--time", 60, "--json")
    assert done.status == ExitStatus.CLEAN, done.err
    trials = done.json["trials"]
    assert [trial["name"] for trial in trials] == ["bug-14a", "bug-17"]
    for trial in trials:
        assert trial["passed"]
        assert 0 < trial["found"][0]["operations"] <= 12


@pytest.mark.parametrize(
    "name", [name for name, entry in read_known(ROOT / "corpora/known").items() if "6.12" in entry.trees]
)
def test_a_known_finding_is_there_and_is_told_apart(name, faultline):
    entry = read_known(ROOT / "corpora/known")[name]
    replayed = faultline("replay", ROOT / "corpora/known" / entry.repro)
    assert replayed.status == ExitStatus.FINDINGS
    assert f"signature  {entry.signature}" in replayed.out
