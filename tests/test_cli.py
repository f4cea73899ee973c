"""The shell: commands made from signatures, answers on stdout, everything else on stderr, exit codes."""

import errno
import inspect
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import click
import pytest

import savile
from savile import cli
from savile.base.events import emit

ROWS = [(f"please cancel my order number {i} today", "cancel") for i in range(12)]
ROWS += [(f"where is parcel {i}, it should be here by now", "status") for i in range(12)]


@pytest.fixture
def tickets(tmp_path):
    path = tmp_path / "tickets.csv"
    path.write_text("text,label\n" + "".join(f'"{text}",{label}\n' for text, label in ROWS))
    return str(path)


@pytest.fixture
def word(monkeypatch):
    """Put another function in the place of a word."""

    def replace(name, function):
        function.__doc__ = inspect.getdoc(getattr(savile, name))
        function.__signature__ = inspect.signature(getattr(savile, name))
        monkeypatch.setattr(f"savile.flow.{name}.{name}", function)

    return replace


def test_every_word_is_a_command_with_its_arguments():
    commands = cli.shell().commands
    assert tuple(commands) == cli.WORDS
    for name, command in commands.items():
        word = getattr(savile, name)
        own = {parameter for parameter in inspect.signature(word).parameters if parameter != "more"}
        found = {parameter.name for parameter in command.params}
        assert own | {"as_json", "sets", "dry_run"} <= found
        assert command.help == inspect.getdoc(word).splitlines()[0]
        assert all(getattr(parameter, "help", "") for parameter in command.params)
        assert isinstance(command.params[0], click.Argument) or not own


def test_options_have_the_types_of_the_signature():
    found = {parameter.name: parameter for parameter in cli.shell().commands["adapt"].params}
    assert (found["minutes"].type, found["seed"].type) == (click.FLOAT, click.INT)
    serve = {parameter.name: parameter for parameter in cli.shell().commands["serve"].params}
    assert serve["force"].is_flag
    assert "task" in {parameter.name for parameter in cli.shell().commands["run"].params}


def test_a_command_passes_on_what_was_given(word, capsys):
    seen = {}

    def run(source, **given):
        seen.update(given, source=source)
        return {}

    word("run", run)
    assert cli.main(["run", "t.csv", "--label", "y", "--serve", "--set", "evaluate.floor=0.5", "--set", "name=x"]) == 0
    settings = {"evaluate.floor": 0.5, "name": "x"}
    assert seen == {
        **dict.fromkeys(("text", "test", "task", "app", "release")),
        "source": "t.csv",
        "label": "y",
        "serve": True,
        "settings": settings,
    }


def test_json_is_one_object_on_stdout_and_json_lines_on_stderr(tickets, capsys):
    assert cli.main(["govern", tickets, "--json"]) == 0
    out, err = capsys.readouterr()
    said = json.loads(out)
    assert (said["schema"], said["command"], said["parts"]["train"]) == (1, "govern", 19)
    assert said["id"].startswith("data@")
    assert Path(said["pages"][0]).exists()
    events = [json.loads(line)["event"] for line in err.splitlines()]
    assert {"roles", "parts", "findings"} <= set(events)


def test_without_json_a_stage_prints_its_reference(tickets, capsys):
    assert cli.main(["govern", tickets]) == 0
    out, err = capsys.readouterr()
    assert out.strip() == savile.govern(tickets).ref
    assert "Rows  train 19" in err


@pytest.mark.parametrize(
    "arguments",
    [["govern", "{}"], ["run", "{}"], ["init", "{}"], ["demo", "support"], ["names"], ["doctor"], ["show"], ["show", "recipe"]],
)
def test_a_dry_run_writes_nothing(arguments, tickets, tmp_path, savile_home, capsys):
    assert cli.main([*(part.format(tickets) for part in arguments), "--dry-run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["id"] is None
    assert [path.name for path in tmp_path.iterdir()] == ["tickets.csv"]


def test_a_dry_run_of_the_stages(tickets, savile_home, capsys):
    data = savile.govern(tickets)
    model = savile.adapt(data, model="linear")
    before = sorted(path for path in savile_home.rglob("*") if path.is_file())
    for arguments in (["adapt", data.ref], ["compress", model.ref], ["evaluate", model.ref], ["serve", model.ref, "--force"]):
        capsys.readouterr()
        assert cli.main([*arguments, "--dry-run", "--json"]) == 0
        said = json.loads(capsys.readouterr().out)
        assert (said["id"], said["verdict"]) == (None, "dry_run")
    assert sorted(path for path in savile_home.rglob("*") if path.is_file()) == before


@pytest.mark.parametrize("word", cli.WORDS)
def test_every_command_has_help(word, capsys):
    assert cli.main([word, "--help"]) == 0
    out = capsys.readouterr().out
    assert "--json" in out
    assert "--dry-run" in out


def test_the_version_is_printed(capsys):
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out.strip()[0].isdigit()


def test_a_bug_exits_1_with_a_traceback(word, capsys):
    def names(*_, **__):
        raise ZeroDivisionError("oh")

    word("names", names)
    assert cli.main(["names", "--json"]) == 1
    out, err = capsys.readouterr()
    assert json.loads(out)["error"]["code"] == "bug"
    assert "Traceback" in err


@pytest.mark.parametrize(
    ("error", "exit_code", "code"),
    [
        (KeyboardInterrupt(), 130, "interrupted"),
        (MemoryError(), 4, "machine"),
        (OSError(errno.ENOSPC, "No space left on device"), 4, "machine"),
        (ModuleNotFoundError("No module named 'openvino'", name="openvino"), 4, "missing_extra"),
        (ModuleNotFoundError("No module named 'nowhere'", name="nowhere"), 1, "bug"),
    ],
)
def test_exit_codes(error, exit_code, code, word, capsys):
    def names(*_, **__):
        raise error

    word("names", names)
    assert cli.main(["names", "--json"]) == exit_code
    assert json.loads(capsys.readouterr().out)["error"]["code"] == code


def test_an_answer_given_early_is_printed_once(word, capsys):
    def serve(*_, **__):
        emit("result", url="http://127.0.0.1:1", pid=1)

    word("serve", serve)
    assert cli.main(["serve", "--json"]) == 0
    out = capsys.readouterr().out
    assert [json.loads(line) for line in out.splitlines()] == [{"url": "http://127.0.0.1:1", "pid": 1}]


def test_progress_is_told_once_a_stage_where_nobody_watches(word, capsys):
    def names(*_, **__):
        for done in range(5):
            emit("progress", stage="train", done=done, total=5, loss=0.5)
        emit("note", text="all well")
        emit("warning", text="look here")
        return {"names": {}}

    word("names", names)
    assert cli.main(["names"]) == 0
    assert capsys.readouterr().err.splitlines() == ["train …", "all well", "Warning: look here"]


def test_one_finding_is_one(word, capsys):
    def names(*_, **__):
        emit("findings", found=[{"severity": "note", "evidence": "few rows"}], total=1)
        return {"names": {}}

    word("names", names)
    assert cli.main(["names"]) == 0
    assert capsys.readouterr().err.splitlines()[0].endswith(": 1 finding")


def test_an_interrupt_ends_with_130(tickets):
    code = "import os, signal, sys, savile.flow.names as n\nfrom savile import cli\nimport savile\n"
    code += "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # who begins the tests in the background turns it off
    code += "def names(*a, **k):\n    os.kill(os.getpid(), signal.SIGINT)\n    signal.pause()\n"
    code += "names.__doc__ = savile.names.__doc__\nimport inspect\nnames.__signature__ = inspect.signature(savile.names)\n"
    code += "n.names = names\nsys.exit(cli.main(['names', '--json']))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 128 + signal.SIGINT
    assert json.loads(done.stdout)["error"]["code"] == "interrupted"


def test_what_a_library_writes_to_stdout_itself_does_not_mix_with_the_answer():
    code = "import ctypes, os, sys, savile\nfrom savile import cli\nimport savile.flow.names as n\n"
    code += (
        "def names(*a, **k):\n    ctypes.CDLL(None).puts(b'solving')\n    os.write(1, b'solved')\n    return {'names': {}}\n"
    )
    code += "names.__doc__ = savile.names.__doc__\nimport inspect\nnames.__signature__ = inspect.signature(savile.names)\n"
    code += "n.names = names\nsys.exit(cli.main(['names', '--json']))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert json.loads(done.stdout)["names"] == {}
    assert "solving" in done.stderr
    assert "solved" in done.stderr


def test_a_reader_that_goes_away_is_no_error():
    reader, writer = os.pipe()
    os.close(reader)
    command = [Path(sys.executable).with_name("savile"), "show", "schema", "--json"]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert "Traceback" not in done.stderr


def test_the_package_runs_as_a_module():
    told = subprocess.run([sys.executable, "-m", "savile", "--version"], capture_output=True, text=True, check=True)
    assert told.stdout[:1].isdecimal()
