"""Made-up data for conformance checks: a base with random weights, and answers whose probabilities hold."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from savile.base.contracts import Predictions
from savile.base.records import Outputs

TEXTS = ("my card was stolen", "", "a", "退款什么时候到账？", "WHERE is my order?! " * 40, "line\nbreak\tand \x00 control")


def tiny_encoder(folder: Path, texts: Sequence[str] = TEXTS) -> Path:
    """Write a three-layer encoder with random weights to a folder, for tests that need a base and no answers worth having.

    Args:
        folder: an empty folder; transformers and Savile read it as a base.
        texts: their words are the vocabulary.
    """
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertModel

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *sorted({word for text in texts for word in text.lower().split()})]
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    torch.manual_seed(0)
    shape = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 64}
    BertModel(BertConfig(vocab_size=len(words), max_position_embeddings=64, **shape)).save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


def simulated_predictions(rows: int = 400, labels: int = 4, seed: int = 0) -> Predictions:
    """Calibrated answers: each gold label is drawn from the very probabilities that are answered."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(rows, labels)) * 2.0
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    gold = (probabilities.cumsum(axis=1) > rng.random((rows, 1))).argmax(axis=1)
    confidence = probabilities.max(axis=1)
    outputs = Outputs(logits.astype(np.float32), probabilities, probabilities.argmax(axis=1), confidence, confidence < 0.4)
    regions = {"region": [("north", "south")[i % 2] for i in range(rows)]}
    return Predictions(gold, outputs, tuple(f"label {i}" for i in range(labels)), regions)
