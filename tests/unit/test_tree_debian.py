"""Fetching Debian trees: a stand-in for apt serves packages by suite; dpkg and tar are the real ones."""

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

#: apt-get and apt-cache: a suite is a folder, what the machine's own lists name is in `own`, what they would name after
#: an update in `held`.
APT = """#!/bin/sh
echo "$@" >>{log}
cd_to={packages}/own
[ -e {folder}/updated ] && cd_to={packages}/held
for word; do
	case $word in
	Dir::Etc::SourceList=*)
		cd_to={packages}/$(sed 's/ main$//; s/.* //' "${{word#*=}}")
		sed 's/\\[.*\\] //' "${{word#*=}}" >>{log};;
	esac
	last=$word
done
case "$*" in
*update)
	[ ! -e {folder}/down ] || {{ echo "E: Could not resolve the mirror" >&2; exit 100; }}
	[ -d "$cd_to" ] || {{ echo "E: The repository does not have a Release file." >&2; exit 100; }}
	touch {folder}/updated;;
*download*)
	cp "$cd_to/$last"_*.deb . 2>/dev/null || {{ echo "E: Unable to locate package $last" >&2; exit 100; }};;
*indextargets*)
	[ -e {folder}/foreign ] && echo http://elsewhere.example/ Other || echo http://mirror.example/debian/ Debian;;
*pkgnames*)
	ls "$cd_to" | sed 's/_.*//'; echo linux-source;;
esac
"""


class Mirror:
    """Packages by suite, and what was asked of apt."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.cache = folder / "cache"
        self.packages = folder / "packages"
        for name in ("own", "held"):
            (self.packages / name).mkdir(parents=True)
        self.log = folder / "log"
        script = APT.format(log=self.log, packages=self.packages, folder=folder)
        programs = write(folder / "bin", {"apt-get": script, "apt-cache": script})
        for name in ("apt-get", "apt-cache"):
            (programs / name).chmod(0o755)
        monkeypatch.setenv("FAULTLINE_CACHE", str(self.cache))
        monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")

    def add(self, version: str, suite: str = "own", *, documentation: str = "mm") -> None:
        """A package linux-source-X.Y of a version X.Y.Z-N."""
        release = ".".join(version.split(".")[:2])
        name, (major, minor) = f"linux-source-{release}", release.split(".")
        work = self.folder / f"work-{release}"
        makefile = f"VERSION = {major}\nPATCHLEVEL = {minor}\nSUBLEVEL = 7\nEXTRAVERSION =\n"
        parts = ["MAINTAINERS", "kernel/x.c", "lib/x.c", "fs/x.c", "ipc/x.c", "scripts/x", "arch/x86/include/x.h"]
        docs = [f"Documentation/{documentation}/x.rst", "Documentation/admin-guide/mm/x.rst", "drivers/unneeded.c"]
        write(work / name, {**TREE, "Makefile": makefile, **dict.fromkeys([*parts, *docs], "x\n")})
        (work / "deb/usr/src").mkdir(parents=True)
        tar = ["tar", "-C", work, "-cJf", work / f"deb/usr/src/{name}.tar.xz", name]
        subprocess.run([str(word) for word in tar], check=True)
        control = (
            f"Package: {name}\nVersion: {version}\nArchitecture: all\nMaintainer: t <t@example.org>\nDescription: t\n"
        )
        write(work / "deb", {"DEBIAN/control": control})
        (self.packages / suite).mkdir(exist_ok=True)
        deb = self.packages / suite / f"{name}_{version}_all.deb"
        subprocess.run(
            ["dpkg-deb", "--build", "--root-owner-group", work / "deb", deb], check=True, capture_output=True
        )

    def calls(self) -> list[str]:
        """What was asked of apt, without options, and the sources that it was given."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return [line if line.startswith("deb") else line.split()[-1] for line in lines]

    def suites(self) -> list[str]:
        """The suites that were looked into, in order."""
        seen = [line.split()[2] for line in self.calls() if line.startswith("deb ")]
        return list(dict.fromkeys(seen))


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Mirror:
    if not shutil.which("dpkg-deb"):
        pytest.skip("needs dpkg-deb")
    return Mirror(tmp_path, monkeypatch)


def refusal(spec: str) -> str:
    with pytest.raises(FaultlineError) as caught:
        find_tree(spec)
    assert caught.value.status == ExitStatus.ERROR
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_debian_tree_is_fetched_once(mirror: Mirror) -> None:
    mirror.add("6.12.7-1")
    said: list[str] = []
    tree = find_tree("debian:6.12", said.append)
    assert tree.path == mirror.cache / "trees/linux-6.12"
    assert (tree.version, tree.spec, tree.id) == ("6.12.7", "debian:6.12", "linux-source-6.12 6.12.7-1")
    assert (tree.path / "scripts/x").is_file()
    assert (tree.path / "Documentation/mm/x.rst").is_file()
    assert not (tree.path / "drivers").exists()
    assert len(said) == 2
    assert find_tree("debian:6.12") == tree
    assert mirror.calls() == ["linux-source-6.12"]
    assert list((mirror.cache / "tmp").iterdir()) == []


def test_package_lists_are_brought_up_to_date_when_needed(mirror: Mirror) -> None:
    mirror.add("6.12.7-1", "held")
    find_tree("debian:6.12")
    assert mirror.calls() == ["linux-source-6.12", "update", "linux-source-6.12"]
    private = [line for line in mirror.log.read_text().splitlines() if "update" in line]
    assert all(f"Dir::State::Lists={mirror.cache}/tmp/" in line for line in private)


def test_a_newer_version_is_looked_for_in_new_suites_first(mirror: Mirror) -> None:
    mirror.add("6.12.7-1", "held")
    mirror.add("7.2.3-1", "testing")
    (mirror.packages / "unstable").mkdir()
    assert find_tree("debian:7.2").id == "linux-source-7.2 7.2.3-1"
    assert mirror.suites() == ["unstable", "experimental", "testing"]
    assert "deb http://mirror.example/debian/ testing main" in mirror.calls()


def test_an_older_version_is_looked_for_in_old_suites_first(mirror: Mirror) -> None:
    mirror.add("6.12.7-1", "held")
    mirror.add("5.10.3-1", "oldoldstable", documentation="vm")
    tree = find_tree("debian:5.10")
    assert (tree.path / "Documentation/vm/x.rst").is_file()
    assert mirror.suites() == ["oldoldstable"]


def test_the_machines_own_sources_and_lists_are_left_alone(mirror: Mirror) -> None:
    mirror.add("7.2.3-1", "unstable")
    find_tree("debian:7.2")
    first, *others = mirror.log.read_text().splitlines()
    assert first == "download linux-source-7.2"
    for line in others:
        if not line.startswith("deb "):
            assert "Dir::State::Lists=" in line
            assert "Dir::Cache=" in line


def test_a_version_that_no_suite_has(mirror: Mirror) -> None:
    mirror.add("6.12.7-1", "held")
    mirror.add("5.10.3-1", "oldoldstable")
    mirror.add("7.2.3-1", "unstable")
    assert refusal("debian:6.13") == (
        "no suite of http://mirror.example/debian/ has linux-source-6.13, only 5.10, 6.12, 7.2; "
        "give the path of a tree instead"
    )
    assert not (mirror.cache / "trees").exists()
    assert list((mirror.cache / "tmp").iterdir()) == []


def test_no_network(mirror: Mirror) -> None:
    (mirror.folder / "down").touch()
    assert refusal("debian:7.2") == (
        "cannot download linux-source-7.2: Could not resolve the mirror; is the network there?"
    )


def test_no_mirror_of_debian(mirror: Mirror) -> None:
    (mirror.folder / "foreign").touch()
    assert refusal("debian:7.2") == (
        "cannot download linux-source-7.2: Unable to locate package linux-source-7.2; "
        "it takes an apt source of a Debian mirror and the network, or give the path of a tree instead"
    )


def test_a_damaged_package(mirror: Mirror) -> None:
    (mirror.packages / "own/linux-source-6.12_6.12.7-1_all.deb").write_text("no archive")
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
