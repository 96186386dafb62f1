"""The run's document: what it holds, how it is read again, and that it is there however a run ends."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import msgspec
import pytest
from fake_machine import judge_maker

from faultline import cli
from faultline.campaign.run import Progress, run
from faultline.campaign.worker import Plan
from faultline.kinds import ExitStatus, FaultlineError
from faultline.report import keep
from faultline.report.document import FORMAT, SCHEMA_PATH, Document, read, schema_text, to_json
from faultline.report.keep import POINTS_MAX, Keeper, Timeline
from faultline.report.repro import Setting
from faultline.report.result import About, command_again, environment

RUN = ["run", "--programs", "60", "--jobs", "1", "--seed", "3", "--out", "found", "-q"]


def test_the_published_schema_is_up_to_date() -> None:
    assert SCHEMA_PATH.read_text() == schema_text(), "python -m faultline.report.document writes it"


def test_a_run_leaves_its_document_which_is_what_json_prints(plant, capsys, tmp_path) -> None:
    plant("wrong_read")
    assert cli.command_line([*RUN, "--json"]) == ExitStatus.FINDINGS
    printed = capsys.readouterr().out
    assert (tmp_path / "found/result.json").read_text() == printed
    document = read(tmp_path / "found")
    assert to_json(document).decode() == printed
    assert document.ended
    assert (document.verdict, document.mode, document.seed, document.programs) == ("findings", "run", 3, 60)
    assert document.command == "faultline " + " ".join([*RUN, "--json"])
    assert document.environment.tree == "linux-source-6.12 6.12.117-1"
    assert document.timeline[-1].programs == 60


def test_a_finding_has_its_program_as_it_ran_and_what_was_expected(plant, tmp_path) -> None:
    plant("wrong_read")
    cli.command_line(RUN)
    (found,) = read(tmp_path / "found").findings
    mmap, read_ = found.steps
    assert (mmap.text, mmap.actor, mmap.outcome, mmap.expected) == ("p0.0 mmap a0 rw", "p0.0", "done", "")
    assert mmap.after is not None
    assert [(page.name, page.state) for page in mmap.after] == [("p0 a0", "=0 rw")]
    assert (read_.outcome, read_.expected) == ("reads 1", "reads 0")
    assert read_.expected_after is None, "the page itself is as it should be"


def test_of_an_operation_in_which_the_kernel_stopped_nothing_is_made_up(plant, tmp_path) -> None:
    plant("bug_in_fork")
    cli.command_line(RUN)
    (found,) = read(tmp_path / "found").findings
    assert found.steps[found.op].outcome == ""
    assert found.steps[found.op].after is None
    assert found.steps[found.op].expected == ""
    assert found.steps[found.op].expected_after is None


def test_the_difference_from_the_base_tree_is_shown_against_it(plant, patch, tmp_path) -> None:
    plant("healthy", base=["wrong_read"])
    cli.command_line(["check", "--patch", str(patch), *RUN[1:]])
    document = read(tmp_path / "found")
    assert document.mode == "check"
    assert list(document.fixed) == ["wrong-data:read:value"]


def test_the_command_again_has_the_seed() -> None:
    assert command_again(["run", "--time", "5"], 7) == "faultline run --time 5 --seed 7"
    assert command_again(["run", "--seed=7"], 7) == "faultline run --seed=7"
    assert command_again(["run", "--out", "a b"], 7) == "faultline run --out 'a b' --seed 7"


# --- a run that does not come to its end ---


def about() -> About:
    return About(Setting("debian:6.12", "base", seed=7), "run", "faultline run", "now", environment(None))


def test_what_was_found_is_on_disk_before_the_run_has_ended(tmp_path) -> None:
    seen: list[Document] = []

    class Watching(Keeper):
        def found(self, record) -> None:
            super().found(record)
            seen.append(read(tmp_path))

    keeper = Watching(about(), tmp_path, {}, pytest.fail)
    run(Plan(judge_maker("wrong_read"), seed=7, jobs=1, programs=100), keeper)
    assert [document.ended for document in seen] == [False] * len(seen)
    assert not seen[0].findings[0].minimised
    assert seen[-1].findings[0].minimised
    assert len(seen[0].findings[0].steps) >= len(seen[-1].findings[0].steps) == 2


def test_a_run_without_a_finding_is_on_disk_too_and_says_that_it_goes_on(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(keep, "WRITE_EVERY", 0.0)
    keeper = Keeper(about(), tmp_path, {}, pytest.fail)
    keeper.progress(Progress(10, 1.0, None, 0))
    document = read(tmp_path)
    assert (document.verdict, document.ended, document.programs) == ("unfinished", False, 10)


def test_a_full_disk_is_said_once_and_the_run_goes_on(tmp_path, monkeypatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(keep, "write", full)
    monkeypatch.setattr(keep, "WRITE_EVERY", 0.0)
    said: list[str] = []
    keeper = Keeper(about(), tmp_path, {}, said.append)
    run(Plan(judge_maker("wrong_read"), seed=7, jobs=1, programs=50), keeper)
    assert len(said) == 1
    assert "result.json: No space left on device" in said[0]


def test_a_long_run_has_few_points_and_keeps_its_end_and_its_findings() -> None:
    timeline = Timeline()
    for i in range(20_000):
        timeline.add(Progress(i * 100, i * 0.2, None, 0 if i < 12_345 else 1))
    timeline.close(Progress(2_000_000, 4000.0, None, 1))
    points = timeline.points
    assert POINTS_MAX / 3 <= len(points) <= POINTS_MAX
    assert points[-1].programs == 2_000_000
    assert [a.seconds for a in points] == sorted({a.seconds for a in points})
    first = next(point for point in points if point.findings)
    assert abs(first.seconds - 2469.0) < 4000 / POINTS_MAX * 2 + 0.2


# --- what is no document ---


@pytest.fixture
def document(plant, tmp_path, capsys) -> Path:
    plant("wrong_read")
    cli.command_line(RUN)
    capsys.readouterr()
    return tmp_path / "found/result.json"


def refused(path: Path) -> str:
    with pytest.raises(FaultlineError) as caught:
        read(path)
    assert caught.value.status == ExitStatus.USAGE
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_folder_or_a_file_that_is_no_run(tmp_path) -> None:
    assert "no result.json there" in refused(tmp_path)
    assert "No such file or directory" in refused(tmp_path / "nothing")
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n\x00\xff")
    assert "damaged, or no run's document" in refused(tmp_path / "picture.png")
    (tmp_path / "other.json").write_text('{"format": 1}')
    assert "missing required field" in refused(tmp_path / "other.json")
    (tmp_path / "list.json").write_text("[]")
    assert "damaged" in refused(tmp_path / "list.json")


def test_a_document_that_is_cut_off_at_any_place(document) -> None:
    whole = document.read_bytes()
    for length in range(0, len(whole) - 3, 97):
        document.write_bytes(whole[:length])
        assert "damaged" in refused(document)


def test_a_document_of_a_newer_format(document) -> None:
    data = json.loads(document.read_text())
    document.write_text(json.dumps({**data, "format": FORMAT + 1, "verdict": "unheard-of"}))
    assert f"format {FORMAT + 1}; this faultline reads {FORMAT} at most" in refused(document)


def test_a_document_whose_program_is_none(document) -> None:
    data = json.loads(document.read_text())
    data["findings"][0]["program"] = "p0.0 dance\n"
    document.write_text(json.dumps(data))
    assert "unknown operation 'dance'" in refused(document)


def test_a_key_that_a_later_version_of_the_format_adds_is_passed_over(document) -> None:
    data = json.loads(document.read_text())
    document.write_text(json.dumps({**data, "mood": "good"}))
    assert read(document).seed == 3


def test_the_document_keeps_to_its_schema(document) -> None:
    """By the few words of JSON Schema that ours uses."""
    schema = json.loads(schema_text())
    check(json.loads(document.read_text()), schema, schema["$defs"])
    data = json.loads(document.read_text())
    data["findings"][0]["steps"][0]["after"][0]["count"] = 0
    with pytest.raises(AssertionError):
        check(data, schema, schema["$defs"])
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(json.dumps(data).encode(), type=Document)


TYPES = {"object": dict, "array": list, "string": str, "integer": int, "boolean": bool, "null": type(None)}


def check(value: object, schema: dict, parts: dict) -> None:
    if "$ref" in schema:
        schema = parts[schema["$ref"].rpartition("/")[2]]
    if "anyOf" in schema:
        for option in schema["anyOf"]:
            try:
                check(value, option, parts)
            except AssertionError:
                continue
            return
        raise AssertionError(value)
    if "enum" in schema:
        assert value in schema["enum"]
        return
    kind = schema["type"]
    assert isinstance(value, (int, float) if kind == "number" else TYPES[kind]), (value, kind)
    assert not ("minimum" in schema and value < schema["minimum"]), (value, schema)
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        assert set(schema.get("required", ())) <= value.keys()
        for key, inner in value.items():
            check(inner, properties.get(key, schema.get("additionalProperties")), parts)
    elif isinstance(value, list):
        for inner in value:
            check(inner, schema["items"], parts)
