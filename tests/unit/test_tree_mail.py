"""Mails, mboxes and series as people have them: what is a patch of them, in which order, and what is refused."""

from __future__ import annotations

import gzip
from email.message import EmailMessage
from email.policy import SMTP, default
from pathlib import Path

import pytest
from minitree import TREE, write

from faultline.kinds import ExitStatus, FaultlineError
from faultline.tree import Overlay
from faultline.tree.mail import is_mail
from faultline.tree.series import read_series

FILE = "mm/rmap.c"
LINES = ("one", "two", "three")
SEPARATOR = b"From git@z Thu Jan  1 00:00:00 1970\n"


def diff(number: int) -> str:
    """The change of patch ``number``: it only fits on the ones before it."""
    before = "".join(f" {line}\n" for line in LINES[: number - 1])
    start = f"@@ -1,{number - 1} +1,{number} @@" if number > 1 else "@@ -0,0 +1 @@"
    mode, source = ("", f"a/{FILE}") if number > 1 else ("new file mode 100644\n", "/dev/null")
    return f"diff --git a/{FILE} b/{FILE}\n{mode}--- {source}\n+++ b/{FILE}\n{start}\n{before}+{LINES[number - 1]}\n"


def mail(subject: str, body: str = "", *, author: str = "Jane Doe <jane@example.org>", cte: str | None = None) -> bytes:
    """A mail in an mbox, with its separator."""
    message = EmailMessage()
    message["From"] = author
    message["Subject"] = subject
    message.set_content(body, cte=cte)
    return SEPARATOR + message.as_bytes(policy=default) + b"\n"


def patch(number: int, total: int = 3, prefix: str = "PATCH", cte: str | None = None) -> bytes:
    about = "Why.\n\nFrom here on it counts.\nSigned-off-by: Jane Doe\n---\n mm/rmap.c | 1 +\n\n"
    body = f"{about}{diff(number)}-- \n2.39.5\n"
    return mail(f"[{prefix} {number}/{total}] mm: add line {number}", body, cte=cte)


COVER = mail("[PATCH 0/3] mm: lines", "What it is for.\n\n mm/rmap.c | 3 +++\n")
NOISE = (
    COVER,
    mail("Re: [PATCH 2/3] mm: add line 2", f"> {diff(2)}\nWhat about this instead:\n\n{diff(1)}"),
    mail("Re: [PATCH 3/3] mm: add line 3", "Reviewed-by: John Roe <john@example.org>\n"),
    mail("buy now", "<b>cheap</b>\n"),
)


class Box:
    """Writes mboxes, and applies what is in them to a tree without the file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tree = write(folder / "linux", {path: text for path, text in TREE.items() if path != FILE})

    def write(self, *mails: bytes, name: str = "series.mbx") -> Path:
        path = self.folder / name
        path.write_bytes(b"".join(mails))
        return path

    def result(self, *mails: bytes, name: str = "series.mbx") -> str | None:
        return Overlay(self.tree, read_series([self.write(*mails, name=name)]).paths).read(FILE)

    def refusal(self, *mails: bytes) -> str:
        with pytest.raises(FaultlineError) as raised:
            read_series([self.write(*mails)])
        assert raised.value.status == ExitStatus.ERROR
        assert "\n" not in str(raised.value)
        return str(raised.value)


@pytest.fixture
def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Box:
    monkeypatch.setenv("FAULTLINE_CACHE", str(tmp_path / "cache"))
    return Box(tmp_path)


@pytest.mark.parametrize("cte", ["7bit", "quoted-printable", "base64"])
def test_numbers_order_a_series_whatever_lies_between(box: Box, cte: str) -> None:
    assert box.result(patch(3, cte=cte), *NOISE, patch(1, cte=cte), NOISE[1], patch(2, cte=cte)) == "one\ntwo\nthree\n"
    series = read_series([box.folder / "series.mbx"])
    assert [(one.name, one.subject) for one in series.patches] == [(f"{n}/3", f"mm: add line {n}") for n in (1, 2, 3)]
    assert {one.author for one in series.patches} == {"Jane Doe <jane@example.org>"}
    assert [one.path.name for one in series.patches] == [f"000{n}-mm-add-line-{n}.patch" for n in (1, 2, 3)]
    assert series.title == "mm: lines"
    assert series.notes == ()


def test_the_newest_version_counts_and_the_others_are_named(box: Box) -> None:
    old = [
        mail(f"[PATCH {n}/3] mm: old {n}", "--- a/mm/none.c\n+++ b/mm/none.c\n@@ -1 +1 @@\n-a\n+b\n") for n in (1, 2, 3)
    ]
    new = [patch(n, prefix="RFC PATCH mm-unstable v3") for n in (2, 1, 3)]
    assert box.result(*old, *new) == "one\ntwo\nthree\n"
    notes = read_series([box.folder / "series.mbx"]).notes
    assert len(notes) == 3
    assert all("of v1, and there is a v3" in note for note in notes)


def test_a_patch_that_was_not_sent_again_is_that_of_the_version_before(box: Box) -> None:
    mails = [patch(1), patch(3), patch(2, prefix="PATCH v2"), mail("[PATCH 2/3] mm: bad", diff(1))]
    assert box.result(*mails) == "one\ntwo\nthree\n"


def test_what_is_no_patch_of_a_series_is_left_out(box: Box) -> None:
    robot = mail("+ mm-add-line-1.patch added to mm-unstable branch", diff(1))
    another = mail("[PATCH] mm: another", "--- a/mm/none.c\n+++ b/mm/none.c\n@@ -1 +1 @@\n-a\n+b\n")
    assert box.result(robot, another, patch(1), patch(2), patch(3)) == "one\ntwo\nthree\n"
    (note,) = read_series([box.folder / "series.mbx"]).notes  # the robot's is the same patch once more
    assert "mail 2 ('mm: another'), which is not of the series" in note


def test_a_patch_that_came_by_two_lists_is_one(box: Box) -> None:
    assert box.result(patch(1, 2), patch(2, 2), patch(1, 2)) == "one\ntwo\n"


def test_attached_and_multipart_patches(box: Box) -> None:
    message = EmailMessage()
    message["From"] = "=?utf-8?q?J=C3=BCrgen?= <j@example.org>"
    message["Subject"] = f"[PATCH] mm: add the {'very ' * 20}first line"
    message.set_content("See the attachment.\n")
    message.add_alternative("<p>See the attachment.</p>\n", subtype="html")
    message.add_attachment(diff(1).encode(), maintype="application", subtype="octet-stream", filename="one.patch")
    content = message.as_bytes(policy=SMTP)  # with CRLF
    assert is_mail(content)
    assert box.result(content, name="one.eml") == "one\n"
    (one,) = read_series([box.folder / "one.eml"]).patches
    assert one.subject == f"mm: add the {'very ' * 20}first line"
    assert one.author == "Jürgen <j@example.org>"


def test_the_author_in_the_body_counts(box: Box) -> None:
    (one,) = read_series(
        [box.write(mail("[PATCH] x", f"From: Real Author <r@example.org>\n\nWhy.\n\n{diff(1)}"))]
    ).patches
    assert one.author == "Real Author <r@example.org>"


def test_words_that_look_like_a_separator_split_nothing(box: Box) -> None:
    body = f"Why:\n\nFrom the manual: it must.\nFrom 3 to 4 is 1.\n---\n{diff(1)}"
    assert box.result(mail("[PATCH] x", body)) == "one\n"


@pytest.mark.parametrize("name", ["a.patch", "a.mbx"])
def test_line_ends_of_another_system(box: Box, name: str) -> None:
    content = diff(1).encode() if name == "a.patch" else patch(1, 1)
    assert box.result(content.replace(b"\n", b"\r\n"), name=name) == "one\n"


def test_a_compressed_mbox(box: Box) -> None:
    assert box.result(gzip.compress(patch(1, 2) + patch(2, 2)), name="t.mbox.gz") == "one\ntwo\n"
    cut = box.write(gzip.compress(patch(1, 1))[:-20], name="t.mbox.gz")
    with pytest.raises(FaultlineError, match=r"t\.mbox\.gz: damaged gzip file"):
        read_series([cut])


def test_plain_diffs_and_semantic_patches_stay_where_they_are(box: Box) -> None:
    plain = box.write(b"Some words.\n\n" + diff(1).encode(), name="plain.patch")
    smpl = box.write(b"// files: mm/memory.c\n@@\n@@\n", name="a.cocci")
    assert read_series([plain, smpl]).paths == [plain, smpl]


def test_a_lone_reply_with_a_proposal_is_a_patch(box: Box) -> None:
    assert box.result(mail("Re: [PATCH 2/3] mm: add line 2", f"> old\n\nRather so:\n\n{diff(1)}")) == "one\n"


@pytest.mark.parametrize(
    ("mails", "complaint"),
    [
        ((NOISE[2], NOISE[3]), "series.mbx: 2 mails and no patch in them"),
        ((NOISE[3],), "series.mbx: 1 mail and no patch in it"),
        ((patch(1), patch(3)), "patch 2/3 is missing"),
        ((COVER,), "series.mbx: 1 mail and no patch in it"),
        ((patch(1, 2), mail("[PATCH 2/2] mm: x", "See the web.\n")), "mail 2 (2/2, 'mm: x'): no diff in it"),
        ((patch(1), patch(2), patch(3), patch(1, 2)), "two series, one of 2 patches and one of 3"),
        (
            (patch(1, 1), mail("[PATCH 1/1] mm: x", diff(2))),
            "patch 1/1 is there more than once, and differs (mails 1, 2)",
        ),
        ((NOISE[1], mail("Re: x", diff(1))), "patches in replies alone (mails 1, 2)"),
    ],
)
def test_what_is_refused(box: Box, mails: tuple[bytes, ...], complaint: str) -> None:
    assert complaint in box.refusal(*mails)


@pytest.mark.parametrize("share", [0.55, 0.7])
def test_a_base64_part_that_is_cut_off(box: Box, share: float) -> None:
    whole = patch(1, 1, cte="base64").rstrip()
    cut = whole[: int(len(whole) * share)]
    cut = cut[: len(cut) - (1 if len(cut.rpartition(b"\n")[2]) % 4 == 0 else 0)]
    assert "get the mail anew" in box.refusal(cut)


def test_a_mail_that_is_cut_off_between_two_letters_is_a_damaged_diff(box: Box) -> None:
    content = mail("[PATCH] x", diff(3))
    path = box.write(content[: content.rindex(b"+three")])
    with pytest.raises(FaultlineError, match="damaged diff"):
        Overlay(box.tree, read_series([path]).paths)
