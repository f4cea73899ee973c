"""The house rules: floors, sizes, names, what may be imported, and how much `import savile` costs."""

import ast
import json
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "savile"
FILES = sorted(PACKAGE.rglob("*.py"))
FILE_LINES, FUNCTION_LINES, ARGUMENTS = 400, 60, 6
FORBIDDEN_NAMES = re.compile(r"(^|_)(utils?|commons?|helpers?|managers?|misc)(_|$)")
UNSAFE_MODULES = {"pickle", "cPickle", "_pickle", "joblib", "dill", "cloudpickle", "shelve", "marshal"}
UNSAFE_ARGUMENTS = {"trust_remote_code", "allow_pickle"}
# what costs start-up time, of all that is installed by default
HEAVY = {"numpy", "scipy", "sklearn", "pandas", "pyarrow", "torch", "transformers", "peft", "tokenizers", "safetensors"} | {
    *("openvino", "onnx", "onnxruntime", "onnxscript", "fastapi", "uvicorn", "rensa", "accelerate", "huggingface_hub")
}
LIGHT_AT_THE_DOOR = {"numpy"}  # 0.15 s; the shell may load it, `import savile` may not
BARE_BASE = ("records", "errors", "events", "catalogue", "store", "audit", "machine", "contracts")


def shown(path):
    return str(path.relative_to(ROOT))


@cache
def tree(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def functions(path):
    return [node for node in ast.walk(tree(path)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def imported(node):
    """Top names of the packages an import statement loads."""
    if isinstance(node, ast.Import):
        return {alias.name.partition(".")[0] for alias in node.names}
    return {(node.module or "").partition(".")[0]} if isinstance(node, ast.ImportFrom) and not node.level else set()


def python(code):
    """What a fresh interpreter prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def third_party(names):
    return {name for name in names if name not in sys.stdlib_module_names and name != "savile" and not name.startswith("_")}


def test_the_house_is_found():
    assert len(FILES) > 40


def test_rooms_import_downwards_only_and_never_a_sibling():
    command = [Path(sys.executable).with_name("lint-imports"), "--config", ROOT / "pyproject.toml", "--no-cache"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_room_with_files_is_a_package_on_a_floor():
    rooms = {path.relative_to(PACKAGE).parts[0] for path in FILES if len(path.relative_to(PACKAGE).parts) > 1}
    assert all((PACKAGE / room / "__init__.py").exists() for room in rooms)
    contract = (ROOT / "pyproject.toml").read_text(encoding="utf-8").partition("[tool.importlinter]")[2]
    assert {room for room in rooms if f"savile.{room}" not in contract} == set()


def test_files_are_short():
    long = {shown(path): len(path.read_text(encoding="utf-8").splitlines()) for path in FILES}
    assert {name: lines for name, lines in long.items() if lines > FILE_LINES} == {}


def test_functions_are_short():
    lengths = {(shown(path), f.name): f.end_lineno - f.lineno + 1 for path in FILES for f in functions(path)}
    assert {where: lines for where, lines in lengths.items() if lines > FUNCTION_LINES} == {}


def test_functions_take_few_arguments():
    counts = {}
    for path in FILES:
        for f in functions(path):
            names = [a.arg for a in (*f.args.posonlyargs, *f.args.args, *f.args.kwonlyargs)]
            counts[shown(path), f.name] = len([name for name in names if name not in ("self", "cls")])
    assert {where: count for where, count in counts.items() if count > ARGUMENTS} == {}


def test_no_file_or_folder_is_named_after_nothing():
    parts = {part for path in FILES for part in path.relative_to(PACKAGE).with_suffix("").parts}
    assert {part for part in parts if FORBIDDEN_NAMES.search(part)} == set()


def test_every_file_and_room_says_what_it_is():
    assert [shown(path) for path in FILES if not ast.get_docstring(tree(path))] == []


def test_rooms_do_not_print():
    calls = [
        shown(path)
        for path in FILES
        if path.name != "cli.py"
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert calls == []


def test_nothing_is_loaded_that_runs_code():
    found = []
    for path in FILES:
        for node in ast.walk(tree(path)):
            if imported(node) & UNSAFE_MODULES:
                found.append((shown(path), node.lineno, "unsafe module"))
            if isinstance(node, ast.Call):
                name = ast.unparse(node.func)
                given = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
                if any(given.get(argument, "False") != "False" for argument in UNSAFE_ARGUMENTS):
                    found.append((shown(path), node.lineno, "unsafe argument"))
                if name == "torch.load" and given.get("weights_only") != "True":
                    found.append((shown(path), node.lineno, "torch.load"))
                if name in ("eval", "exec", "compile"):
                    found.append((shown(path), node.lineno, name))
    assert found == []


@pytest.mark.parametrize("module", BARE_BASE)
def test_the_ground_floor_needs_no_package(module):
    before, after = json.loads(
        python(
            "import json, sys\nbefore = list(sys.modules)\n"
            f"import savile.base.{module}\nprint(json.dumps([before, list(sys.modules)]))"
        )
    )
    assert third_party({name.partition(".")[0] for name in set(after) - set(before)}) == set()


def test_import_savile_is_quick_and_loads_no_package():
    code = (
        "import json, sys, time\nbefore, start = set(sys.modules), time.perf_counter()\nimport savile\n"
        "seconds = time.perf_counter() - start\n"
        "print(json.dumps([seconds, [name.partition('.')[0] for name in set(sys.modules) - before]]))"
    )
    runs = [json.loads(python(code)) for _ in range(3)]
    assert third_party(runs[0][1]) == set()
    assert min(seconds for seconds, _ in runs) < 0.2


def test_help_loads_nothing_heavy():
    code = (
        "import sys\nsys.argv = ['savile', '--help']\nfrom savile.cli import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
        "print('\\nLOADED', *sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    text, _, loaded = python(code).rpartition("\nLOADED ")
    assert "govern" in text
    assert set(loaded.split()) & (HEAVY - LIGHT_AT_THE_DOOR) == set()


def test_the_shell_command_answers():
    done = subprocess.run([Path(sys.executable).with_name("savile"), "--help"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "govern" in done.stdout


def test_no_room_imports_a_name_that_one_of_its_files_has():
    """A file that is loaded later, as plug-ins are, takes the place of what the package's own ``__init__`` calls so."""
    for init in sorted(PACKAGE.rglob("__init__.py")):
        package = ".".join(init.parent.relative_to(PACKAGE.parent).parts)
        files = {file.stem for file in init.parent.glob("*.py")}
        for node in ast.walk(ast.parse(init.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module != package:
                names = {alias.asname or alias.name for alias in node.names}
                own = {name for name in names & files if node.module != f"{package}.{name}"}
                assert not own, f"{init}: {own}"
