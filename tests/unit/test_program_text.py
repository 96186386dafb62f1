"""Program text: round trips with the wire form; every damage is one clear line."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faultline.kinds import ExitStatus, FaultlineError
from faultline.program import ops
from faultline.program.codec import decode, encode
from faultline.program.text import (
    FILE_BYTES_MAX,
    HEADER_KEYS,
    Repro,
    format_program,
    format_repro,
    parse_program,
    parse_repro,
    read_repro,
    syntax,
)

ALL_FORMS = """\
p0.0 mmap a0+4 rw
p0.0 munmap a31
p0.3 mprotect a0+32 none
p0.0 madvise a0+4 mergeable
p7.0 read a16
p0.0 write a0 =7
p0.0 fork p1
p1.0 exit
p0.0 uffd-open u0
p0.0 uffd-open u0 event-fork,wp-async
m uffd-register u0 a0+4 missing,wp
m uffd-unregister u0 a0
m uffd-close u7
m uffd-wp u0 a0+2
m uffd-resolve u0 a0+2
m uffd-resolve u0 a0+2 dontwake
m uffd-copy u0 a3 =9 wp
m uffd-zeropage u0 a3+2
m uffd-wake u0 a3
m uffd-read u0 u1
m ksm-merge p0 a0+2
m ksm-scan
p0.0 mremap a0+2 a8+3
p0.0 mremap a0+2 a8+2 dontunmap
p0.0 mremap-resize a0+2 =3
p0.0 guard-install a0+2
p0.0 guard-remove a0
m swap-out p0 a0+2
m drop-swap-cache
m swapoff async
p0.0 mmap-shared a0+4 rw
p0.0 file-open f0 memfd @32
p7.3 mmap-file a0+4 rw f0 @3 private
p0.0 file-read f7 @31
p0.0 file-write f0 @0 =255
p0.0 file-truncate f0 @0
p0.0 file-allocate f0 @1 @3 punch-hole
p0.0 file-sync f0
p0.0 file-drop f0
p0.0 file-close f0
m uffd-continue u0 a0+4 wp,dontwake
p0.0 guest-read a0
p1.0 guest-write a3 =9
p0.0 pin k7 a0+2
p0.0 pin k0 a1 write,longterm,force,fast,locked
p0.0 ref k1 a0+3
m pin-read k0 a1
m pin-write k0 a1 =255
m unpin k0
m unpin k7 dirty
p1.0 process-read p0 a3
p1.2 process-write p7 a3 =9
m mem-read p0 a31
m mem-write p0 a31 =9
p0.0 populate a0+32 read
p0.0 populate a3 write
m migrate p2 a0+2
p0.1 numa-hint a0+2
p0.0 uffd-move u0 a4+2 a0
p1.2 uffd-move u7 a31 a16 dontwake,holes
m uffd-poison u0 a3 dontwake
p0.0 clear-refs soft-dirty
p0.0 pagemap-scan a0+4 written
p2.0 pagemap-scan a0+32 soft-dirty wp,check,inverted,present
m fail table n32
m khugepaged p0 a0+8
p0.0 mmap-hugetlb a0+8 rw
m split p0 a3
"""

REPRO = """\
# faultline repro v1
kernel: debian:6.12
patch: first.patch
patch: second.cocci
profile: default
seed: 17
kind: wrong-data
signature: wrong-data/read/do_wp_page
p0.0 mmap a0 rw
p0.0 read a0
"""


def test_canonical_text_round_trips() -> None:
    program = parse_program(ALL_FORMS)
    assert {op[0] for op in program} == set(range(len(ops.OPS))), "every operation stands in the sample"
    assert format_program(program) == ALL_FORMS
    assert decode(encode(program)) == program


@given(st.binary(max_size=40 * ops.OP_SIZE))
def test_every_program_round_trips(data: bytes) -> None:
    program = decode(data)
    assert parse_program(format_program(program)) == program


@pytest.mark.parametrize(
    ("loose", "canonical"),
    [
        ("p1 exit", "p1.0 exit\n"),
        ("  p0.0\tread   a0  # why\r\n", "p0.0 read a0\n"),
        ("# a comment\n\np0.0 mmap a0+1 rw", "p0.0 mmap a0 rw\n"),
        ("m uffd-register u0 a0 wp,missing", "m uffd-register u0 a0 missing,wp\n"),
        ("p0.0 write a00 =007", "p0.0 write a0 =7\n"),
        ("# nothing", ""),
    ],
)
def test_reading_is_lenient_where_nothing_is_lost(loose: str, canonical: str) -> None:
    assert format_program(parse_program(loose)) == canonical


def test_repro_round_trips() -> None:
    repro = parse_repro(REPRO)
    assert repro.header["kernel"] == "debian:6.12"
    assert repro.patches == ["first.patch", "second.cocci"]
    assert list(repro.header) == ["kernel", "profile", "seed", "kind", "signature"]
    assert format_repro(repro) == REPRO


def test_header_is_written_in_one_order() -> None:
    backwards = {key: f"v {key}" for key in reversed(HEADER_KEYS) if key != "patch"}
    text = format_repro(Repro(backwards, parse_program("p0.0 exit"), ["x"]))
    assert [line.split(":")[0] for line in text.splitlines()[1:-1]] == list(HEADER_KEYS)
    assert parse_repro(text).header == backwards


@pytest.mark.parametrize("path", ["my #1 fix.patch", "#1", "a: b", "größe.patch", "x # y sha256:0"])
def test_header_value_goes_to_the_end_of_its_line(path: str) -> None:
    text = format_repro(Repro({"kernel": path}, parse_program("p0.0 exit"), [path, path]))
    repro = parse_repro(text)
    assert (repro.header["kernel"], repro.patches) == (path, [path, path])


@pytest.mark.parametrize("value", ["", "two\nlines", " x", "\x07"])
def test_value_that_would_not_come_back_is_refused(value: str) -> None:
    with pytest.raises(FaultlineError, match="cannot be written"):
        format_repro(Repro({"kernel": value}, parse_program("p0.0 exit")))


def test_unknown_header_key_is_not_written() -> None:
    with pytest.raises(FaultlineError, match="no header key 'colour'"):
        format_repro(Repro({"colour": "red"}, parse_program("p0.0 exit")))


BAD = [
    ("p0.0 frok p1", 1, "unknown operation 'frok'; did you mean 'fork'?"),
    ("p0.0 zzz", 1, "unknown operation 'zzz'; docs/operations.md tells"),
    ("p0.0", 1, "the operation after p0.0 is missing"),
    ("\nmmap a0 rw", 2, "'mmap' is no task; a line begins with p0.0 to p7.3, or m"),
    ("p8.0 exit", 1, "task 'p8.0' is out of range; p0.0 to p7.3"),
    ("p0.4 exit", 1, "task 'p0.4' is out of range"),
    ("p0.0 exit\np0.0 madvise a0 mergable", 2, "unknown word 'mergable'; one of dontneed, mergeable, unmergeable"),
    ("p0.0 uffd-open u0 event-fork,async", 1, "unknown word 'async'; any of event-fork, wp-async,"),
    ("p0.0 uffd-open u0 ,", 1, "unknown word ''; any of"),
    ("p0.0 mmap a0", 1, "mmap lacks its prot; the form is 'pN.T mmap aN[+N] none|r|rw'"),
    ("p0.0 write a0", 1, "write lacks its value"),
    ("m uffd-register u0 a0", 1, "uffd-register lacks its mode"),
    ("m uffd-wp u0", 1, "uffd-wp lacks its start"),
    ("p0.0 exit now", 1, "'now' is too much for exit; the form is 'pN.T exit'"),
    ("p0.0 mmap a0 rw rw", 1, "'rw' is too much for mmap"),
    ("p0.0 read a32", 1, "'a32' is out of range; a0 to a31"),
    ("p0.0 read a99999999999", 1, "a slot was expected, not 'a99999999999'; a0 to a31"),
    ("p0.0 read a0+2", 1, "one slot was expected, not the range 'a0+2'"),
    ("p0.0 mmap a30+4 r", 1, "range 'a30+4' goes past the region's end; slots are a0 to a31"),
    ("p0.0 mmap a0+0 r", 1, "'a0+0' is out of range; +1 to +32"),
    ("p0.0 mmap 0 r", 1, "a slot was expected, not '0'; a0 to a31, or a range"),
    ("p0.0 write a0 7", 1, "a value was expected, not '7'; =0 to =255"),
    ("p0.0 write a0 =256", 1, "'=256' is out of range; =0 to =255"),
    ("p0.0 fork p8", 1, "'p8' is out of range; p0 to p7"),
    ("p0.0 fork 1", 1, "a process was expected, not '1'; p0 to p7"),
    ("p0.0 uffd-open p0", 1, "a uffd was expected, not 'p0'; u0 to u7"),
    ("p0.0 uffd-wp u0 a0", 1, "uffd-wp by p0.0; it is run by the monitor, m"),
    ("m fork p1", 1, "fork by m; it is run by a task, p0.0 to p7.3"),
    ("p0.0 exit\0", 1, "not text"),
    ("\x7fELF\x01\x02", 1, "not text"),
    ("p0.0 exit\n" * (ops.OPS_MAX + 1), ops.OPS_MAX + 1, "too many operations; at most 256"),
    ("p0.0 " + "x" * 5000, 1, "unknown operation 'xxx"),
]


@pytest.mark.parametrize(("text", "line", "message"), BAD, ids=range(len(BAD)))
def test_bad_line_is_named(text: str, line: int, message: str) -> None:
    for parse in (parse_program, parse_repro):
        with pytest.raises(FaultlineError) as caught:
            parse(text, "x.repro")
        assert str(caught.value).startswith(f"x.repro:{line}: {message}")
        assert caught.value.status is ExitStatus.USAGE
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 300 + len(", ".join(ops.BY_NAME))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("# faultline repro v2\np0.0 exit\n", "x:1: repro format v2; this faultline reads v1"),
        ("colour: red\np0.0 exit\n", "x:1: unknown header key 'colour'; one of kernel, patch,"),
        ("kernel:\np0.0 exit\n", "x:1: header key 'kernel' has no value"),
        ("seed: 1\nseed: 2\np0.0 exit\n", "x:2: header key 'seed' is given twice"),
        ("p0.0 exit\nseed: 1\n", "x:2: header line 'seed' after an operation"),
        ("# faultline repro v1\np0.0 write a0 =1", "x:2: the file is cut off"),
        ("# faultline repro v1\nseed: 1\n", "x:3: no operation up to the end"),
        ("", "x:1: no operation up to the end"),
    ],
)
def test_bad_repro_is_refused(text: str, message: str) -> None:
    with pytest.raises(FaultlineError) as caught:
        parse_repro(text, "x")
    assert str(caught.value).startswith(message)
    assert caught.value.status is ExitStatus.USAGE


def test_every_cut_of_a_repro_within_a_line_is_noticed() -> None:
    for end in range(len("# faultline repro v1"), len(REPRO)):
        if REPRO[end - 1] != "\n":
            with pytest.raises(FaultlineError):
                parse_repro(REPRO[:end])


def test_program_with_a_header_is_refused() -> None:
    with pytest.raises(FaultlineError, match="<string>:1: header line 'seed' in a plain program"):
        parse_program("seed: 1\np0.0 exit")


@given(st.text() | st.binary().map(lambda data: data.decode("latin-1")))
def test_any_text_parses_or_is_refused_in_one_line(text: str) -> None:
    message = ""
    try:
        parse_repro(text)
    except FaultlineError as error:
        message = str(error)
    assert message.isprintable()


def test_read_repro(tmp_path: Path) -> None:
    path = tmp_path / "x.repro"
    path.write_text(REPRO)
    assert format_repro(read_repro(path)) == REPRO


def test_an_operation_goes_on_after_a_backslash() -> None:
    text = "p0.0 uffd-open u0 event-fork,\\\n    wp-async \\  # as in a mail\n\n  # between\n\np0.0 exit\n"
    (whole,) = parse_program("p0.0 uffd-open u0 event-fork,wp-async")
    first = parse_program(text.replace(" \\  # as", "  # as"))
    assert first == [whole, *parse_program("p0.0 exit")]
    with pytest.raises(FaultlineError, match=r"'p0\.0' is too much"):
        parse_program(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [("p0.0 mmap \\\n", "its rest is missing"), ("p0.0 mmap \\\nseed: 1\n", "in the middle of an operation")],
)
def test_an_operation_that_does_not_go_on_is_refused(text: str, message: str) -> None:
    with pytest.raises(FaultlineError, match=message):
        parse_repro(text)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"p0.0 exit\n\xff\xfe", ":2: not text"),
        (b"\x7fELF\0\0", ":1: not text"),
        (b"#" * (FILE_BYTES_MAX + 1), ": larger than"),
    ],
)
def test_file_that_is_no_repro_is_refused(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "x.repro"
    path.write_bytes(data)
    with pytest.raises(FaultlineError) as caught:
        read_repro(path)
    assert str(caught.value).startswith(f"{path}{message}")
    assert caught.value.status is ExitStatus.USAGE


def test_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(FaultlineError, match=str(path)) as caught:
            read_repro(path)
        assert caught.value.status is ExitStatus.USAGE


def test_syntax_of_every_operation_names_its_words() -> None:
    for op in ops.OPS:
        shown = syntax(op)
        assert op.name in shown
        for kind in op.kinds:
            assert all(word in shown for word in kind.words)
