"""Finding trees, and refusing what is none."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from minitree import TREE, write

from faultline.kinds import ExitStatus, FaultlineError
from faultline.tree import find_tree


def refusal(spec: str) -> str:
    with pytest.raises(FaultlineError) as caught:
        find_tree(spec)
    assert caught.value.status == ExitStatus.ERROR
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_path(tmp_path: Path) -> None:
    tree = find_tree(str(write(tmp_path / "linux", TREE)))
    assert (tree.path, tree.spec) == (tmp_path / "linux", str(tmp_path / "linux"))
    assert (tree.version, tree.major, tree.minor, tree.kver, tree.id) == ("6.12.7", 6, 12, 612, "6.12.7")


def test_a_path_through_a_link_and_a_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "linux", TREE)
    (tmp_path / "link").symlink_to("linux")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert find_tree("~/link").path == (tmp_path / "linux").resolve()


def test_a_git_work_tree_tells_its_commit(tmp_path: Path) -> None:
    write(tmp_path, TREE)
    git = ["git", "-C", str(tmp_path), "-c", "user.name=t", "-c", "user.email=t@example.org"]
    subprocess.run([*git, "init", "-q"], check=True)
    assert find_tree(str(tmp_path)).id == "6.12.7"
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "-q", "-m", "all"], check=True)
    head = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout
    assert find_tree(str(tmp_path)).id == f"git:{head[:12]}"


def test_no_such_tree() -> None:
    assert refusal("/nowhere/linux").startswith("/nowhere/linux: no such kernel tree")


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"Makefile": TREE["Makefile"]},
        {"mm/memory.c": "", "Makefile": "all:\n\techo no kernel\n"},
        {"mm/memory.c": "", "Makefile": "VERSION = six\nPATCHLEVEL = 12\n"},
        {"mm/memory.c": ""},
    ],
)
def test_a_folder_that_is_no_kernel(tmp_path: Path, files: dict[str, str]) -> None:
    write(tmp_path, files)
    assert "not a kernel tree" in refusal(str(tmp_path))


def test_a_file_is_no_tree(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "not a kernel tree" in refusal(str(tmp_path / "file"))


def test_a_version_that_nobody_tried(tmp_path: Path) -> None:
    write(tmp_path, {**TREE, "Makefile": "VERSION = 4\nPATCHLEVEL = 19\nEXTRAVERSION = -rc3\n"})
    tree = find_tree(str(tmp_path))
    assert tree.version == "4.19.0-rc3"
    assert tree.untried.startswith("Linux 4.19 is not supported, only ")
    assert " 6.12" in tree.untried


def test_a_version_that_was_tried(tmp_path: Path) -> None:
    assert find_tree(str(write(tmp_path, TREE))).untried == ""


@pytest.mark.parametrize("release", ["", "6", "6.12.1", "../x", "trixie"])
def test_a_debian_version_must_be_one(release: str) -> None:
    assert "must look like 6.12" in refusal(f"debian:{release}")
