"""Patches in mails: one mail, an mbox with all that comes in threads, a series as ``b4 am`` writes it.

Which mails are patches is told by their subjects (``[PATCH v3 2/5]``) and by a diff in them; their order by those
numbers, not by their places.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from email import message_from_bytes
from email.errors import (
    CloseBoundaryNotFoundDefect,
    InvalidBase64CharactersDefect,
    InvalidBase64LengthDefect,
    InvalidBase64PaddingDefect,
    MessageDefect,
)
from email.message import Message
from email.policy import default
from typing import Final

from faultline.kinds import FaultlineError

#: A separator of an mbox.  Only one with a time and a year counts: commit messages have lines that begin with "From ".
_FROM_LINE: Final = re.compile(rb"^From \S+ .*\d\d:\d\d.* \d{4}(?: [+-]\d{4})?\s*$")
_HEADER: Final = re.compile(rb"[A-Za-z][A-Za-z0-9-]*:[ \t]")
_SUBJECT: Final = re.compile(rb"^subject:", re.MULTILINE | re.IGNORECASE)
_DIFF: Final = re.compile(r"^(?:diff --git a?/?\S|--- \S[^\n]*\n\+\+\+ \S)", re.MULTILINE)
_REPLY: Final = re.compile(r"(?:re|aw|sv|antw|fwd?)(?:\[\d+\])?:", re.IGNORECASE)
_TAGS: Final = re.compile(r"(?:\[[^\]]*\]\s*)+")
_NUMBER: Final = re.compile(r"(\d{1,4})/(\d{1,4})")
_VERSION: Final = re.compile(r"(?:PATCH|RFC)?v(\d{1,3})", re.IGNORECASE)
_PATCH_WORD: Final = re.compile(r"(?:PATCH|RFC|RFT)(?:v\d+)?", re.IGNORECASE)
_AUTHOR: Final = re.compile(r"\s*From:[ \t]*([^\n]+)\n")
_CUT_OFF: Final = (
    InvalidBase64PaddingDefect, InvalidBase64LengthDefect, InvalidBase64CharactersDefect, CloseBoundaryNotFoundDefect,
)  # fmt: skip
_SHOWN_MAX: Final = 70


@dataclass(frozen=True)
class Mail:
    """A mail, as far as patches go."""

    subject: str
    """Without its tags in brackets."""
    author: str
    text: str
    """The body, with every byte of it kept (surrogateescape)."""
    place: int
    """Counted from 1, in the mbox."""
    number: int | None = None
    """Of ``[PATCH 2/5]`` the 2; None: it has no number."""
    total: int = 1
    version: int = 1
    tagged: bool = False
    """Whether its subject says that it is a patch."""
    reply: bool = False
    damage: str = ""
    """What is wrong with its encoding; empty: nothing."""

    @property
    def has_diff(self) -> bool:
        """Whether there is a diff in it that nobody quotes."""
        return bool(_DIFF.search(self.text))

    @property
    def what(self) -> str:
        """The mail for messages."""
        short = self.subject if len(self.subject) <= _SHOWN_MAX else self.subject[: _SHOWN_MAX - 3] + "..."
        number = f"{self.number}/{self.total}, " if self.number is not None else ""
        return f"mail {self.place} ({number}{short!r})"


@dataclass(frozen=True)
class Thread:
    """What an mbox comes to: its patches in order, and what of it was left out and why."""

    patches: tuple[Mail, ...]
    title: str = ""
    """The subject of the cover letter."""
    left_out: tuple[str, ...] = field(default=())


def is_mail(content: bytes) -> bool:
    """Whether a file is a mail or an mbox, not a diff with or without words before it."""
    first, _, _ = content.lstrip().partition(b"\n")
    if _FROM_LINE.match(first.rstrip()):
        return True
    head = re.split(rb"\r?\n\r?\n", content.lstrip(), maxsplit=1)[0]
    return bool(_HEADER.match(first)) and bool(_SUBJECT.search(head))


def read_thread(content: bytes, name: str) -> Thread:
    """The patches of a mail or an mbox.

    ``name`` is the file's for messages.  Raises :class:`FaultlineError`: no patch, one of the series is missing, there
    more than once or without a diff, two series, a damaged mail.
    """
    mails = [_mail(raw, place) for place, raw in enumerate(_split(content), 1)]
    patches = [mail for mail in mails if mail.number != 0 and mail.has_diff and not mail.reply]
    numbered = any(mail.number for mail in mails if not mail.reply)
    if not patches and not numbered:
        return _lone_reply(mails, name)
    thread = _series(mails, patches, name) if numbered else _unnumbered(patches)
    for mail in thread.patches:
        if mail.damage:
            raise FaultlineError(f"{name}: {mail.what}: {mail.damage}; get the mail anew")
    return thread


def _split(content: bytes) -> list[bytes]:
    """The mails of an mbox; the file itself if it has no separators."""
    mails: list[list[bytes]] = [[]]
    blank = True
    for line in content.replace(b"\r\n", b"\n").lstrip().splitlines(keepends=True):
        if blank and _FROM_LINE.match(line):
            mails.append([])
        else:
            mails[-1].append(line)
        blank = not line.strip()
    return [b"".join(lines) for lines in mails if b"".join(lines).strip()]


def _mail(raw: bytes, place: int) -> Mail:
    message = message_from_bytes(raw, policy=default)
    text, damage = _body(message)
    tags, subject, reply = _parted(_header(message, "Subject"))
    words = [word for word in re.split(r"[\[\]\s,]+", tags) if word]
    numbers = [found for word in words if (found := _NUMBER.fullmatch(word))]
    versions = [int(found[1]) for word in words if (found := _VERSION.fullmatch(word))]
    inside = _AUTHOR.match(text)
    return Mail(
        subject=subject,
        author=" ".join((inside[1] if inside else _header(message, "From")).split()),
        text=text,
        place=place,
        number=int(numbers[0][1]) if numbers else None,
        total=int(numbers[0][2]) if numbers else 1,
        version=max(versions, default=1),
        tagged=bool(numbers) or any(_PATCH_WORD.fullmatch(word) for word in words),
        reply=reply,
        damage=damage,
    )


def _header(message: Message, name: str) -> str:
    try:
        value = message[name]
    except (ValueError, IndexError, AttributeError):  # what the library makes of a header that nobody should send
        value = None
    return " ".join(str(value or "").split())


def _parted(subject: str) -> tuple[str, str, bool]:
    """What stands in brackets at the beginning of a subject, the rest of it, and whether it is that of a reply."""
    tags, reply = "", False
    while found := _TAGS.match(subject) or _REPLY.match(subject):
        reply = reply or not found[0].startswith("[")
        tags += found[0]
        subject = subject[found.end() :].lstrip()
    return tags, subject, reply


def _body(message: Message) -> tuple[str, str]:
    """The text of a mail with its attached patches, and what is wrong with their encoding."""
    texts: list[str] = []
    defects: list[MessageDefect] = list(message.defects)
    for part in message.walk():
        attached = str(part.get_filename() or "").endswith((".patch", ".diff"))
        if part.is_multipart() or not (part.get_content_type().startswith("text/") or attached):
            continue
        if part.get_content_subtype() == "html" and not attached:
            continue
        payload = part.get_payload(decode=True)
        defects += part.defects
        content = payload if isinstance(payload, bytes) else b""
        texts.append(content.replace(b"\r\n", b"\n").decode("utf-8", "surrogateescape"))
    bad = next((defect for defect in defects if isinstance(defect, _CUT_OFF)), None)
    return "\n".join(texts), "" if bad is None else "its encoded text is damaged or cut off"


def _lone_reply(mails: Sequence[Mail], name: str) -> Thread:
    """The diff that somebody proposes in a reply, if it is the only one there is."""
    replies = [mail for mail in mails if mail.has_diff]
    if len(replies) == 1:
        if replies[0].damage:
            raise FaultlineError(f"{name}: {replies[0].what}: {replies[0].damage}; get the mail anew")
        return Thread(tuple(replies))
    damaged = next((mail for mail in mails if mail.damage), None)
    if damaged is not None:
        raise FaultlineError(f"{name}: {damaged.what}: {damaged.damage}, and there is no patch; get the mail anew")
    count = f"{len(mails)} mail{'s' * (len(mails) != 1)}"
    if replies:
        raise FaultlineError(
            f"{name}: {count}, and patches in replies alone ({_places(replies)}); save the one you mean in a file"
        )
    raise FaultlineError(f"{name}: {count} and no patch in {'them' if len(mails) != 1 else 'it'}: no unified diff")


def _unnumbered(patches: Sequence[Mail]) -> Thread:
    """Patches that do not say where they belong, in the order of the file."""
    chosen = [mail for mail in patches if mail.tagged] or list(patches)
    newest = max(mail.version for mail in chosen)
    kept = _once(mail for mail in chosen if mail.version == newest)
    return Thread(tuple(kept), left_out=_left_out(patches, kept))


def _series(mails: Sequence[Mail], patches: Sequence[Mail], name: str) -> Thread:
    """The newest version of a numbered series; of a patch that was not sent again, its version before."""
    posted = [mail for mail in mails if mail.number is not None and not mail.reply]
    newest = max(mail.version for mail in posted)
    totals = sorted({mail.total for mail in posted if mail.version == newest})
    if len(totals) > 1:
        raise FaultlineError(
            f"{name}: two series, one of {totals[0]} patches and one of {totals[1]}; save each in a file of its own"
        )
    total = totals[0]
    of_it = [mail for mail in posted if mail.total == total]
    chosen = [_numbered(of_it, number, total, name) for number in range(1, total + 1)]
    cover = next((mail for mail in sorted(of_it, key=lambda mail: -mail.version) if mail.number == 0), None)
    return Thread(tuple(chosen), cover.subject if cover else "", _left_out(patches, chosen))


def _numbered(posted: Sequence[Mail], number: int, total: int, name: str) -> Mail:
    here = [mail for mail in posted if mail.number == number]
    if not here:
        raise FaultlineError(f"{name}: patch {number}/{total} is missing; `b4 am` fetches a series whole")
    newest = max(mail.version for mail in here)
    latest = _once(mail for mail in here if mail.version == newest)
    with_diff = [mail for mail in latest if mail.has_diff]
    if not with_diff:
        damage = next((f": {mail.damage}" for mail in latest if mail.damage), "")
        raise FaultlineError(f"{name}: {latest[0].what}: no diff in it{damage}; get the mail anew")
    if len(with_diff) > 1:
        raise FaultlineError(
            f"{name}: patch {number}/{total} is there more than once, and differs ({_places(with_diff)}); leave one"
        )
    return with_diff[0]


def _once(mails: Iterable[Mail]) -> list[Mail]:
    """Without those that came by another list too."""
    kept: dict[str, Mail] = {}
    for mail in mails:
        diff = _DIFF.search(mail.text)
        content = mail.text[diff.start() if diff else 0 :].partition("\n-- \n")[0]
        kept.setdefault(content.strip(), mail)
    return list(kept.values())


def _left_out(patches: Iterable[Mail], kept: Sequence[Mail]) -> tuple[str, ...]:
    """The patches of an mbox that are not tested; copies of those that are do not count."""
    return tuple(
        f"left out: {mail.what}, {_why(mail, kept)}"
        for mail in patches
        if mail not in kept and not any(len(_once((mail, other))) == 1 for other in kept)
    )


def _why(mail: Mail, kept: Sequence[Mail]) -> str:
    newest = max(other.version for other in kept)
    if mail.version < newest:
        return f"of v{mail.version}, and there is a v{newest}"
    return "which is not of the series"


def _places(mails: Iterable[Mail]) -> str:
    return "mails " + ", ".join(str(mail.place) for mail in mails)
