"""Ranges of git commits as patches: the right base, the right order, and a repository that is only read."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from minitree import TREE, write

from faultline.kinds import ExitStatus, FaultlineError
from faultline.tree import Overlay, find_tree
from faultline.tree.revisions import fixed_range, read_range
from faultline.verdict.harmless import read_harmless

FILES = TREE | {"drivers/big.c": "int big;\n", "Documentation/mm/ksm.rst": "KSM\n", "Documentation/x.rst": "X\n"}


class Repository:
    """A git repository with a kernel tree in it: ``v1``, and a branch ``topic`` of three commits."""

    def __init__(self, folder: Path) -> None:
        self.path = write(folder, FILES)
        self.git("init", "-q", "-b", "main", ".")
        self.commit("base")
        self.git("tag", "v1")
        self.git("checkout", "-q", "-b", "topic")
        for number in (1, 2, 3):
            self.append("mm/rmap.c", f"int line{number};\n")
            self.commit(f"mm: line {number}, ä")

    def git(self, *arguments: str) -> str:
        names = ["-c", "user.name=Jane Doe", "-c", "user.email=jane@example.org", "-c", "commit.gpgsign=false"]
        done = subprocess.run(["git", *names, *arguments], cwd=self.path, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def append(self, path: str, text: str) -> None:
        with (self.path / path).open("a") as file:
            file.write(text)

    def commit(self, message: str) -> str:
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")

    def state(self) -> str:
        """What must not change: the index, the working tree and all references."""
        index = (self.path / ".git/index").read_bytes().hex()
        return index + self.git("status", "--porcelain") + self.git("for-each-ref") + self.git("stash", "list")


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    monkeypatch.setenv("FAULTLINE_CACHE", str(tmp_path / "cache"))
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    return Repository(tmp_path / "linux")


def test_the_commits_of_a_range_in_order_on_their_base(repository: Repository) -> None:
    before = repository.state()
    repository.append("mm/rmap.c", "what is not committed\n")
    repository.git("config", "diff.noprefix", "true")
    dirty = repository.state()
    series = read_range(repository.path, "v1..topic")
    assert repository.state() == dirty != before
    assert [patch.subject for patch in series.patches] == [f"mm: line {n}, ä" for n in (1, 2, 3)]
    assert {patch.author for patch in series.patches} == {"Jane Doe <jane@example.org>"}
    assert [patch.name for patch in series.patches] == repository.git(
        "log", "--reverse", "--abbrev=12", "--format=%h", "v1..topic"
    ).split()
    assert series.base is not None
    tree = find_tree(str(series.base))
    assert tree.id == f"git:{repository.git('rev-parse', '--short=12', 'v1')}"
    assert (tree.path / "mm/rmap.c").read_text() == FILES["mm/rmap.c"]
    patched = Overlay(tree.path, series.paths).read("mm/rmap.c")
    assert patched == FILES["mm/rmap.c"] + "int line1;\nint line2;\nint line3;\n"


def test_the_base_has_what_a_build_reads_and_patches_to_the_rest_are_left_out(repository: Repository) -> None:
    repository.append("drivers/big.c", "int bigger;\n")
    repository.append("Documentation/mm/ksm.rst", "More\n")
    repository.commit("elsewhere")
    series = read_range(repository.path, "v1..topic")
    assert series.base is not None
    kept = {path for path in FILES if (series.base / path).is_file()}
    assert kept == set(FILES) - {"drivers/big.c", "Documentation/x.rst"}
    overlay = Overlay(series.base, series.paths)
    assert set(overlay.changed) == {"mm/rmap.c", "Documentation/mm/ksm.rst"}
    assert set(overlay.left_out) == {"drivers/big.c"}


def test_a_topic_beside_the_base_begins_where_it_left_it(repository: Repository) -> None:
    repository.git("checkout", "-q", "main")
    repository.append("mm/rmap.c", "int meanwhile;\n")
    repository.commit("meanwhile")
    series = read_range(repository.path, "main..topic")
    (note,) = series.notes
    assert "('base'), where the topic leaves the base" in note
    assert series.base is not None
    assert (series.base / "mm/rmap.c").read_text() == FILES["mm/rmap.c"]
    assert len(series.patches) == 3


def test_a_range_by_its_commits_stays_the_same(repository: Repository) -> None:
    fixed = fixed_range(repository.path, "v1..topic")
    repository.append("mm/rmap.c", "int line4;\n")
    repository.commit("mm: line 4")
    assert len(read_range(repository.path, fixed).patches) == 3
    assert len(read_range(repository.path, "v1..topic").patches) == 4


def test_renames_deletions_and_empty_commits(repository: Repository) -> None:
    repository.git("mv", "mm/rmap.c", "mm/mapping.c")
    repository.commit("rename")
    repository.commit("nothing")
    series = read_range(repository.path, "topic~2..topic")
    (note,) = series.notes
    assert note.endswith("('nothing') changes nothing: left out")
    overlay = Overlay(series.base or Path(), series.paths)
    assert overlay.changed["mm/rmap.c"] is None
    assert overlay.read("mm/mapping.c") == FILES["mm/rmap.c"] + "int line1;\nint line2;\nint line3;\n"


def test_what_a_commit_says_is_kept_and_is_no_diff(repository: Repository) -> None:
    repository.append("mm/rmap.c", "int line4;\n")
    change = "--- a/mm/ksm.c\n+++ b/mm/ksm.c\n@@ -1 +1 @@\n-a\n+b"
    repository.commit(f"mm: line 4\n\nBefore:\n\n{change}\n\nFaultline-harmless: base-difference:*:x why\n")
    series = read_range(repository.path, "topic~1..topic")
    assert set(Overlay(series.base or Path(), series.paths).changed) == {"mm/rmap.c"}
    (rule,) = read_harmless(series.paths)
    assert rule.why == "why"


def test_another_repository_in_the_environment_is_not_meant(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    assert len(read_range(repository.path, "v1..topic").patches) == 3


@pytest.mark.parametrize(
    ("revisions", "status", "complaint"),
    [
        ("topic..v1", ExitStatus.SKIPPED, "no commit in it"),
        ("v1..v1", ExitStatus.SKIPPED, "no commit in it"),
        ("v1..nowhere", ExitStatus.ERROR, "no commit 'nowhere' there"),
        ("--all..topic", ExitStatus.ERROR, "no commit '--all' there"),
        ("topic", ExitStatus.USAGE, "a range looks like base..topic"),
        ("a..b..c", ExitStatus.USAGE, "a range looks like base..topic"),
        ("v1..merged", ExitStatus.ERROR, "('two in one') is a merge; rebase the topic"),
    ],
)
def test_ranges_that_are_refused(repository: Repository, revisions: str, status: ExitStatus, complaint: str) -> None:
    if "merged" in revisions:
        repository.git("checkout", "-q", "-b", "merged", "v1")
        repository.append("mm/ksm.c", "int side;\n")
        repository.commit("side")
        repository.git("merge", "-q", "-m", "two in one", "topic")
    with pytest.raises(FaultlineError, match=r".") as raised:
        read_range(repository.path, revisions)
    assert complaint in str(raised.value)
    assert raised.value.status == status


def test_what_is_no_kernel_repository_is_refused(repository: Repository, tmp_path: Path) -> None:
    with pytest.raises(FaultlineError, match="no such folder"):
        read_range(tmp_path / "nowhere", "a..b")
    (tmp_path / "plain").mkdir()
    with pytest.raises(FaultlineError, match="not a git repository"):
        read_range(tmp_path / "plain", "a..b")
    repository.git("rm", "-q", "-r", ".")
    write(repository.path, {"README": "no kernel\n"})
    repository.commit("all gone")
    repository.commit("and again")
    with pytest.raises(FaultlineError, match="not a kernel tree"):
        read_range(repository.path, "topic~1..topic")


def test_a_machine_without_git(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(FaultlineError, match="apt-get install git"):
        read_range(repository.path, "v1..topic")
