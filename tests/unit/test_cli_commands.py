"""The command line over a fake machine: what it prints, writes and exits with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from faultline import cli
from faultline.campaign.run import Result
from faultline.cli import campaign, desk
from faultline.kinds import ExitStatus, FaultlineError, FindingKind
from faultline.program.text import format_program, parse_program, read_repro
from faultline.report.repro import Patch

READ = "p0.0 mmap a0 rw\np0.0 read a0\n"


def test_a_finding_leaves_a_repro_and_status_1(plant, capsys, tmp_path) -> None:
    plant("wrong_read")
    status = cli.command_line(["run", "--programs", "60", "--jobs", "1", "--seed", "3", "--out", "found"])
    out, err = capsys.readouterr()
    assert status == ExitStatus.FINDINGS
    (file,) = (tmp_path / "found").glob("*.repro")
    repro = read_repro(file)
    assert format_program(repro.ops) == READ
    assert repro.header["kind"] == FindingKind.WRONG_DATA.value
    assert repro.header["seed"] == "3"
    text = file.read_text()
    assert "# expected   reads 0" in text
    assert "# happened   reads 1" in text
    assert "p0.0 read a0     # <- wrong-data" in text
    assert f"faultline replay found/{file.name}" in text
    assert f"replay     faultline replay found/{file.name}" in out
    assert "1 finding" in out.splitlines()[-1]
    assert "seed 3" in err


def test_a_repro_of_a_search_for_data_races_says_so(plant, capsys, tmp_path) -> None:
    plant("wrong_read")
    options = ["--programs", "60", "--jobs", "1", "--seed", "3", "--out", "found"]
    assert cli.command_line(["run", "--races", *options]) == ExitStatus.FINDINGS
    (file,) = (tmp_path / "found").glob("wrong-data-*")  # the fake has no blocks
    assert read_repro(file).header["variant"] == "race"
    capsys.readouterr()
    assert cli.command_line(["replay", str(file), "--json"]) == ExitStatus.FINDINGS
    assert json.loads(capsys.readouterr().out)["variant"] == "race"
    file.write_text(file.read_text().replace("variant: race", "variant: fast"))
    assert cli.command_line(["replay", str(file)]) == ExitStatus.USAGE
    assert "one of plain, race" in capsys.readouterr().err


def test_a_clean_tree_is_status_0(plant, capsys) -> None:
    plant()
    assert cli.command_line(["run", "--programs", "20", "--jobs", "1"]) == ExitStatus.CLEAN
    assert "no finding" in capsys.readouterr().out


def test_a_version_that_nobody_tried_is_said(plant, capsys) -> None:
    plant(untried="Linux 6.99 is not supported")
    assert cli.command_line(["run", "-q", "--programs", "20", "--jobs", "1"]) == ExitStatus.CLEAN
    assert "faultline: Linux 6.99 is not supported" in capsys.readouterr().err


def test_json_is_all_of_standard_output(plant, capsys, patch) -> None:
    plant("wrong_read", base=[])
    command = ["check", "--patch", str(patch), "--programs", "60", "--jobs", "1", "--seed", "3", "--json", "-q"]
    assert cli.command_line(command) == ExitStatus.FINDINGS
    result = json.loads(capsys.readouterr().out)
    assert result["verdict"] == "findings"
    assert (result["seed"], result["programs"]) == (3, 60)
    (finding,) = result["findings"]
    assert finding["signature"] == "wrong-data:read:value"
    assert finding["program"] == READ
    assert Path(finding["repro"]).is_file()
    assert result["patches"] == [f"fix.patch sha256:{Patch.of(patch).digest}"]


@pytest.mark.parametrize(
    ("command", "overlapping", "again"),
    [
        (["check"], 40, True),
        (["check", "--schedules", "none"], 0, False),
        (["check", "--schedules", "pct:3"], 2, True),
        (["check", "--races"], 2, True),
        (["check", "--schedules", "exhaustive"], 2, False),
        (["run"], 0, False),
        (["run", "--schedules", "mix"], 1, False),
    ],
)
def test_in_how_many_programs_operations_overlap(
    plant, monkeypatch, patch, tmp_path, command, overlapping, again
) -> None:
    plant()
    monkeypatch.setenv("FAULTLINE_CORPORA", str(tmp_path / "corpora"))
    (tmp_path / "corpora/seeds").mkdir(parents=True)
    (tmp_path / "corpora/seeds/a.prog").write_text(READ)
    plans = []
    monkeypatch.setattr(campaign, "run", lambda plan, _: plans.append(plan) or Result(1, programs=1))
    if "check" in command:
        command = [*command, "--patch", str(patch)]
    assert cli.command_line([*command, "--programs", "1", "-q"]) == ExitStatus.CLEAN
    assert (plans[0].overlapping, plans[0].again) == (overlapping, (parse_program(READ),) if again else ())


def test_a_finding_of_one_order_alone_leaves_a_repro_with_its_schedule(plant, capsys, patch, monkeypatch, tmp_path):
    plant("read_before_write", base=[])
    (tmp_path / "corpora/seeds").mkdir(parents=True)
    monkeypatch.setenv("FAULTLINE_CORPORA", str(tmp_path / "corpora"))
    (tmp_path / "corpora/seeds/a.prog").write_text("p0.0 mmap a0 rw\npar {\n  p0.0 write a0 =1\n  p0.1 read a0\n}\n")
    command = ["check", "--patch", str(patch), "--programs", "1", "--jobs", "1", "--seed", "3", "--out", "found"]
    assert cli.command_line(command) == ExitStatus.FINDINGS
    (file,) = (tmp_path / "found").glob("*.repro")
    assert read_repro(file).header["schedule"] == "-@1>p0.1"
    capsys.readouterr()
    assert cli.command_line(["replay", str(file)]) == ExitStatus.FINDINGS
    assert "lock-leak" in capsys.readouterr().out
    assert cli.command_line(["minimize", str(file)]) == ExitStatus.CLEAN
    smaller = read_repro(file.with_name(file.name + ".min"))
    assert (smaller.header["schedule"], len(smaller.ops)) == ("-@1>p0.1", 2)


def test_data_races_without_operations_that_overlap_are_a_mistake(plant, capsys) -> None:
    plant()
    assert cli.command_line(["run", "--races", "--schedules", "none"]) == ExitStatus.USAGE
    assert "--races needs operations that overlap" in capsys.readouterr().err


def test_findings_of_the_base_are_counted_and_do_not_fail_a_check(plant, capsys, patch) -> None:
    plant("bug_in_fork", base=["bug_in_fork"])
    assert cli.command_line(["check", "--patch", str(patch), "--programs", "60", "--jobs", "1"]) == ExitStatus.CLEAN
    assert "the base tree shows it too: kernel-bug:fork:do_wp_page" in capsys.readouterr().out


def test_a_check_in_which_most_programs_break_the_tool_has_no_verdict(
    plant, capsys, patch, monkeypatch, tmp_path
) -> None:
    plant("unsupported", base=["unsupported"])
    assert cli.command_line(["check", "--patch", str(patch), "--programs", "60", "--jobs", "1"]) == ExitStatus.ERROR
    assert "tool error on the base tree too" in capsys.readouterr().err


def test_findings_survive_a_folder_that_cannot_be_written(plant, capsys, tmp_path) -> None:
    plant("wrong_read")
    (tmp_path / "file").write_text("")
    status = cli.command_line(["run", "--programs", "60", "--jobs", "1", "--out", "file/found"])
    err = capsys.readouterr().err
    assert status == ExitStatus.FINDINGS
    assert "file/found: Not a directory; findings are printed here" in err
    assert err.count("findings are printed here") == 1
    assert "signature: wrong-data:read:value" in err
    assert READ.splitlines()[1] in err


def test_replay_shows_every_outcome_and_the_finding(plant, capsys, tmp_path) -> None:
    plant("wrong_read")
    (tmp_path / "a.repro").write_text(READ)
    assert cli.command_line(["replay", "a.repro"]) == ExitStatus.FINDINGS
    out = capsys.readouterr().out
    assert "    1  p0.0 mmap a0 rw  done" in out
    assert ">   2  p0.0 read a0     reads 1" in out
    assert "expected   reads 0" in out


def test_replay_with_a_patch_says_how_the_base_does(plant, capsys, patch, tmp_path) -> None:
    plant("wrong_read", base=[])
    (tmp_path / "a.repro").write_text(f"# faultline repro v1\npatch: fix.patch sha256:0123\n{READ}")
    assert cli.command_line(["replay", "a.repro"]) == ExitStatus.FINDINGS
    out, err = capsys.readouterr()
    assert "base: clean" in out
    assert "fix.patch changed since a.repro was made" in err
    patch.unlink()
    assert cli.command_line(["replay", "a.repro"]) == ExitStatus.USAGE
    assert "its patch fix.patch is not here; name it with --patch" in capsys.readouterr().err


def test_replay_of_what_does_not_show_again(plant, capsys, tmp_path) -> None:
    plant()
    (tmp_path / "a.repro").write_text(f"# faultline repro v1\nsignature: wrong-data:read:value\n{READ}")
    assert cli.command_line(["replay", "a.repro"]) == ExitStatus.CLEAN
    out = capsys.readouterr().out
    assert "no finding" in out
    assert "the file names another: wrong-data:read:value" in out


@pytest.mark.parametrize("command", ["replay", "minimize"])
def test_a_repro_of_what_the_kernel_lacks_is_status_4_and_named(plant, capsys, tmp_path, command: str) -> None:
    plant("wrong_read", lacks=["ksm"])
    (tmp_path / "a.repro").write_text("profile: noksm\n\n" + READ + "m ksm-scan\np0.0 fork p1\n")
    assert cli.command_line([command, "a.repro"]) == ExitStatus.SKIPPED
    err = capsys.readouterr().err
    assert "ksm-scan (needs ksm)" in err
    assert "the profile noksm" in err
    assert "fork" not in err


def test_campaigns_go_on_where_the_kernel_lacks_something(plant, capsys) -> None:
    plant("deadly_scan", lacks=["ksm"])
    assert cli.command_line(["run", "--programs", "100", "--jobs", "1"]) == ExitStatus.CLEAN
    assert "no finding" in capsys.readouterr().out


def test_replay_survives_what_kills_the_machine(plant, capsys, tmp_path) -> None:
    plant("deadly_scan")
    (tmp_path / "a.repro").write_text("m ksm-scan\n")
    assert cli.command_line(["replay", "a.repro", "--json"]) == ExitStatus.FINDINGS
    shown = json.loads(capsys.readouterr().out)
    assert shown["finding"]["signature"] == "kernel-bug:end:process-SIGSEGV"
    assert shown["operations"] == [{"text": "m ksm-scan", "outcome": None}]
    assert shown["variant"] == "plain"


def test_minimize_writes_a_smaller_repro_beside_the_file(plant, capsys, tmp_path) -> None:
    plant("wrong_read")
    (tmp_path / "a.repro").write_text("p0.0 mmap a3+4 rw\np0.0 fork p1\np1.0 write a4 =2\np1.0 read a4\nm ksm-scan\n")
    assert cli.command_line(["minimize", "a.repro"]) == ExitStatus.CLEAN
    assert read_repro(tmp_path / "a.repro.min").ops == parse_program(READ)
    assert "5 -> 2 operations" in capsys.readouterr().out


def test_minimize_of_what_shows_nothing_is_skipped(plant, capsys, tmp_path) -> None:
    plant()
    (tmp_path / "a.repro").write_text(READ)
    assert cli.command_line(["minimize", "a.repro"]) == ExitStatus.SKIPPED
    assert "shows no finding" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("command", "status", "message"),
    [
        (["chekc"], ExitStatus.USAGE, "No such command 'chekc'"),
        (["check"], ExitStatus.USAGE, "check needs a patch"),
        (["check", "--patch", "missing.patch"], ExitStatus.USAGE, "missing.patch: No such file"),
        (["run", "--jobs", "0"], ExitStatus.USAGE, "--jobs"),
        (["run", "--time", "0"], ExitStatus.USAGE, "--time"),
        (["run", "--time", "soon"], ExitStatus.USAGE, "'soon' is not a valid float"),
        (["run", "--time", "5", "--programs", "5"], ExitStatus.USAGE, "exclude each other"),
        (["run", "--frobnicate"], ExitStatus.USAGE, "No such option"),
        (["replay"], ExitStatus.USAGE, "Missing argument 'FILE'"),
        (["replay", "missing.repro"], ExitStatus.USAGE, "missing.repro: No such file"),
        (["replay", "bad.repro"], ExitStatus.USAGE, "bad.repro:2: unknown operation 'frok'; did you mean 'fork'?"),
        (["replay", "cut.repro"], ExitStatus.USAGE, "cut.repro:3: the file is cut off"),
    ],
)
def test_a_users_mistake_is_one_line(plant, capsys, tmp_path, command, status, message) -> None:
    plant()
    (tmp_path / "bad.repro").write_text("p0.0 mmap a0 rw\np0.0 frok p1\n")
    (tmp_path / "cut.repro").write_text("# faultline repro v1\np0.0 mmap a0 rw\np0.0 read a0")
    assert cli.command_line(command) == status
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("faultline: ")
    assert err.count("\n") == 1
    assert message in err


def failing(error: BaseException):
    def prepare(*_: object, **__: object) -> None:
        raise error

    return prepare


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (FaultlineError("no compiler; install one"), ExitStatus.ERROR, "no compiler; install one"),
        (FaultlineError("two\nlines", ExitStatus.SKIPPED), ExitStatus.SKIPPED, "two lines"),
        (KeyboardInterrupt(), ExitStatus.INTERRUPTED, "interrupted"),
    ],
)
def test_errors_are_one_line_with_their_status(monkeypatch, capsys, error, status, message) -> None:
    monkeypatch.setattr(desk, "prepare", failing(error))
    assert cli.command_line(["run"]) == status
    assert capsys.readouterr().err.strip() == f"faultline: {message}"


def test_a_bug_of_ours_is_one_line_and_a_log(monkeypatch, capsys) -> None:
    monkeypatch.setattr(desk, "prepare", failing(ZeroDivisionError("oops")))
    assert cli.command_line(["run"]) == ExitStatus.ERROR
    err = capsys.readouterr().err
    assert err.startswith("faultline: ZeroDivisionError: oops; this is a bug of faultline, see ")
    log = Path(err.split()[-1])
    assert "Traceback" in log.read_text()
    log.unlink()


def test_help_and_version_are_status_0(capsys) -> None:
    assert cli.command_line(["--help"]) == ExitStatus.CLEAN
    assert cli.command_line(["check", "--help"]) == ExitStatus.CLEAN
    assert cli.command_line(["--version"]) == ExitStatus.CLEAN
    assert cli.command_line([]) == ExitStatus.USAGE
