"""The generated C header compiles and says what the Python tables say."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from faultline.kinds import FindingKind
from faultline.program import ops, trace
from faultline.program.cheader import c_header

CC = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang-19")


def _checks() -> list[tuple[str, int]]:
    """C expressions and the values that Python has for them."""
    checks = [
        ("FL_OP_SIZE", ops.OP_SIZE),
        ("FL_NR_OPS", len(ops.OPS)),
        ("FL_NR_KINDS", len(FindingKind)),
        ("FL_TASK_MONITOR", ops.TASK_MONITOR),
        ("FL_SKIP_HANDLE_USED", trace.Skip.HANDLE_USED),
        ("FL_STATUS_KILLED", trace.Status.KILLED),
        ("FL_WAIT_LOCK", trace.Wait.LOCK),
        ("FL_BIT_CONTENT", trace.Bit.CONTENT),
        ("FL_BIT_MERGEABLE", trace.Bit.MERGEABLE),
        ("FL_KIND_UNLOCK_NOT_OWNER", list(FindingKind).index(FindingKind.UNLOCK_NOT_OWNER)),
        ("FL_PROT_RW", ops.PROT.lo + ops.PROT.words.index("rw")),
        ("FL_FEATURES_WP_UNPOPULATED", 1 << ops.FEATURES.words.index("wp-unpopulated")),
        ("FL_REGISTER_MODE_WP", 1 << ops.REGISTER_MODE.words.index("wp")),
    ]
    for op in ops.OPS:
        row = f"fl_opspecs[{op.code}]"
        checks.append((f'strcmp({row}.name, "{op.name}")', 0))
        checks += [(f"{row}.monitor", int(op.actor is ops.Actor.MONITOR)), (f"{row}.noperands", len(op.kinds))]
        for i, kind in enumerate(op.kinds):
            checks += [(f"{row}.operand[{i}].count", kind.count), (f"{row}.operand[{i}].lo", kind.lo)]
            checks.append((f"{row}.operand[{i}].form", list(ops.Form).index(kind.form)))
    return checks


@pytest.mark.skipif(CC is None, reason="needs a C compiler")
def test_header_compiles_and_agrees_with_the_tables(tmp_path: Path) -> None:
    (tmp_path / "ops.h").write_text(c_header())
    checks = _checks()
    tests = "\n".join(f"\tif (({expr}) != {value}) return {i + 1};" for i, (expr, value) in enumerate(checks))
    head = '#include <string.h>\n#define FL_OPSPECS\n#include "ops.h"\n'
    source = f"{head}int check(void) {{\n{tests}\n\treturn 0;\n}}\n"
    main = "#include <stdio.h>\nint check(void);\nint main(void) { printf(\"%d\\n\", check()); return 0; }\n"
    (tmp_path / "check.c").write_text(source)
    (tmp_path / "main.c").write_text(main + '#include "ops.h"\n')
    assert CC is not None
    command = [CC, "-Wall", "-Wextra", "-Werror", "check.c", "main.c", "-o", "check"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    failed = int(subprocess.run([tmp_path / "check"], check=True, capture_output=True, text=True).stdout)
    assert failed == 0, checks[failed - 1]
