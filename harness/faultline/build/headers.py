"""The headers that a kernel build generates before it compiles: configuration, wrappers, constants."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from faultline.kinds import FaultlineError
from faultline.tree import Overlay, TreeInfo
from faultline.tree.facts import facts_of

#: The tree's file that computes bounds.h, and the script that computes timeconst.h.
BOUNDS_SOURCE: Final = "kernel/bounds.c"
_TIMECONST: Final = "kernel/time/timeconst.bc"

#: uapi headers that each architecture has to have.
_UAPI: Final = {
    "byteorder.h": "#include <linux/byteorder/little_endian.h>\n",
    "sigcontext.h": "struct sigcontext { unsigned long unused; };\n",
    "ptrace.h": "",
    "setup.h": "",
    "unistd.h": "#include <asm-generic/unistd.h>\n",
    "hwcap.h": "",
}
_VDSO: Final = {"processor.h": "static inline void cpu_relax(void);\n", "clocksource.h": ""}


def generated(tree: TreeInfo, overlay: Overlay, csrc: Path, config: dict[str, str]) -> dict[str, str]:
    """All generated headers but bounds.h: path in the generated folder -> text.

    ``include/`` comes before the tree's include/, ``uapi/`` before its include/uapi/.
    Raises :class:`FaultlineError` if bc is missing or fails.
    """
    include = {f"include/{path}": text for path, text in _asm(tree, overlay, csrc).items()}
    uapi = {f"uapi/{path}": text for path, text in _uapi(tree, overlay).items()}
    return include | uapi | _constants(tree, overlay, config)


def bounds(assembly: str) -> str:
    """bounds.h, from the assembly of kernel/bounds.c: each marker there carries a name and its value."""
    values = re.findall(r'->(\w+) \$?(\d+)', assembly)
    return "".join(f"#define {name} {value}\n" for name, value in values)


def _constants(tree: TreeInfo, overlay: Overlay, config: dict[str, str]) -> dict[str, str]:
    code = tree.major * 65536 + tree.minor * 256
    return {
        "include/generated/autoconf.h": "".join(f"#define CONFIG_{name} {value}\n" for name, value in config.items())
        + "".join(f"#define {fact.macro} 1\n" for fact in facts_of(overlay)),
        "include/generated/timeconst.h": _timeconst(overlay, config.get("HZ", "250")),
        "include/generated/utsrelease.h": f'#define UTS_RELEASE "{tree.version}-faultline"\n',
        "include/generated/compile.h": '#define UTS_MACHINE "faultline"\n',
        "include/generated/asm-offsets.h": "",
        "include/generated/rq-offsets.h": "#define RQ_nr_pinned 0\n",
        "uapi/linux/version.h": f"#define LINUX_VERSION_CODE {code}\n"
        "#define KERNEL_VERSION(a, b, c) (((a) << 16) + ((b) << 8) + (c))\n",
    }


def _asm(tree: TreeInfo, overlay: Overlay, csrc: Path) -> dict[str, str]:
    """Wrappers for each asm-generic header that the architecture does not bring itself."""
    generic = {
        f"asm/{name}": f"#include <asm-generic/{name}>\n"
        for folder in ("include/asm-generic", "include/uapi/asm-generic")
        for name in _headers(tree, overlay, folder)
    }
    vdso = {
        f"asm/vdso/{name}": f"#include <asm-generic/vdso/{name}>\n"
        for name in _headers(tree, overlay, "include/asm-generic/vdso")
    }
    fixed = {f"asm/{name}": text for name, text in _required_uapi(overlay).items()}
    fixed |= {f"asm/vdso/{name}": text for name, text in _VDSO.items()}
    own = {str(path.relative_to(csrc / "arch")) for path in (csrc / "arch/asm").rglob("*.h")}
    return {path: text for path, text in (generic | vdso | fixed).items() if path not in own}


def _uapi(tree: TreeInfo, overlay: Overlay) -> dict[str, str]:
    generic = {
        f"asm/{name}": f"#include <asm-generic/{name}>\n"
        for name in _headers(tree, overlay, "include/uapi/asm-generic")
    }
    return generic | {f"asm/{name}": text for name, text in _required_uapi(overlay).items()}


def _required_uapi(overlay: Overlay) -> dict[str, str]:
    """Trees with scripts/syscall.tbl make the system call numbers from it; nothing here goes by them."""
    numbers = {"unistd.h": "#define __NR_syscalls 512\n"} if overlay.exists("scripts/syscall.tbl") else {}
    return _UAPI | numbers


def _headers(tree: TreeInfo, overlay: Overlay, folder: str) -> Iterable[str]:
    """Names of the headers directly in a folder of the patched tree."""
    names = {path.name for path in (tree.path / folder).glob("*.h")}
    changed = {path.rpartition("/")[2] for path in overlay.changed if path.rpartition("/")[0] == folder}
    return sorted(name for name in names | changed if name.endswith(".h") and overlay.exists(f"{folder}/{name}"))


def _timeconst(overlay: Overlay, hz: str) -> str:
    script = overlay.read(_TIMECONST)
    if script is None:
        raise FaultlineError(f"the tree has no {_TIMECONST}")
    # the script asks for HZ with read(), which would take the rest of the script when that comes by standard input
    program = script.replace("read()", hz)
    try:
        done = subprocess.run(["bc", "-q"], input=program, capture_output=True, text=True, timeout=20, check=False)
    except OSError as error:
        raise FaultlineError("bc is not here: apt-get install bc (or run `make setup`)") from error
    except subprocess.TimeoutExpired as error:
        raise FaultlineError(f"bc does not come to an end on {_TIMECONST}") from error
    if not done.stdout:
        raise FaultlineError(f"bc fails on {_TIMECONST}: {done.stderr.strip() or 'no output'}")
    return done.stdout
