"""What people trained elsewhere becomes a recipe, and what does not is said line by line."""

import json

import pytest

from savile import init
from savile.base import recipe as recipes
from savile.base.errors import InputError
from savile.base.events import listening
from savile.cli import main

FACTORY = """\
### model
model_name_or_path: meta-llama/Meta-Llama-3-8B-Instruct
stage: sft
do_train: true
finetuning_type: lora
lora_rank: 16
lora_target: q_proj,v_proj
dataset: queues
dataset_dir: data
template: llama3
cutoff_len: 2048
output_dir: saves/llama3
per_device_train_batch_size: 8
gradient_accumulation_steps: 4
learning_rate: 1.0e-4
num_train_epochs: 3.0
lr_scheduler_type: cosine
bf16: true
"""
AXOLOTL = """\
base_model: minilm
load_in_4bit: true
datasets:
  - path: data/queues.json
    type: alpaca
val_set_size: 0.05
adapter: qlora
lora_r: 32
lora_alpha: 64
micro_batch_size: 2
num_epochs: 4
learning_rate: 0.0002
seed: 7
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "data").mkdir()
    texts = [
        f"please {what} number {i * 37} of {who}" for i in range(20) for what in ("cancel", "find") for who in ("mine", "ours")
    ]
    rows = [
        {"instruction": "Which queue?", "input": text, "output": "cancel" if "cancel" in text else "status"} for text in texts
    ]
    (tmp_path / "data" / "queues.json").write_text(json.dumps(rows), encoding="utf-8")
    info = {
        "queues": {"file_name": "queues.json"},
        "pairs": {"file_name": "queues.json", "ranking": True},
        "hub": {"hf_hub_url": "x/y"},
    }
    (tmp_path / "data" / "dataset_info.json").write_text(json.dumps(info), encoding="utf-8")
    return tmp_path


def write(folder, text, name="train.yaml"):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_llama_factory(folder):
    said = []
    with listening(said.append):
        made = init(write(folder, FACTORY))
    recipe = recipes.load(made["recipe"])
    assert recipe.adapt.method == "lora"
    assert recipe.adapt.settings == {
        **{"rank": 16, "targets": "attention", "batch_rows": 8, "accumulate": 4},
        **{"learning_rate": 1e-4, "epochs": 3.0, "schedule": "cosine"},
    }
    assert recipe.model.base == recipes.make().model.base
    assert (recipe.task.kind, recipe.task.text, recipe.task.label) == ("classify", "prompt", "output")
    assert recipe.data.path == str(folder / "data" / "queues.json")
    told = [event.facts["text"] for event in said if event.facts.get("text", "").startswith("Line")]
    assert len(told) == len(made["imported"]) == len(FACTORY.splitlines()) - 1
    assert "Line 6, lora_rank: 16: adapt.settings.rank: 16" in told
    assert any("Line 2, model_name_or_path" in line and "not on this machine" in line for line in told)
    assert any("Line 11, cutoff_len" in line and "left out" in line for line in told)


def test_axolotl(folder):
    made = init(write(folder, AXOLOTL))
    recipe = recipes.load(made["recipe"])
    assert recipe.adapt.seed == 7
    assert recipe.adapt.settings == {"rank": 32, "alpha": 64, "batch_rows": 2, "epochs": 4, "learning_rate": 0.0002}
    assert {line["key"] for line in made["imported"] if "left out" in line["became"]} == {"load_in_4bit", "val_set_size"}


def test_a_dry_run_writes_nothing_and_the_shell_says_the_same(folder, capsys):
    before = sorted(folder.rglob("*"))
    path = str(write(folder, AXOLOTL))
    assert main(["init", path, "--dry-run", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["imported"][0] == {"line": 1, "key": "base_model", "value": "minilm", "became": "model.base: minilm"}
    assert sorted(folder.rglob("*")) == sorted([*before, folder / "train.yaml"])


def test_options_given_win(folder):
    made = init(write(folder, AXOLOTL), settings={"adapt.settings.rank": 4})
    assert recipes.load(made["recipe"]).adapt.settings["rank"] == 4


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (FACTORY.replace("stage: sft", "stage: dpo"), "dpo, which is not there yet"),
        (FACTORY.replace("dataset: queues", "dataset: pairs"), "preferences"),
        (FACTORY.replace("dataset: queues", "dataset: hub"), "on a hub"),
        (FACTORY.replace("dataset: queues", "dataset: other"), "no such entry"),
        (FACTORY.replace("dataset_dir: data", "dataset_dir: nowhere"), "dataset_info.json"),
        (AXOLOTL.replace("data/queues.json", "tatsu-lab/alpaca"), "no file 'tatsu-lab/alpaca'"),
    ],
)
def test_what_cannot_be_done_is_said(folder, text, said):
    with pytest.raises(InputError, match=said):
        init(write(folder, text))
    assert not list(folder.rglob("*.savile.yaml"))


def test_columns_with_names_of_their_own(folder):
    rows = json.loads((folder / "data" / "queues.json").read_text())
    renamed = [{"q": row["input"], "a": row["output"]} for row in rows]
    (folder / "data" / "queues.json").write_text(json.dumps(renamed), encoding="utf-8")
    info = {"queues": {"file_name": "queues.json", "columns": {"prompt": "q", "response": "a"}}}
    (folder / "data" / "dataset_info.json").write_text(json.dumps(info), encoding="utf-8")
    assert init(write(folder, FACTORY), settings={})["roles"] == {"text": "q", "label": "a"}
