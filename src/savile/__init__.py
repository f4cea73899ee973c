"""Savile cuts a general language model to fit one business: govern, adapt, compress, evaluate, serve and prove it.

    import savile
    savile.run("tickets.csv")

The words, in the order of the data, are functions here and commands in the shell: `demo` shows the whole line, `init` writes
a recipe, `doctor` looks at the machine; `govern` makes data of a file, `plan` says what the rest would take, `adapt` makes a
model of data, `compress` a smaller one, `evaluate` measures, `serve` answers, `review` asks people, `improve` teaches what they
corrected, `combine` makes one of several adapters, `run` does all of the line; `schedule` says where a queue of such work runs,
and runs it; `track` tells other tools how it went, `names` lists what can be plugged in, `show` prints what was stored. What
goes from one to the next are the records `Dataset`, `Model`, `Report`, `Release` and `Trace`, kept in a `Store`.

The house, from the top floor down; a room imports only what is below it and finds the rest by name:

    cli           the words in a shell
    apps          ready business applications
    flow          one file for each word        testing       checks for authors of plug-ins
    data          what a company has            adaptation    how a base becomes a model of its own
    compression   smaller, faster               evaluation    what was measured, and the gate
    serving       answers over HTTP             tracking      who else is told
    scheduling    what runs where, and when
    tasks         what a business asks          models        what answers
    base          what flows (records), what can be plugged in (contracts, catalogue), where it is kept (store, audit)

A file without underscore in a room is a plug-in, and its name is what a recipe says.
"""

from __future__ import annotations

from importlib import import_module as _import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from savile.base.records import Dataset, Model, Release, Report, Trace
    from savile.base.store import Store
    from savile.flow.adapt import adapt
    from savile.flow.combine import combine
    from savile.flow.compress import compress
    from savile.flow.demo import demo
    from savile.flow.doctor import doctor
    from savile.flow.evaluate import evaluate
    from savile.flow.govern import govern
    from savile.flow.improve import improve
    from savile.flow.init import init
    from savile.flow.names import names
    from savile.flow.plan import plan
    from savile.flow.review import review
    from savile.flow.run import run
    from savile.flow.schedule import schedule
    from savile.flow.serve import serve
    from savile.flow.show import show
    from savile.flow.track import track

__all__ = [
    "demo",
    "init",
    "doctor",
    "govern",
    "plan",
    "adapt",
    "compress",
    "evaluate",
    "serve",
    "review",
    "improve",
    "combine",
    "run",
    "schedule",
    "track",
    "names",
    "show",
    "Dataset",
    "Model",
    "Report",
    "Release",
    "Trace",
    "Store",
]

_HOMES = dict.fromkeys(("Dataset", "Model", "Report", "Release", "Trace"), "base.records") | {"Store": "base.store"}


def __getattr__(name: str) -> Any:
    # Loaded when first used, so that `import savile` costs nothing and the shell answers at once.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(_import_module(f"savile.{_HOMES.get(name, f'flow.{name}')}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted(__all__)
