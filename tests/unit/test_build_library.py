"""Builds of a mini tree: what is compiled when, what patches do, and how failures read."""

from __future__ import annotations

import copy
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from minitree import HEADERS, Mini, call, write

from faultline.build import toolchain
from faultline.build.covmap import read_coverage
from faultline.build.library import build
from faultline.kinds import ExitStatus, FaultlineError
from faultline.tree import find_tree

EVERYTHING = {
    "mm/memory.c", "mm/rmap.c", "csrc/kernel/mm_ksm.c", "csrc/host/host.c", "csrc/check/check.c", "csrc/posix/posix.c",
}  # fmt: skip


@pytest.fixture
def mini(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Mini:
    monkeypatch.setenv("FAULTLINE_CACHE", str(tmp_path / "cache"))
    return Mini(tmp_path)


@pytest.fixture
def fresh_toolchain() -> Iterator[None]:
    """The toolchain is looked for anew in the test and after it."""
    toolchain.find_toolchain.cache_clear()
    yield
    toolchain.find_toolchain.cache_clear()


def message(mini: Mini, *patches: Path) -> str:
    with pytest.raises(FaultlineError) as caught:
        mini.build(*patches)
    assert caught.value.status == ExitStatus.ERROR
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_library_holds_kernel_glue_host_check_and_posix_code(mini: Mini) -> None:
    built = mini.build()
    assert set(mini.compiled) == EVERYTHING
    assert (call(built, "fl_memory"), call(built, "fl_rmap")) == (3 * 100 + 20 + 1000, 20)
    assert (call(built, "fl_ksm"), call(built, "fl_ops")) == (7, 5)
    assert (built.cached, built.traps, built.variant, built.tree.version) == (False, (), "plain", "6.12.7")


def test_nothing_is_compiled_twice(mini: Mini) -> None:
    first = mini.build()
    second = mini.build()
    assert mini.compiled == []
    assert (second.cached, second.key, second.path, second.traps) == (True, first.key, first.path, first.traps)


def test_an_edit_in_the_tree_recompiles_what_reads_it(mini: Mini) -> None:
    base = mini.build()
    (mini.tree / "include/linux/mini.h").write_text("#define MINI 4\nextern int helper(int value);\n")
    edited = mini.build()
    assert mini.compiled == ["mm/memory.c"]
    assert (call(base, "fl_memory"), call(edited, "fl_memory")) == (1320, 1420)
    (mini.tree / "mm/internal.h").write_text("#define INTERNAL 21\n")
    mini.build()
    assert set(mini.compiled) == {"mm/memory.c", "mm/rmap.c"}


def test_going_back_to_an_earlier_state_compiles_nothing(mini: Mini) -> None:
    base = mini.build()
    original = (mini.tree / "mm/internal.h").read_text()
    (mini.tree / "mm/internal.h").write_text("#define INTERNAL 21\n")
    mini.build()
    (mini.tree / "mm/internal.h").write_text(original)
    assert mini.build().key == base.key
    assert mini.compiled == []


def test_an_edit_of_the_machine_or_its_headers_leaves_kernel_objects(mini: Mini) -> None:
    mini.build()
    (mini.csrc / "host/host.c").write_text("int helper(int value)\n{\n\treturn value;\n}\n")
    assert call(mini.build(), "fl_memory") == 1023
    assert mini.compiled == ["csrc/host/host.c"]
    assert call(mini.build(headers={"ops.h": "#define OPS 6\n"}), "fl_ops") == 6
    assert mini.compiled == ["csrc/check/check.c"]


def test_a_new_header_of_the_machine_leaves_kernel_objects(mini: Mini) -> None:
    mini.build()
    write(mini.csrc, {"host/new.h": "#define NEW\n"})
    mini.build()
    assert {"mm/memory.c", "mm/rmap.c"} & set(mini.compiled) == set()


def test_progress_is_told_as_it_is_made(mini: Mini, tmp_path: Path) -> None:
    objects: list[int] = []
    build(
        find_tree(str(mini.tree)),
        jobs=1,
        extra_headers=HEADERS,
        csrc=mini.csrc,
        progress=lambda _stage, _done, _total: objects.append(len(list((tmp_path / "cache/objects").glob("*.o")))),
    )
    assert objects[0] < len(EVERYTHING)
    assert objects[-1] == len(EVERYTHING)


def test_a_file_from_the_future_is_built(mini: Mini) -> None:
    os.utime(mini.tree / "mm/rmap.c", (4e9, 4e9))
    assert call(mini.build(), "fl_rmap") == 20


def test_a_file_that_changes_while_it_is_compiled_is_not_kept(
    mini: Mini, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fresh_toolchain: None
) -> None:
    # by a rename, so that another compiler never sees it empty
    header = f"{mini.tree}/mm/internal.h"
    edit = f"printf '#define INTERNAL 21\\n' >{header}.new; mv {header}.new {header}"
    script = f'#!/bin/sh\ncase "$*" in *rmap.c) {edit};; esac\nexec {shutil.which("clang-19")} "$@"\n'
    (write(tmp_path / "bin", {"clang-19": script}) / "clang-19").chmod(0o755)
    with monkeypatch.context() as patched:
        patched.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
        assert message(mini) == "mm/internal.h changed while it was being compiled; build again"
    toolchain.find_toolchain.cache_clear()
    assert call(mini.build(), "fl_rmap") == 21


def test_a_new_header_of_the_architecture_takes_the_place_of_the_generic_one(mini: Mini) -> None:
    mini.build()
    write(mini.csrc, {"arch/asm/thing.h": "#define THING 5000\n"})
    assert call(mini.build(), "fl_memory") == 5320


def test_settings_reach_the_code(mini: Mini) -> None:
    write(mini.tree, {"mm/rmap.c": "int fl_rmap(void)\n{\n\treturn CONFIG_MINI * 10000 + CONFIG_HZ;\n}\n"})
    assert call(mini.build(), "fl_rmap") == 10250
    write(mini.csrc, {"arch/profiles/fast.config": "CONFIG_MINI=2\nCONFIG_HZ=0x64\n"})
    assert call(mini.build(profile="fast"), "fl_rmap") == 20100


def test_computed_constants_reach_the_code(mini: Mini) -> None:
    source = "#include <generated/bounds.h>\n#include <generated/timeconst.h>\n"
    source += "int fl_rmap(void)\n{\n\treturn NR_MINI + MINI_HZ;\n}\n"
    write(mini.tree, {"mm/rmap.c": source})
    assert call(mini.build(), "fl_rmap") == 254


def test_a_kernel_definition_wins_over_the_host_s(mini: Mini) -> None:
    write(mini.tree, {"mm/rmap.c": "int helper(int value)\n{\n\treturn value;\n}\n"})
    assert call(mini.build(), "fl_memory") == 1023


def test_the_tree_s_place_does_not_matter(mini: Mini, tmp_path: Path) -> None:
    base = mini.build()
    moved = tmp_path / "a place with $pecial (characters) # and spaces"
    shutil.copytree(mini.tree, moved)
    mini.tree = moved
    assert mini.build().key == base.key
    assert mini.compiled == []
    (moved / "mm/rmap.c").write_text("int fl_rmap(void)\n{\n\treturn 1;\n}\n")
    assert call(mini.build(), "fl_rmap") == 1


def test_nothing_is_written_into_the_tree_or_the_machine(mini: Mini) -> None:
    def state(folder: Path) -> dict[Path, int]:
        return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}

    before = state(mini.tree), state(mini.csrc)
    mini.build(mini.edit("p.diff", "mm/rmap.c", 4, "\treturn 2;"))
    assert (state(mini.tree), state(mini.csrc)) == before


def test_a_patch_recompiles_the_patched_file_alone(mini: Mini) -> None:
    base = mini.build()
    patch = mini.edit("p.diff", "mm/rmap.c", 4, "\treturn 2;")
    patched = mini.build(patch)
    assert mini.compiled == ["mm/rmap.c"]
    assert (call(base, "fl_rmap"), call(patched, "fl_rmap")) == (20, 2)
    assert patched.patches == (patch,)
    assert mini.build().key == base.key


def test_a_patched_header_reaches_unpatched_files_beside_it(mini: Mini) -> None:
    mini.build()
    patch = mini.edit("p.diff", "mm/internal.h", 1, "#define INTERNAL 30")
    patched = mini.build(patch)
    assert set(mini.compiled) == {"mm/memory.c", "mm/rmap.c"}
    assert (call(patched, "fl_memory"), call(patched, "fl_rmap")) == (1330, 30)


def test_glue_includes_the_patched_file(mini: Mini) -> None:
    patch = mini.edit("p.diff", "mm/ksm.c", 3, "\treturn 8;")
    assert call(mini.build(patch), "fl_ksm") == 8


def test_a_patch_may_add_a_header_that_hides_another(mini: Mini) -> None:
    write(
        mini.tree,
        {
            "include/uapi/linux/late.h": "#define LATE 1\n",
            "mm/rmap.c": "#include <linux/late.h>\nint fl_rmap(void) { return LATE; }\n",
        },
    )
    assert call(mini.build(), "fl_rmap") == 1
    patch = mini.diff("p.diff", "--- /dev/null", "+++ b/include/linux/late.h", "@@ -0,0 +1 @@", "+#define LATE 2")
    assert call(mini.build(patch), "fl_rmap") == 2


def test_a_patch_may_add_a_file_that_is_built(mini: Mini) -> None:
    patch = mini.diff("p.diff", "--- /dev/null", "+++ b/mm/none.c", "@@ -0,0 +1 @@", "+int fl_none(void) { return 9; }")
    assert call(mini.build(patch), "fl_none") == 9


def test_a_file_that_a_patch_deletes_is_gone(mini: Mini) -> None:
    patch = mini.diff("gone.diff", "--- a/mm/internal.h", "+++ /dev/null", "@@ -1 +0,0 @@", "-#define INTERNAL 20")
    text = message(mini, patch)
    assert "'internal.h' file not found" in text
    assert "gone.diff" in text or "mm/internal.h" in text


def test_a_patch_that_does_not_compile_is_named_with_the_line(mini: Mini) -> None:
    patch = mini.edit("bad.diff", "mm/rmap.c", 4, "\treturn oops;")
    text = message(mini, patch)
    assert text.startswith("mm/rmap.c:4: error: use of undeclared identifier 'oops'")
    assert text.endswith("(mm/rmap.c is changed by bad.diff)")


def test_a_call_of_nothing_declared_is_an_error(mini: Mini) -> None:
    patch = mini.edit("bad.diff", "mm/rmap.c", 4, "\treturn g();")
    assert "mm/rmap.c:4: error: call to undeclared function 'g'" in message(mini, patch)


def test_an_error_in_a_patched_header_names_its_patch(mini: Mini) -> None:
    patch = mini.edit("bad.diff", "mm/internal.h", 1, "#error no")
    assert message(mini, patch) == "mm/internal.h:1: error: no (mm/internal.h is changed by bad.diff)"


def test_a_broken_patch_leaves_the_base_usable(mini: Mini) -> None:
    message(
        mini,
        mini.edit("bad.diff", "mm/rmap.c", 4, "\toops"),
    )
    assert call(mini.build(), "fl_rmap") == 20


def test_an_undefined_function_becomes_a_trap_that_names_itself(mini: Mini) -> None:
    write(mini.tree, {"mm/rmap.c": "int lacking(void);\nint fl_rmap(void)\n{\n\treturn lacking();\n}\n"})
    built = mini.build()
    assert built.traps == ("lacking",)
    script = f"import ctypes; ctypes.CDLL({str(built.path)!r}).fl_rmap()"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == -6  # fl_trap() aborts


def test_a_function_that_is_only_pointed_at_becomes_a_trap_too(mini: Mini) -> None:
    source = (
        "extern int in_table(void), in_register(void);\nstruct ops { int (*call)(void); };\n"
        "const struct ops fl_table = { .call = in_table };\n"
        "int fl_rmap(int (**where)(void))\n{\n\t*where = in_register;\n\treturn 0;\n}\n"
    )
    write(mini.tree, {"mm/rmap.c": source})
    assert mini.build().traps == ("in_register", "in_table")


def test_what_nothing_reaches_is_neither_trapped_nor_missed(mini: Mini) -> None:
    source = (
        "extern int lacking(void), nowhere;\nint unreached(void)\n{\n\treturn lacking() + nowhere;\n}\n"
        "int fl_rmap(void)\n{\n\treturn 0;\n}\n"
    )
    write(mini.tree, {"mm/rmap.c": source})
    assert mini.build().traps == ()


@pytest.mark.parametrize(
    "use",
    [
        "extern int lacking;\nint fl_rmap(void) { return lacking; }\n",
        "extern int lacking[4];\nint *fl_rmap(void) { return lacking + 2; }\n",
        "extern int lacking;\nint *const fl_pointer = &lacking;\n",
        "extern struct { int (*call)(void); } lacking;\nint fl_rmap(void) { return lacking.call(); }\n",
    ],
)
def test_undefined_data_is_an_error_that_names_who_uses_it(mini: Mini, use: str) -> None:
    write(mini.tree, {"mm/rmap.c": use})
    text = message(mini)
    assert "lacking (mm/rmap.c)" in text
    assert "csrc/host" in text


def test_data_of_the_host_is_found(mini: Mini) -> None:
    write(mini.tree, {"mm/rmap.c": "extern int there;\nint fl_rmap(void) { return there; }\n"})
    write(mini.csrc, {"host/data.c": "int there = 77;\n"})
    assert call(mini.build(), "fl_rmap") == 77


def test_posix_code_may_not_call_what_kernel_code_defines_otherwise(mini: Mini) -> None:
    write(mini.tree, {"mm/rmap.c": "int abort(int why)\n{\n\treturn why;\n}\nint fl_rmap(void) { return abort(1); }\n"})
    assert message(mini).startswith("csrc/posix/posix.c takes abort() from the C library")


def test_a_symbol_defined_twice_is_an_error(mini: Mini) -> None:
    write(mini.tree, {"mm/rmap.c": "int fl_memory(void)\n{\n\treturn 0;\n}\n"})
    text = message(mini)
    assert "duplicate symbol: fl_memory" in text


def test_the_linker_script_of_the_machine_is_used(mini: Mini) -> None:
    write(mini.csrc, {"link.ld": "SECTIONS { .mine : { fl_first = .; *(.mine) fl_last = .; } } INSERT AFTER .data;\n"})
    source = 'static int a __attribute__((section(".mine"), used)) = 1;\nextern int fl_first[], fl_last[];\n'
    source += "int fl_rmap(void)\n{\n\treturn (fl_last - fl_first) * 10 + (a == 1);\n}\n"
    write(mini.tree, {"mm/rmap.c": source})
    assert call(mini.build(), "fl_rmap") == 11


def test_the_sanitised_variant_has_coverage_counters_and_checks(mini: Mini) -> None:
    plain, asan = mini.build(), mini.build(variant="asan")
    assert set(mini.compiled) == EVERYTHING
    assert plain.key != asan.key
    symbols = subprocess.run(["nm", "-D", asan.path], capture_output=True, text=True, check=True).stdout
    assert "__asan_init" in symbols
    assert "__sanitizer_cov_8bit_counters_init" in symbols
    assert mini.build(variant="asan").cached


def test_lines_of_the_files_that_were_named_are_counted(mini: Mini) -> None:
    mini.build()
    counting = mini.build(counted=["mm/rmap.c"])
    assert mini.compiled == ["mm/rmap.c"]
    assert {f.name for f in read_coverage(counting.path).functions} == {"fl_rmap"}
    assert call(counting, "fl_rmap") == 20
    glued = read_coverage(mini.build(counted=["mm/ksm.c"]).path)
    assert mini.compiled == ["csrc/kernel/mm_ksm.c"]
    assert {f.name for f in glued.functions} == {"hidden", "fl_ksm"}
    assert "mm/ksm.c" in {region.file for f in glued.functions for region in f.regions}


def test_a_header_is_counted_in_the_units_that_read_it(mini: Mini) -> None:
    mini.build()
    write(mini.tree, {"mm/internal.h": "#define INTERNAL 20\nstatic inline int twice(int a) { return 2 * a; }\n"})
    mini.build()
    mini.build(counted=["mm/internal.h"])
    assert set(mini.compiled) == {"mm/memory.c", "mm/rmap.c"}


def test_two_builds_at_once_do_no_harm(mini: Mini) -> None:
    script = (
        "import sys; from pathlib import Path\n"
        "from faultline.build import build; from faultline.tree import find_tree\n"
        "print(build(find_tree(sys.argv[1]), extra_headers={'ops.h': sys.argv[3]}, csrc=Path(sys.argv[2])).key)"
    )
    command = [sys.executable, "-c", script, str(mini.tree), str(mini.csrc), HEADERS["ops.h"]]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    keys = {process.communicate()[0].strip() for process in running}
    assert [process.returncode for process in running] == [0, 0, 0]
    assert keys == {mini.build().key}
    assert mini.compiled == []


def test_builds_at_once_share_the_work(mini: Mini) -> None:
    builds = [copy.copy(mini) for _ in range(3)]
    with ThreadPoolExecutor(3) as pool:
        keys = {built.key for built in pool.map(Mini.build, builds)}
    assert len(keys) == 1
    assert sorted(name for one in builds for name in one.compiled) == sorted(EVERYTHING)


def test_damaged_cache_entries_are_made_again(mini: Mini, tmp_path: Path) -> None:
    built = mini.build()
    for path in (tmp_path / "cache").rglob("*.json"):
        path.write_text("{")
    built.path.unlink()
    again = mini.build()
    assert again.key == built.key
    assert call(again, "fl_rmap") == 20


def test_scratch_folders_are_removed_after_success_and_failure(mini: Mini, tmp_path: Path) -> None:
    mini.build()
    message(
        mini,
        mini.edit("bad.diff", "mm/rmap.c", 4, "\toops"),
    )
    assert list((tmp_path / "cache/tmp").iterdir()) == []


@pytest.mark.parametrize("place", ["/proc/faultline-cache", "/dev/null/cache"])
def test_a_cache_that_cannot_be_written(mini: Mini, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    monkeypatch.setenv("FAULTLINE_CACHE", place)
    text = message(mini)
    assert text.startswith(f"cannot write to the cache {place}: ")
    assert "set FAULTLINE_CACHE" in text


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a small file system")
@pytest.mark.parametrize("kilobytes", [16, 64, 96])
def test_a_full_disk(mini: Mini, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kilobytes: int) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "none", small], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("cannot mount here")
    try:
        monkeypatch.setenv("FAULTLINE_CACHE", str(small))
        assert message(mini).startswith(f"no space left for the cache {small}: ")
        assert list((small / "tmp").iterdir()) == []
        assert [path for path in small.rglob("*") if path.name.startswith(".part")] == []
    finally:
        subprocess.run(["umount", small], check=True)


def test_no_compiler(mini: Mini, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, fresh_toolchain: None) -> None:
    bc = shutil.which("bc")
    assert bc
    (write(tmp_path / "bin", {"bc": f'#!/bin/sh\nexec {bc} "$@"\n'}) / "bc").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:/nowhere")
    assert "clang is not here: apt-get install clang-19" in message(mini)


def test_no_bc(mini: Mini, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert message(mini).startswith("bc is not here: apt-get install bc")


def test_an_unknown_profile(mini: Mini) -> None:
    with pytest.raises(FaultlineError, match="no profile thp; there are: base"):
        mini.build(profile="thp")


@pytest.mark.parametrize("line", ["CONFIG_X=m", "CONFIG_X", "X=y", 'CONFIG_X="a', "CONFIG_X=1y"])
def test_a_bad_setting(mini: Mini, line: str) -> None:
    write(mini.csrc, {"arch/profiles/base.config": f"CONFIG_A=y\n{line}\n"})
    assert message(mini).startswith("base.config:2: not a setting")


@pytest.mark.parametrize("include", ["base", "other"])
def test_profiles_that_include_each_other(mini: Mini, include: str) -> None:
    texts = {"base": f"include {include}\n", "other": "include base\n"}
    write(mini.csrc, {f"arch/profiles/{name}.config": text for name, text in texts.items()})
    assert "includes itself" in message(mini)


def test_a_file_of_a_setting_that_the_profile_lacks_is_left_out_with_its_glue(mini: Mini) -> None:
    write(mini.csrc, {
        "sources.txt": "mm/memory.c\nmm/rmap.c if CONFIG_MINI\nmm/ksm.c if CONFIG_KSM\n",
        "arch/profiles/ksm.config": "include base\nCONFIG_KSM=y\n",
    })  # fmt: skip
    mini.build()
    assert set(mini.compiled) == EVERYTHING - {"csrc/kernel/mm_ksm.c"}
    assert call(mini.build(profile="ksm"), "fl_ksm") == 7


def test_a_source_that_the_tree_lacks(mini: Mini) -> None:
    write(mini.csrc, {"sources.txt": "mm/memory.c\nmm/ksm.c\nmm/a.c | mm/b.c # either\n"})
    with pytest.raises(FaultlineError) as caught:
        mini.build()
    assert caught.value.details[:2] == ("files that are not there:", "  mm/a.c or mm/b.c (named by sources.txt:3)")


def test_all_that_a_tree_lacks_is_one_list(mini: Mini) -> None:
    mini.tree = write(
        mini.tree,
        {
            "Makefile": "VERSION = 6\nPATCHLEVEL = 99\n",
            "mm/internal.h": "#define INTERNAL renamed\n",
            "mm/ksm.c": "#include <linux/moved.h>\n",
            "mm/debug.c": "extern int lacking, elsewhere;\nint fl_debug(void)\n{\n\treturn lacking + elsewhere;\n}\n",
            "mm/rmap.c": '#include "internal.h"\nint elsewhere;\nint fl_rmap(void)\n{\n\treturn INTERNAL;\n}\n',
        },
    )
    write(mini.csrc, {"sources.txt": "mm/memory.c\nmm/rmap.c\nmm/ksm.c\nmm/debug.c\nmm/gone.c | mm/left.c\n"})
    with pytest.raises(FaultlineError) as caught:
        mini.build()
    assert caught.value.status == ExitStatus.ERROR
    assert str(caught.value) == (
        "Linux 6.99 and the machine do not fit yet: 1 file that is not there, 1 header that is not there, "
        "2 compiler errors, 1 variable that nothing defines; see docs/adding-a-kernel-version.md"
    )
    untried = caught.value.details[-1]
    assert caught.value.details == (
        "files that are not there:",
        "  mm/gone.c or mm/left.c (named by sources.txt:5)",
        "headers that are not there:",
        "  linux/moved.h (wanted by mm/ksm.c:1)",
        "compiler errors:",
        "  mm/memory.c:6: use of undeclared identifier 'renamed' (in mm/memory.c)",
        "  mm/rmap.c:5: use of undeclared identifier 'renamed' (in mm/rmap.c)",
        "variables that nothing defines:",
        "  lacking (used in mm/debug.c)",
        untried,
    )
    assert untried.startswith("Linux 6.99 is not supported")


def test_one_error_in_many_files_is_one_line(mini: Mini) -> None:
    write(mini.tree, {"mm/internal.h": "#define INTERNAL 20\n#error no\n"})
    with pytest.raises(FaultlineError) as caught:
        mini.build()
    assert caught.value.details == ("compiler errors:", "  mm/internal.h:2: no (in mm/memory.c, mm/rmap.c)")


def test_with_a_patch_the_first_error_is_the_patch_s(mini: Mini) -> None:
    write(mini.tree, {"mm/memory.c": "broken\n"})
    patch = mini.edit("bad.diff", "mm/rmap.c", 4, "\treturn oops;")
    assert message(mini, patch).endswith("(mm/rmap.c is changed by bad.diff)")


def test_the_first_of_several_sources_is_built(mini: Mini) -> None:
    write(mini.csrc, {"sources.txt": "mm/memory.c\nmm/a.c | mm/rmap.c | mm/memory.c\nmm/ksm.c\n"})
    assert call(mini.build(), "fl_rmap") == 20


def test_glue_for_a_file_that_is_not_built(mini: Mini) -> None:
    write(mini.csrc, {"kernel/mm_other.c": "#include FL_SOURCE\n"})
    assert "csrc/kernel/mm_other.c" in message(mini)


def test_no_machine(mini: Mini, tmp_path: Path) -> None:
    with pytest.raises(FaultlineError, match="the machine's sources are not here"):
        build(find_tree(str(mini.tree)), csrc=tmp_path / "nowhere")
