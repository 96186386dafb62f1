"""scripts/setup.sh where something is missing; that it installs everything is what CI on a clean machine shows."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from minitree import write

ROOT = Path(__file__).parents[2]
BASICS = ("sh", "dirname", "cat", "id", "mktemp", "rm", "sha256sum", "cut", "tail", "python3", "apt-get")
PROGRAMS = (
    "clang-19", "ld.lld-19", "llvm-symbolizer-19", "spatch", "bc", "xz", "git", "gcc", "make", "chromium",
    "chromedriver",
)  # fmt: skip


class Place:
    """A copy of what setup reads, and a PATH with chosen programs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bin = folder / "bin"
        self.bin.mkdir()
        shutil.copytree(ROOT / "scripts", folder / "scripts")
        shutil.copy(ROOT / "pyproject.toml", folder)
        for name in BASICS:
            self.offer(name)

    def offer(self, name: str) -> None:
        path = os.path.realpath(sys.executable) if name == "python3" else shutil.which(name)
        (self.bin / name).symlink_to(path or "/bin/true")

    def fake(self, name: str, text: str) -> None:
        (self.bin / name).unlink(missing_ok=True)
        write(self.bin, {name: f"#!/bin/sh\n{text}\n"})
        (self.bin / name).chmod(0o755)

    def setup(self) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": str(self.bin), "HOME": str(self.folder), "FAULTLINE_CACHE": str(self.folder / "cache")}
        command = [str(self.bin / "sh"), str(self.folder / "scripts/setup.sh")]
        return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_without_root_it_says_what_to_install(place: Place) -> None:
    place.fake("id", "echo 1000")
    place.offer("bc")
    done = place.setup()
    assert done.returncode == 3
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    start = "setup: needs packages; install them and start again: sudo apt-get install -y "
    assert line.startswith(start)
    packages = line.removeprefix(start).split()
    assert {"clang-19", "lld-19", "llvm-19", "coccinelle", "xz-utils", "git", "make"} <= set(packages)
    assert "bc" not in packages


def test_without_apt_it_names_the_packages(place: Place) -> None:
    (place.bin / "apt-get").unlink()
    done = place.setup()
    assert done.returncode == 3
    assert done.stderr.startswith("setup: needs these programs of Debian's packages: clang-19 ")


def test_a_failing_installation_shows_why(place: Place) -> None:
    place.fake("id", "echo 0")
    place.fake("apt-get", "echo E: no network; exit 100")
    done = place.setup()
    assert done.returncode == 3
    assert "E: no network" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("setup: apt-get could not install clang-19 ")


def test_packages_that_do_not_come_are_an_error(place: Place) -> None:
    place.fake("id", "echo 0")
    place.fake("apt-get", "exit 0")
    assert "setup: installed, and still not found: clang-19" in place.setup().stderr


def test_an_old_python_does_not_do(place: Place) -> None:
    place.fake("id", "echo 1000")
    place.fake("python3", "exit 1")
    assert " python3 python3-venv" in place.setup().stderr


def test_all_there_is_quick_and_silent(place: Place) -> None:
    for name in PROGRAMS:
        place.fake(name, "")
    for release in ("6.12", "6.1", "5.10", "7.2"):
        write(place.folder / f"cache/trees/linux-{release}", {".faultline-package": f"linux-source-{release} 1\n"})
    made = write(
        place.folder / ".venv/bin", {"python": "#!/bin/sh\necho ran >>ran\n", "faultline": "#!/bin/sh\nexit 9\n"}
    )
    for name in ("python", "faultline"):
        (made / name).chmod(0o755)
    first = place.setup()
    assert (first.returncode, first.stderr) == (0, "")
    assert "installing the project" in first.stdout
    second = place.setup()
    assert (second.returncode, second.stdout, second.stderr) == (0, "", "")
    write(place.folder, {"pyproject.toml": "[project]\n"})
    assert "installing the project" in place.setup().stdout


@pytest.mark.parametrize(("there", "status"), [("6.12", 0), ("7.2", 3)])
def test_only_the_default_tree_must_be_had(place: Place, there: str, status: int) -> None:
    for name in PROGRAMS:
        place.fake(name, "")
    made = write(
        place.folder / ".venv/bin",
        {"python": "#!/bin/sh\n", "faultline": f'#!/bin/sh\necho "$3"; [ "$3" = debian:{there} ]\n'},
    )
    for name in ("python", "faultline"):
        (made / name).chmod(0o755)
    done = place.setup()
    assert done.returncode == status
    fetched = [line for line in done.stdout.splitlines() if line.startswith("debian:")]
    assert fetched == ["debian:6.12", "debian:6.1", "debian:5.10", "debian:7.2"][: 4 if status == 0 else 1]
    if status == 0:
        skipped = [f"setup: tests on debian:{release} will be skipped" for release in ("6.1", "5.10", "7.2")]
        assert done.stderr.splitlines() == skipped
