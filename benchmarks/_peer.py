"""The peer of `spine_serve`: what one writes first, an endpoint around a transformers pipeline, with the weights that serve.

SAVILE_HOME=… python _peer.py THREADS PORT
"""

import os
import sys
from pathlib import Path
from typing import Any

import torch
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel
from transformers import AutoModel, BertPreTrainedModel, PreTrainedTokenizerFast, TextClassificationPipeline
from transformers.modeling_outputs import SequenceClassifierOutput
from transformers.utils import logging

from savile.base import catalogue
from savile.base.store import Store


class Question(BaseModel):
    text: str


class Classifier(BertPreTrainedModel):
    """The tuned encoder, with the attention transformers chooses, under its head."""

    def __init__(self, trunk: torch.nn.Module, network: Any) -> None:
        super().__init__(trunk.config)
        self.trunk, self.head, self.pool = trunk, network.head, network.pool

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor, **_: Any) -> SequenceClassifierOutput:
        hidden = self.trunk(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        return SequenceClassifierOutput(logits=self.head(self.pool(hidden, attention_mask)))


def pipeline() -> TextClassificationPipeline:
    """A text-classification pipeline in fp32."""
    store = Store.open()
    model = store.load(store.load((Path(os.environ["SAVILE_HOME"]) / "release").read_text()).model)
    network = catalogue.get("families", model.family).load(model, "torch")
    catalogue.get("methods", network.method).merge(network)
    trunk = AutoModel.from_pretrained(network.base.folder, dtype=torch.float32)
    trunk.load_state_dict(network.trunk.state_dict())
    trunk.config.id2label = dict(enumerate(model.labels))
    trunk.config.label2id = {label: number for number, label in enumerate(model.labels)}
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(model.forms["torch"]["tokenizer.json"]), pad_token="[PAD]")
    return TextClassificationPipeline(model=Classifier(trunk, network).eval(), tokenizer=tokenizer)


def main() -> None:
    threads, port = map(int, sys.argv[1:])
    logging.set_verbosity_error()  # the pipeline lists every class it knows when it meets another
    torch.set_num_threads(threads)
    answer, api = pipeline(), FastAPI()

    @api.post("/classify")
    def classify(question: Question) -> dict[str, Any]:  # a plain function: FastAPI runs it in its thread pool
        return dict(answer(question.text)[0])

    uvicorn.run(api, port=port, log_level="error")


if __name__ == "__main__":
    main()
