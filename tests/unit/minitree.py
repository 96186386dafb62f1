"""A kernel tree and a machine of a few lines each: enough for the build to go through all that it does."""

from __future__ import annotations

import ctypes
from collections.abc import Collection, Mapping
from pathlib import Path

from faultline.build import BuiltLibrary, Variant, build
from faultline.tree import find_tree

TREE: Mapping[str, str] = {
    "Makefile": "VERSION = 6\nPATCHLEVEL = 12\nSUBLEVEL = 7\nEXTRAVERSION =\n",
    "include/linux/kconfig.h": "#include <generated/autoconf.h>\n",
    "include/linux/compiler_types.h": "",
    "include/linux/mini.h": "#define MINI 3\nextern int helper(int value);\nextern int table_entry(void);\n",
    "include/asm-generic/thing.h": "#define THING 1000\n",
    "kernel/bounds.c": '#define DEFINE(name, value) __asm__ volatile(".ascii \\"->" #name " %0\\"" : : "i"(value))\n'
    "int main(void)\n{\n\tDEFINE(NR_MINI, 4);\n\treturn 0;\n}\n",
    "kernel/time/timeconst.bc": 'hz = read();\nprint "#define MINI_HZ ", hz, "\\n"\n',
    "mm/internal.h": "#define INTERNAL 20\n",
    "mm/memory.c": '#include <linux/mini.h>\n#include <asm/thing.h>\n#include "internal.h"\n'
    "int fl_memory(void)\n{\n\treturn helper(MINI) + INTERNAL + THING;\n}\n",
    "mm/rmap.c": '#include "internal.h"\nint fl_rmap(void)\n{\n\treturn INTERNAL;\n}\n',
    "mm/ksm.c": "static int hidden(void)\n{\n\treturn 7;\n}\n",
}
CSRC: Mapping[str, str] = {
    "sources.txt": "# the mini machine\nmm/memory.c\nmm/rmap.c\nmm/ksm.c\n?mm/none.c\n",
    "arch/profiles/base.config": "# settings\nCONFIG_MINI=y\nCONFIG_HZ=250\n",
    "arch/asm/own.h": "#define OWN 1\n",
    "kernel/mm_ksm.c": "#include FL_SOURCE\nint fl_ksm(void)\n{\n\treturn hidden();\n}\n",
    "host/host.c": "int helper(int value)\n{\n\treturn value * 100;\n}\n",
    "check/check.c": '#include "ops.h"\nint fl_ops(void)\n{\n\treturn OPS;\n}\n',
    "posix/posix.c": "#include <stdlib.h>\n#include <string.h>\n"
    "static char trapped[64];\nconst char *fl_trapped(void)\n{\n\treturn trapped;\n}\n"
    "void fl_trap(const char *name)\n{\n\tstrncpy(trapped, name, sizeof(trapped) - 1);\n\tabort();\n}\n",
}
HEADERS = {"ops.h": "#define OPS 5\n"}


def write(folder: Path, files: Mapping[str, str]) -> Path:
    """Writes files, path -> text; returns the folder."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


class Mini:
    """A mini tree and machine in a folder, and a log of what each build compiled."""

    def __init__(self, folder: Path) -> None:
        self.tree = write(folder / "tree", TREE)
        self.csrc = write(folder / "csrc", CSRC)
        self.patches = folder
        self.compiled: list[str] = []

    def build(
        self, *patches: Path, variant: Variant = "plain", headers: Mapping[str, str] = HEADERS, profile: str = "base",
        counted: Collection[str] = (),
    ) -> BuiltLibrary:  # fmt: skip
        self.compiled = []

        def note(stage: str, done: int, total: int) -> None:
            assert 0 < done <= total
            if stage.startswith("compile "):
                self.compiled.append(stage.removeprefix("compile "))

        return build(
            find_tree(str(self.tree)), patches, variant=variant, profile=profile, extra_headers=headers,
            progress=note, csrc=self.csrc, counted=counted,
        )  # fmt: skip

    def edit(self, name: str, path: str, line: int, text: str) -> Path:
        """A patch file that changes one line (1-based) of a file of the tree."""
        old = (self.tree / path).read_text().splitlines()[line - 1]
        return self.diff(name, f"--- a/{path}", f"+++ b/{path}", f"@@ -{line} +{line} @@", f"-{old}", f"+{text}")

    def diff(self, name: str, *lines: str) -> Path:
        """A patch file of these lines."""
        path = self.patches / name
        path.write_text("".join(f"{line}\n" for line in lines))
        return path


def call(built: BuiltLibrary, function: str) -> int:
    """What a function of the library returns."""
    return int(getattr(ctypes.CDLL(str(built.path)), function)())
