"""The doctor: what is here, what is not, and how to get it."""

from __future__ import annotations

from pathlib import Path

import pytest
from minitree import TREE, write

from faultline import doctor
from faultline.tree.debian import PACKAGE_NOTE


def check(name: str) -> doctor.Check:
    return next(entry for entry in doctor.checks() if entry.name == name)


def test_each_check_that_fails_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setenv("FAULTLINE_CACHE", "/dev/null/cache")
    failed = {entry.name: entry.remedy for entry in doctor.checks() if not entry.ok}
    assert {"clang", "lld", "llvm-objcopy", "llvm-symbolizer", "bc", "spatch", "cache", "kernel tree"} <= failed.keys()
    assert all(failed.values())
    assert failed["clang"] == "apt-get install clang-19"
    assert all(not entry.remedy for entry in doctor.checks() if entry.ok)


def test_names_are_told_apart() -> None:
    names = [entry.name for entry in doctor.checks()]
    assert len(names) == len(set(names))


def test_an_old_clang_does_not_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = write(tmp_path, {"clang": "#!/bin/sh\necho Debian clang version 14.0.6\n"}) / "clang"
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    found = check("clang")
    assert not found.ok
    assert "14.0.6" in found.detail
    assert "too old" in found.detail


def test_the_tree_of_the_cache_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAULTLINE_CACHE", str(tmp_path))
    assert not check("kernel tree").ok
    write(tmp_path / "trees/linux-6.12", {**TREE, PACKAGE_NOTE: "linux-source-6.12 6.12.7-1\n"})
    found = check("kernel tree")
    assert found.ok
    assert "6.12.7-1" in found.detail


def test_a_missing_python_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    real = doctor._version
    monkeypatch.setattr(doctor, "_version", lambda package: "" if package in ("rich", "atheris") else real(package))
    packages = check("python packages")
    assert (packages.ok, packages.detail, packages.remedy) == (False, "missing: rich", "pip install rich")
    assert (check("atheris").ok, check("atheris").optional) == (False, True)
