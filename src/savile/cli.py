"""The words in a shell: every command is made from the signature and the docstring of the word in Python.

Results go to stdout, everything on the way to stderr: as progress lines in a terminal, as JSON lines with ``--json``. Exit
codes: 0 done, 1 a bug, 2 the input is wrong, 3 a gate or a refusal, 4 the machine, 130 interrupted.
"""

from __future__ import annotations

import errno
import importlib
import inspect
import json
import os
import re
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Any, get_type_hints

import click
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

import savile
from savile.base.errors import MachineError, MissingExtraError, SavileError
from savile.base.events import Event, listening
from savile.flow import _options

WORDS = tuple(name for name in savile.__all__ if name.islower())
COMMON = {
    "as_json": (bool, "--json", "One JSON object on stdout, progress as JSON lines on stderr."),
    "sets": (list[str], "--set", "A key of the recipe and its value, such as evaluate.floor=0.9; may be repeated."),
    "dry_run": (bool, "--dry-run", "Say what would be done, and write nothing."),
}
DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EIO)
INTERRUPTED, BUG, USAGE = 130, 1, 2
FILE_WIDTH = 120  # of screens that go into a file or a pipe


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line; the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    as_json = "--json" in arguments
    _keep_stdout()
    os.environ.setdefault("TQDM_DISABLE", "1")  # libraries' own progress bars would mix with ours
    try:
        code = shell().main(arguments, prog_name="savile", standalone_mode=False)
        return _interrupted(as_json) if code == INTERRUPTED else code if isinstance(code, int) else 0
    except SavileError as error:
        return _failed(error.as_dict(), error.exit_code, as_json)
    except click.UsageError as error:
        do = f"See: {error.ctx.command_path if error.ctx else 'savile'} --help"
        said = {"code": "usage", "wanted": "a command line that fits", "received": error.format_message(), "do": do}
        return _failed(said, USAGE, as_json)
    except (KeyboardInterrupt, click.exceptions.Abort):
        return _interrupted(as_json)
    except ModuleNotFoundError as error:
        return _lacking(error, as_json)
    except BrokenPipeError:  # whoever read our output has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (OSError, MemoryError) as error:
        if isinstance(error, OSError) and error.errno not in DISK:
            return _bug(error, as_json)
        wanted = "room and rights on the disk" if isinstance(error, OSError) else "memory enough"
        do = "Make room, or set SAVILE_HOME to another folder, and run it again."
        told = MachineError(wanted, str(error) or "an allocation that failed", do)
        return _failed(told.as_dict(), told.exit_code, as_json)
    except Exception as error:
        return _bug(error, as_json)


def _keep_stdout() -> None:
    """Only answers go to stdout: what libraries write to file 1 themselves, as solvers do, now or at exit, goes to stderr."""
    if sys.stdout is not sys.__stdout__ or sys.stdout is None or sys.stdout.fileno() != 1:
        return  # it is somebody else's already
    sys.stdout.flush()
    sys.stdout = os.fdopen(os.dup(1), "w", encoding=sys.stdout.encoding, errors=sys.stdout.errors, buffering=1)
    os.dup2(2, 1)


def _failed(said: Mapping[str, str], code: int, as_json: bool) -> int:
    """One message on stderr, and with ``--json`` the same as an object on stdout."""
    Console(stderr=True, highlight=False, soft_wrap=True).print(
        f"Wanted {said['wanted']}.\nReceived {said['received']}.\n{said['do']}", markup=False
    )
    if as_json:
        print(json.dumps({"error": dict(said)}, ensure_ascii=False), flush=True)
    return code


def _interrupted(as_json: bool) -> int:
    said = {"code": "interrupted", "wanted": "to finish", "received": "an interrupt", "do": "Run it again to go on."}
    return _failed(said, INTERRUPTED, as_json)


def _lacking(error: ModuleNotFoundError, as_json: bool) -> int:
    """A package of an extra that is not installed; any other missing module is a bug."""
    from savile.flow._checks_work import EXTRAS

    package = str(error.name).partition(".")[0]
    extra = next((name for name, packages in EXTRAS.items() if package in packages), None)
    if extra is None:
        return _bug(error, as_json)
    told = MissingExtraError(package, extra)
    return _failed(told.as_dict(), told.exit_code, as_json)


def _bug(error: Exception, as_json: bool) -> int:
    traceback.print_exception(error)
    do = "Please report this with the lines above; they hold no data of yours beyond what they show."
    said = {"code": "bug", "wanted": "no bug in Savile", "received": f"{type(error).__name__}: {error}", "do": do}
    return _failed(said, BUG, as_json)


def shell() -> click.Group:
    """Every word as a command."""
    app = typer.Typer(help=_lines(savile)[0], add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)
    app.callback()(_top)
    for name in WORDS:
        word = importlib.import_module(f"savile.flow.{name}")
        app.command(name, help=_lines(getattr(word, name))[0])(_command(name, getattr(word, name), getattr(word, "plan", None)))
    group = typer.main.get_command(app)
    assert isinstance(group, click.Group)
    for name, command in group.commands.items():
        for parameter in command.params:
            if isinstance(parameter, click.Argument):  # click 8.5 forgets the help that typer gave it
                parameter.help = _arguments(getattr(savile, name))[str(parameter.name)]  # type: ignore[attr-defined]
    return group


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        print(version("savile"))
        raise typer.Exit


def _top(version: bool = typer.Option(False, "--version", help="Print the version.", callback=_version, is_eager=True)) -> None:
    """What stands before the words."""


def _command(name: str, word: Callable[..., Any], plan: Callable[..., Any] | None) -> Callable[..., int]:
    """The command of a word: its first argument by position, the others as options, and those every word has."""
    parameters, about = [], _arguments(word)
    own = _parameters(word)
    for place, (argument, kind, default) in enumerate(own):
        help = about.get(argument, "")
        if place == 0 and kind is str:
            info = typer.Argument(... if default is inspect.Parameter.empty else default, help=help)
        else:
            info = typer.Option(default, f"--{argument.replace('_', '-')}", help=help, show_default=False)
        parameters.append(_parameter(argument, kind if default in (inspect.Parameter.empty, False) else kind | None, info))
    for argument, (kind, flag, help) in COMMON.items():
        info = typer.Option(False if kind is bool else [], flag, help=help, show_default=False)
        parameters.append(_parameter(argument, kind, info))

    def command(as_json: bool, sets: list[str], dry_run: bool, **given: Any) -> int:
        first = [given.pop(own[0][0])] if own and own[0][1] is str and own[0][0] in given else []
        doing = plan if dry_run and plan is not None else word
        return _do(name, lambda settings: doing(*first, settings=settings, **given), sets, as_json)

    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return command


def _parameter(name: str, kind: Any, info: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=info, annotation=kind)


def _parameters(word: Callable[..., Any]) -> list[tuple[str, type, Any]]:
    """Name, plain type and default of what a word takes, `settings` apart."""
    found: list[tuple[str, type, Any]] = []
    for parameter in inspect.signature(word).parameters.values():
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            shared = get_type_hints(getattr(_options, str(parameter.annotation).removeprefix("Unpack[").removesuffix("]")))
            found += [(name, kind, False if kind is bool else None) for name, kind in shared.items() if name != "settings"]
            continue
        named = str(parameter.annotation).split(" | ")
        kind = next((plain for plain in (bool, float, int) if plain.__name__ in named), str)
        found.append((parameter.name, kind, parameter.default))
    return found


def _lines(documented: Any) -> list[str]:
    return (inspect.getdoc(documented) or "").splitlines()


def _arguments(word: Callable[..., Any]) -> dict[str, str]:
    """argument -> its sentence in the section ``Args:``."""
    inside = re.search(r"^Args:\n((?:[ ]{4}.*\n?|\n)+)", "\n".join(_lines(word)), re.MULTILINE)
    entries = re.findall(r"^    (\w+): (.*(?:\n {8}.*)*)", inside[1] if inside else "", re.MULTILINE)
    return {name: " ".join(text.split()) for name, text in entries}


def _do(name: str, act: Callable[[dict[str, Any]], Any], sets: Sequence[str], as_json: bool) -> int:
    """Run a word with somebody listening, print what it gave back, and say how it ended."""
    from savile.base.recipe import assignments
    from savile.flow._result import describe

    teller = Teller(as_json)
    with listening(teller), teller:
        found = act(assignments(sets))
    if not teller.answered:
        said = describe(name, found)
        teller.print(said, found)
    return _code(found)


def _code(found: Any) -> int:
    """Done, or a gate that was not passed, or a machine that lacks what it takes."""
    from savile.base.records import Report
    from savile.flow._result import Result

    refused = (isinstance(found, Result) and not found.passed) or (
        isinstance(found, Report) and not found.body["gate"]["passed"]
    )
    return 3 if refused else 4 if isinstance(found, dict) and found.get("well") is False else 0


class Teller:
    """Listens to events and tells them on stderr; prints results on stdout.

    Args:
        as_json: JSON instead of words.
    """

    def __init__(self, as_json: bool) -> None:
        self.as_json, self.answered = as_json, False
        self.console, self.out = Console(stderr=True, highlight=False), Console(highlight=False)
        if not self.out.is_terminal:
            self.out.width = FILE_WIDTH
        self.bars: Progress | None = None
        self.stages: dict[str, TaskID] = {}
        self.heard: set[str] = set()

    def __enter__(self) -> Teller:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def __call__(self, event: Event) -> None:
        """Tell one event; a ``result`` is the command's answer, given before it goes on serving."""
        if event.kind == "result":
            self._stop()
            self.print(event.facts, None)
            self.answered = True
        elif self.as_json:
            print(
                json.dumps({"event": event.kind, **event.facts}, ensure_ascii=False, default=str), file=sys.stderr, flush=True
            )
        elif event.kind == "progress":
            self._progress(event.facts)
        else:
            from savile.flow._screen import told

            self.heard.add(str(event.facts.get("text")))
            for line in told(event.kind, event.facts, self.heard):
                self.console.print(line, soft_wrap=not self.console.is_terminal)

    def print(self, said: Mapping[str, Any], found: Any) -> None:
        """The answer of a command on stdout."""
        if self.as_json:
            print(json.dumps(dict(said), ensure_ascii=False, default=str), flush=True)
        else:
            from savile.flow._screen import screen

            self.out.print(screen(found, said))

    def _progress(self, facts: Mapping[str, Any]) -> None:
        """A bar for the stage at work in a terminal, elsewhere a line when a stage begins."""
        stage, done, total = str(facts["stage"]), facts.get("done", 0), facts.get("total")
        more = " ".join(f"{key} {value:.3g}" for key, value in facts.items() if isinstance(value, float))
        if not self.console.is_terminal:
            if stage not in self.stages:
                self.stages[stage] = TaskID(len(self.stages))
                self.console.print(f"{stage} …")
            return
        if self.bars is None:
            columns = (TextColumn("{task.description:<22}"), BarColumn(), TextColumn("{task.completed}/{task.total}"))
            self.bars = Progress(*columns, TimeElapsedColumn(), TextColumn("{task.fields[more]}"), console=self.console)
            self.bars.start()
        if stage not in self.stages:
            self.stages[stage] = self.bars.add_task(stage, total=total, more=more)
        for other, task in self.stages.items():
            self.bars.update(task, visible=other == stage)
        self.bars.update(self.stages[stage], completed=done, total=total, more=more)

    def _stop(self) -> None:
        if self.bars is not None:
            self.bars.stop()
            self.bars, self.stages = None, {}


if __name__ == "__main__":
    sys.exit(main())
