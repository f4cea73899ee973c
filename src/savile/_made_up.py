"""Made-up data for conformance checks: a base with random weights, and answers whose probabilities hold."""

from __future__ import annotations

import io
import struct
import wave
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from savile.base import catalogue
from savile.base.contracts import Predictions
from savile.base.outputs import Replies, Span, Tokens, spanned
from savile.base.records import Calibration

# loss -> what is right in six rows, and answers that are all wrong, in the form of the targets
GOLD: dict[str, tuple[np.ndarray, np.ndarray]] = {
    "cross_entropy": (np.array([0, 1, 2, 1, 0, 2]), np.array([1, 2, 0, 2, 1, 0])),
    "binary_cross_entropy": (
        np.tile(np.array([[1, 0, 0], [0, 1, 1]], dtype=np.float32), (3, 1)),
        np.tile([[False, True, True], [True, False, False]], (3, 1)),
    ),
    "token_cross_entropy": (
        spanned([[Span(0, 4, 0)], [], [Span(2, 5, 1), Span(6, 9, 0)]] * 2),
        spanned([[Span(0, 3, 0)], [Span(1, 2, 1)], [Span(2, 5, 0)]] * 2),
    ),
    "squared_error": (np.array([0.0, 1.0, 2.0, 1.0, 0.0, 2.0]), np.array([9.0, -9.0, 7.0, 5.0, 8.0, -6.0])),
    "contrastive": (
        np.array([[1.0, row, 10 + row] for row in range(6)]),
        np.concatenate([np.eye(6), np.roll(np.eye(6), 1, axis=0)], axis=1),
    ),
    "next_token": (
        np.array(["It is late.", "Yes", "退款"] * 2, dtype=np.dtypes.StringDType()),
        np.array(["", "no", "明天"] * 2, dtype=np.dtypes.StringDType()),
    ),
}
SAID = {"contrastive": np.tile(np.eye(6), 2)}  # loss -> answers that are all right, where they are of another form
CELLS = {  # loss -> three cells of a label column
    "cross_entropy": ["a", "b", "a"],
    "binary_cross_entropy": ["a|b", '["b"]', ""],
    "squared_error": ["1", "2.5", "-3"],
    "contrastive": ["1", "0.5", "0"],
    "token_cross_entropy": ['[{"start": 0, "end": 4, "label": "a"}]', '[[0, 2, "b"]]', ""],
    "next_token": ["It is on its way.", "", "yes"],
}
TEXTS = ("my card was stolen", "", "a", "退款什么时候到账？", "WHERE is my order?! " * 40, "line\nbreak\tand \x00 control")

CHAT = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


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


def tiny_decoder(folder: Path, texts: Sequence[str] = TEXTS) -> Path:
    """Write a two-layer causal language model with random weights and a chat template to a folder.

    Args:
        folder: an empty folder; transformers and Savile read it as a base.
        texts: what its byte-pair tokenizer is trained on; any text can be spelt with it.
    """
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    tokenizer.train_from_iterator(
        [*texts, "system user assistant"] * 2,
        trainers.BpeTrainer(vocab_size=400, special_tokens=special, initial_alphabet=alphabet, show_progress=False),
    )
    chat = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=special[2], pad_token=special[2])
    chat.chat_template = CHAT
    torch.manual_seed(0)
    shape = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2}
    config = LlamaConfig(
        vocab_size=tokenizer.get_vocab_size(), intermediate_size=64, tie_word_embeddings=True, eos_token_id=2, **shape
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    chat.save_pretrained(folder)
    return folder


def picture(pixels: np.ndarray) -> bytes:
    """Pixels, uint8 (height, width, 3) -> a PNG file."""
    height, width = pixels.shape[:2]
    lines = np.concatenate([np.zeros((height, 1), np.uint8), pixels.reshape(height, -1)], axis=1)
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = ((b"IHDR", head), (b"IDAT", zlib.compress(lines.tobytes())), (b"IEND", b""))
    said = (struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in parts)
    return b"\x89PNG\r\n\x1a\n" + b"".join(said)


def recording(samples: np.ndarray, rate: int = 16_000) -> bytes:
    """Samples in [-1, 1], (n,) -> a WAV file of 16 bits."""
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((np.clip(samples, -1, 1) * 32_767).astype("<i2").tobytes())
    return out.getvalue()


def simulated_predictions(rows: int = 400, labels: int = 4, seed: int = 0, task: str = "classify") -> Predictions:
    """Calibrated answers: what is right is drawn from the very probabilities that are answered, or lies around the number."""
    from savile.models._calibrate import decide

    rng = np.random.default_rng(seed)
    head = catalogue.get("tasks", task).head(labels)
    logits: Any = (rng.normal(size=(rows, head.outputs)) * 2.0).astype(np.float32)
    if head.loss == "token_cross_entropy":
        logits = _tokens(rng, rows, head.outputs)
    if head.loss == "contrastive":
        return _found(rng, rows)
    if head.loss == "next_token":
        return _said(rng, rows)
    outputs = decide(head, logits, Calibration(threshold=0.4, spread=1.645))
    draws = rng.random((rows, 1))
    if head.loss == "squared_error":
        gold: np.ndarray = outputs.choice + rng.normal(size=rows)
    elif head.loss == "token_cross_entropy":
        gold = spanned([[span for span in spans if rng.random() < span.probability] for spans in outputs.choice])
    elif head.loss == "binary_cross_entropy":
        gold = (rng.random(outputs.probabilities.shape) < outputs.probabilities).astype(np.float32)
    else:
        gold = (outputs.probabilities.cumsum(axis=1) > draws).argmax(axis=1)
    regions = {"region": [("north", "south")[i % 2] for i in range(rows)]}
    good = 0 if head.loss == "cross_entropy" else None
    queries = np.arange(rows) // 10 if getattr(catalogue.get("tasks", task), "RANKED", False) else None
    names = tuple(f"label {i}" for i in range(labels if head.loss == "token_cross_entropy" else head.outputs))
    return Predictions(gold, outputs, names, regions, ("region",), good, queries)


def small_loss(network: Any, ids: Any, mask: Any, targets: Any) -> Any:
    """The loss of a few rows; where a network makes vectors, each is drawn towards a place of its own; words have their own."""
    import torch

    from savile.models._contrastive import multiple_negatives
    from savile.models._head import row_loss

    if network.loss == "next_token":
        from savile.models import _answers

        given = ["yes please", "no", "not now", "later"]
        written = _answers.tokenised(network, [text for text in TEXTS if text][: len(given)], given)
        return _answers.mean_loss(network, written, np.arange(len(given)))
    answers = network(ids, mask)
    if network.loss != "contrastive":
        return row_loss(network.loss, answers, targets)
    places = torch.randn(answers.shape, generator=torch.Generator().manual_seed(0))
    return multiple_negatives(answers, torch.nn.functional.normalize(places, dim=-1), 0.5)


def _found(rng: np.random.Generator, rows: int, width: int = 16) -> Predictions:
    """Vectors of texts and of what belongs to them, not far apart; some rows are of texts that do not belong together."""
    from savile.models._calibrate import decide

    first = rng.normal(size=(rows, width))
    second = first + 0.6 * rng.normal(size=(rows, width))
    good = np.arange(rows) % 5 > 0
    second[~good] = rng.normal(size=((~good).sum(), width))
    unit = [side / np.linalg.norm(side, axis=1, keepdims=True) for side in (first, second)]
    gold = np.column_stack([good, np.arange(rows), rows + np.arange(rows)]).astype(np.float64)
    head = catalogue.get("tasks", "embed").head(1)
    outputs = decide(head, np.concatenate(unit, axis=1).astype(np.float32), Calibration())
    return Predictions(gold, outputs, ("similarity",), {"region": [("north", "south")[i % 2] for i in range(rows)]})


def _said(rng: np.random.Generator, rows: int) -> Predictions:
    """Answers of a few words, a third of which are as given, and of which every second one was written."""
    from savile.models._calibrate import decide

    words = np.array(["yes", "no", "card", "late", "order", "refund"])
    given = [" ".join(rng.choice(words, 4)) for _ in range(rows)]
    texts = [one if rng.random() < 0.3 else " ".join(rng.choice(words, 4)) for one in given]
    tokens = [[row % 7, 0] if row % 2 == 0 else [] for row in range(rows)]
    likely = np.column_stack([-rng.gamma(2.0, 2.0, rows), rng.integers(1, 9, rows)])
    replies = Replies.of(tokens, [text if row % 2 == 0 else "" for row, text in enumerate(texts)], likely)
    gold = np.array(given, dtype=np.dtypes.StringDType())
    return Predictions(gold, decide(catalogue.get("tasks", "answer").head(1), replies, Calibration()), ("answer",))


def _tokens(rng: np.random.Generator, rows: int, outputs: int, each: int = 6) -> Tokens:
    """Logits of texts of a few words of three letters."""
    places = np.tile(np.stack([np.arange(each) * 4, np.arange(each) * 4 + 3], axis=1), (rows, 1))
    flat = (rng.normal(size=(rows * each, outputs)) * 2.0).astype(np.float32)
    return Tokens(flat, np.arange(rows + 1) * each, places)
