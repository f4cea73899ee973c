"""Settings of LLaMA-Factory and axolotl become settings of a recipe; what has no counterpart is said line by line.

Both train language models to write answers. Savile learns labels from the same files where the answers are of few kinds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from savile.base import recipe as recipes
from savile.base.errors import InputError, SavileError

INFO = "dataset_info.json"
LLAMA_FACTORY, AXOLOTL = "LLaMA-Factory", "axolotl"
KEPT = "kept in $SAVILE_HOME"
OWN = "Savile settles this itself"
# key of the other tool -> key of the recipe, where the value means the same
SAME = {
    "lora_rank": "adapt.settings.rank",
    "lora_r": "adapt.settings.rank",
    "lora_alpha": "adapt.settings.alpha",
    "learning_rate": "adapt.settings.learning_rate",
    "num_train_epochs": "adapt.settings.epochs",
    "num_epochs": "adapt.settings.epochs",
    "max_steps": "adapt.settings.steps",
    "per_device_train_batch_size": "adapt.settings.batch_rows",
    "micro_batch_size": "adapt.settings.batch_rows",
    "gradient_accumulation_steps": "adapt.settings.accumulate",
    "warmup_ratio": "adapt.settings.warmup",
    "weight_decay": "adapt.settings.weight_decay",
    "max_grad_norm": "adapt.settings.clip",
    "label_smoothing_factor": "adapt.settings.label_smoothing",
    "seed": "adapt.seed",
}
SCHEDULES = {"cosine": "cosine", "linear": "linear", "constant": "constant", "constant_with_warmup": "constant"}
METHODS = {"lora": "lora", "qlora": "lora", "full": "full", "freeze": "full", "": "full", "none": "full"}
WHY = {
    **dict.fromkeys(
        ("output_dir", "logging_dir", "save_steps", "saves_per_epoch", "hub_model_id", "dataset_prepared_path"), KEPT
    ),
    **dict.fromkeys(("val_size", "val_set_size", "eval_strategy", "eval_steps", "evals_per_epoch"), "rows are divided by rule"),
    **dict.fromkeys(("template", "chat_template", "special_tokens"), "an encoder reads the text itself, without a template"),
    **dict.fromkeys(("bf16", "fp16", "tf32", "fp8", "flash_attention", "flash_attn", "gradient_checkpointing"), OWN),
    **dict.fromkeys(
        ("load_in_4bit", "load_in_8bit", "quantization_bit"), "bases small enough for a CPU are not loaded in bits"
    ),
    **dict.fromkeys(("deepspeed", "fsdp", "ddp_timeout", "fsdp_config"), "one machine trains; there is nothing to share out"),
}


@dataclass
class Import:
    """What another tool's file comes to.

    Attributes:
        tool: its name.
        source: the data file.
        settings: dotted keys of a recipe and their values.
        lines: one entry a key: where it stands, what it says, and what became of it.
    """

    tool: str
    source: Path = Path()
    settings: dict[str, Any] = field(default_factory=dict)
    lines: list[dict[str, Any]] = field(default_factory=list)


def read(path: Path) -> Import | None:
    """The import of a YAML file; None when it is of neither tool.

    Raises:
        InputError: the file asks for what cannot be done, or its data is not on this machine.
    """
    raw, places = recipes.foreign(path)
    if "base_model" in raw and "datasets" in raw:
        found, data = Import(AXOLOTL), _axolotl_data
    elif "model_name_or_path" in raw or ("dataset" in raw and {"stage", "finetuning_type", "dataset_dir"} & raw.keys()):
        found, data = Import(LLAMA_FACTORY), _factory_data
    else:
        return None
    _check_aim(raw, found.tool)
    told = data(raw, path, found)
    for key, value in raw.items():
        became = told.get(key) or _became(key, value, raw, found)
        found.lines.append({"line": places.get(key, 0), "key": key, "value": value, "became": became})
    return found


def sentence(line: Mapping[str, Any]) -> str:
    """One line of the import, in words."""
    value = line["value"] if isinstance(line["value"], str | int | float) else "…"
    return f"Line {line['line']}, {line['key']}: {value}: {line['became']}"


def _check_aim(raw: Mapping[str, Any], tool: str) -> None:
    """Only supervised fine-tuning has a counterpart."""
    aim = str(raw.get("rl") or raw.get("stage") or "sft")
    if aim not in ("sft", "None"):
        do = "Take the file of a supervised fine-tuning (sft), whose answers are of few kinds."
        raise InputError("supervised fine-tuning", f"{tool} with {aim}, which is not there yet", do)


def _became(key: str, value: Any, raw: Mapping[str, Any], found: Import) -> str:
    """Put the counterpart of one key into the settings; what became of it, in words."""
    if key in SAME and value is not None:
        return _put(found, SAME[key], value)
    special: dict[str, Callable[[Any, Import], str]] = {
        "finetuning_type": _method,
        "adapter": _method,
        "lora_target": _targets,
        "lora_target_modules": _targets,
        "lora_target_linear": lambda value, found: _targets("all" if value else [], found),
        "lr_scheduler_type": _schedule,
        "lr_scheduler": _schedule,
        "model_name_or_path": _base,
        "base_model": _base,
    }
    if key in special:
        return special[key](value, found)
    if key in ("stage", "do_train"):
        return "what Savile does"
    return f"left out: {WHY.get(key, 'nothing in a recipe means the same')}"


def _put(found: Import, key: str, value: Any) -> str:
    if isinstance(value, str):  # YAML reads 1e-4 as a word
        try:
            value = float(value)
        except ValueError:
            return f"left out: {value!r} is no value for {key}"
    found.settings[key] = value
    return f"{key}: {value}"


def _method(value: Any, found: Import) -> str:
    method = METHODS.get(str(value or "").lower())
    if method is None:
        return f"left out: no method {value!r}; auto chooses one"
    found.settings["adapt.method"] = method
    return f"adapt.method: {method}" + (" (all layers learn)" if value == "freeze" else "")


def _targets(value: Any, found: Import) -> str:
    names = value.replace(",", " ").split() if isinstance(value, str) else list(value or [])
    queries = {"q_proj", "v_proj", "q_lin", "v_lin", "query", "value"}
    chosen = "attention" if names and set(names) <= queries else "all"
    found.settings["adapt.settings.targets"] = chosen
    return f"adapt.settings.targets: {chosen}"


def _schedule(value: Any, found: Import) -> str:
    schedule = SCHEDULES.get(str(value))
    if schedule is None:
        return f"left out: no schedule {value!r}"
    found.settings["adapt.settings.schedule"] = schedule
    return f"adapt.settings.schedule: {schedule}"


def _base(value: Any, found: Import) -> str:
    """The base, where it is on this machine and an encoder; labels are not learnt by a decoder."""
    from savile.models._bases import locate

    try:
        kind = locate(str(value)).kind
    except SavileError:
        return "left out: it is not on this machine; the default base is taken, name another as model.base"
    if kind == "decoder":
        return "left out: it writes text, and labels are learnt by an encoder; the default base is taken"
    found.settings["model.base"] = str(value)
    return f"model.base: {value}"


def _factory_data(raw: Mapping[str, Any], path: Path, found: Import) -> dict[str, str]:
    """The data of a LLaMA-Factory file, by its dataset_info.json; what became of the keys about data."""
    folder = str(raw.get("dataset_dir") or "data")
    near = [path.parent / folder, Path.cwd() / folder, *(parent / folder for parent in path.absolute().parents)]
    home = next((place for place in near if (place / INFO).is_file()), None)
    if home is None:
        do = f"Put {INFO} into {path.absolute().parent / folder}, or name that folder as dataset_dir."
        raise InputError(f"the {INFO} of {path.name}", f"none in {folder}, here or above", do)
    info = recipes.document(home / INFO, INFO)
    names = _names(raw.get("dataset"))
    if not names:
        raise InputError("a data set", f"{path.name} without the key dataset", f"Name one of {INFO} there.")
    found.source = _factory_file(info, names[0], home, found)
    told = {"dataset": f"data.path: {found.source.name}", "dataset_dir": f"where {INFO} lies"}
    if len(names) > 1:
        told["dataset"] += f"; left out: {', '.join(names[1:])} (a recipe has one file, or one folder of files)"
    for test in _names(raw.get("eval_dataset"))[:1]:
        found.settings["data.test"] = str(_factory_file(info, test, home, None))
        told["eval_dataset"] = f"data.test: {Path(found.settings['data.test']).name}"
    return told


def _names(value: Any) -> list[str]:
    names = value.split(",") if isinstance(value, str) else list(value or [])
    return [str(name).strip() for name in names if str(name).strip()]


def _factory_file(info: Mapping[str, Any], name: str, home: Path, found: Import | None) -> Path:
    """The file of a data set; its columns become roles where they have names of their own."""
    if name not in info:
        do = f"Add it to {INFO}; there are: {', '.join(list(info)[:8])}."
        raise InputError(f"the data set {name!r} in {home / INFO}", "no such entry", do)
    entry = info[name]
    if entry.get("ranking") or (entry.get("columns") or {}).get("kto_tag"):
        received = f"{name!r} with preferences"
        raise InputError("answers to learn from", received, "Take a data set of plain answers; preferences come later.")
    if not entry.get("file_name"):
        do = f"Download it, and give its file as file_name in {INFO}."
        raise InputError(f"a file of the data set {name!r}", "one that lies on a hub", do)
    columns = entry.get("columns") or {}
    if found is not None and entry.get("formatting", "alpaca") == "alpaca":
        text, label = columns.get("query") or columns.get("prompt"), columns.get("response")
        if label not in (None, "output"):
            found.settings |= {"task.text": text, "task.label": label}
    return Path(home / str(entry["file_name"]))


def _axolotl_data(raw: Mapping[str, Any], path: Path, found: Import) -> dict[str, str]:
    """The data of an axolotl file."""
    sets = [one for one in raw.get("datasets") or [] if isinstance(one, dict)]
    if not sets:
        raise InputError("a data set", f"{path.name} with an empty list of datasets", "Add one with a path.")
    found.source = _axolotl_file(sets[0], path)
    kind = sets[0].get("type")
    if isinstance(kind, dict) and kind.get("field_output"):
        text = kind.get("field_input") or kind.get("field_instruction")
        found.settings |= {"task.text": text, "task.label": kind["field_output"]}
    told = {"datasets": f"data.path: {found.source.name}"}
    if len(sets) > 1:
        told["datasets"] += f"; left out: {len(sets) - 1} more (a recipe has one file, or one folder of files)"
    tests = [one for one in raw.get("test_datasets") or [] if isinstance(one, dict)]
    if tests:
        found.settings["data.test"] = str(_axolotl_file(tests[0], path))
        told["test_datasets"] = f"data.test: {Path(found.settings['data.test']).name}"
    return told


def _axolotl_file(entry: Mapping[str, Any], path: Path) -> Path:
    """The file of an entry: `data_files` where given, else `path`; as seen from the YAML file or the working folder."""
    files = entry.get("data_files")
    name = str((files[0] if isinstance(files, list) else files) or entry.get("path") or "")
    places = [path.parent / name, Path.cwd() / name, path.parent / str(entry.get("path", "")) / name]
    found = next((place for place in places if name and place.exists()), None)
    if found is None:
        raise InputError(f"the data of {path.name}", f"no file {name!r}", "Download it, and give its file as path.")
    return found
