"""Finding trees, and refusing what is none."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from minitree import TREE, write

from faultline.kinds import ExitStatus, FaultlineError
from faultline.tree import find_tree
from faultline.tree.debian import PACKAGE_NOTE


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


def test_a_version_that_is_not_supported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, {**TREE, "Makefile": "VERSION = 4\nPATCHLEVEL = 19\nEXTRAVERSION = -rc3\n"})
    assert "Linux 4.19 is not supported, only 6.12" in refusal(str(tmp_path))
    monkeypatch.setenv("FAULTLINE_ANY_TREE", "1")
    assert find_tree(str(tmp_path)).version == "4.19.0-rc3"


@pytest.mark.parametrize("release", ["", "6", "6.12.1", "../x", "trixie"])
def test_a_debian_version_must_be_one(release: str) -> None:
    assert "must look like 6.12" in refusal(f"debian:{release}")


def test_an_unsupported_debian_version_is_not_downloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert "Linux 4.19 is not supported" in refusal("debian:4.19")


class Mirror:
    """A stand-in for apt-get that serves packages from a folder; dpkg and tar are the real ones."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.cache = folder / "cache"
        self.packages = folder / "packages"
        self.packages.mkdir()
        self.log = folder / "log"
        apt = write(folder / "bin", {"apt-get": self.script()}) / "apt-get"
        apt.chmod(0o755)
        monkeypatch.setenv("FAULTLINE_CACHE", str(self.cache))
        monkeypatch.setenv("PATH", f"{folder / 'bin'}:{os.environ['PATH']}")

    def script(self) -> str:
        """`update` puts what is held back where `download` finds it."""
        return f"""#!/bin/sh
echo "$@" >>{self.log}
case "$*" in
*update) mv {self.packages}/held/* {self.packages}/ 2>/dev/null; exit 0;;
*download*) cp {self.packages}/*.deb . 2>/dev/null || {{ echo "E: Unable to locate package" >&2; exit 100; }};;
esac
"""

    def add(self, version: str, *, held: bool = False) -> None:
        name = "linux-source-6.12"
        work = self.packages.parent / "work"
        parts = ["MAINTAINERS", "kernel/x.c", "lib/x.c", "fs/x.c", "ipc/x.c", "scripts/x", "arch/x86/include/x.h"]
        docs = ["Documentation/mm/x.rst", "Documentation/admin-guide/mm/x.rst", "drivers/unneeded.c"]
        write(work / name, {**TREE, **dict.fromkeys([*parts, *docs], "x\n")})
        (work / "deb/usr/src").mkdir(parents=True)
        tar = ["tar", "-C", work, "-cJf", work / f"deb/usr/src/{name}.tar.xz", name]
        subprocess.run([str(word) for word in tar], check=True)
        control = (
            f"Package: {name}\nVersion: {version}\nArchitecture: all\nMaintainer: t <t@example.org>\nDescription: t\n"
        )
        write(work / "deb", {"DEBIAN/control": control})
        target = self.packages / "held" if held else self.packages
        target.mkdir(exist_ok=True)
        deb = target / f"{name}_{version}_all.deb"
        subprocess.run(
            ["dpkg-deb", "--build", "--root-owner-group", work / "deb", deb], check=True, capture_output=True
        )

    def calls(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Mirror:
    if not shutil.which("dpkg-deb"):
        pytest.skip("needs dpkg-deb")
    return Mirror(tmp_path, monkeypatch)


def test_a_debian_tree_is_fetched_once(mirror: Mirror) -> None:
    mirror.add("6.12.7-1")
    said: list[str] = []
    tree = find_tree("debian:6.12", said.append)
    assert tree.path == mirror.cache / "trees/linux-6.12"
    assert (tree.version, tree.spec, tree.id) == ("6.12.7", "debian:6.12", "linux-source-6.12 6.12.7-1")
    assert (tree.path / "scripts/x").is_file()
    assert not (tree.path / "drivers").exists()
    assert len(said) == 2
    assert find_tree("debian:6.12") == tree
    assert mirror.calls() == ["download linux-source-6.12"]
    assert list((mirror.cache / "tmp").iterdir()) == []


def test_package_lists_are_brought_up_to_date_when_needed(mirror: Mirror) -> None:
    mirror.add("6.12.7-1", held=True)
    find_tree("debian:6.12")
    assert [call.split()[-1] for call in mirror.calls()] == ["linux-source-6.12", "update", "linux-source-6.12"]


def test_a_package_that_cannot_be_had(mirror: Mirror) -> None:
    assert refusal("debian:6.12") == "cannot download linux-source-6.12: Unable to locate package"
    assert not (mirror.cache / "trees").exists()


def test_a_damaged_package(mirror: Mirror) -> None:
    (mirror.packages / "linux-source-6.12_6.12.7-1_all.deb").write_text("no archive")
    assert refusal("debian:6.12").startswith("cannot unpack linux-source-6.12_6.12.7-1_all.deb: ")
    assert list((mirror.cache / "tmp").iterdir()) == []


def test_an_interrupted_unpacking_is_done_again(mirror: Mirror) -> None:
    mirror.add("6.12.7-1")
    write(mirror.cache / "tmp/dead", {"tree/Makefile": "VERSION = 6\n"})
    assert (find_tree("debian:6.12").path / PACKAGE_NOTE).is_file()


def test_no_apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAULTLINE_CACHE", str(tmp_path))
    monkeypatch.setenv("PATH", "/nowhere")
    assert "needs apt-get" in refusal("debian:6.12")
