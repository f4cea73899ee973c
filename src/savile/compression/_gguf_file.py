"""Writing a Llama-like language model as GGUF, which llama.cpp, OpenVINO GenAI and transformers read."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from savile.base.errors import InputError

# names in a transformers Llama -> names in GGUF
IN_LAYER = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
OUTSIDE = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}
BLOCK = 32  # values of a row that share a scale in eight bits
NORMAL, CONTROL = 1, 3  # kinds of tokens


def write(path: Path, trunk: Any, folder: Path, precision: str) -> None:
    """Write a language model.

    Args:
        path: the file to write.
        trunk: a transformers Llama, adapters merged, float32.
        folder: files of its base in the Hugging Face layout; the tokenizer comes from them.
        precision: of matrices, ``f16`` or ``q8`` (eight bits, a scale for 32 values); norms stay in float32.

    Raises:
        InputError: the model is not built like Llama, or its tokenizer is no byte-level BPE.
    """
    import gguf

    config = trunk.config
    if config.model_type != "llama" or getattr(config, "attention_bias", False) or getattr(config, "mlp_bias", False):
        raise InputError("a language model built like Llama, without biases", config.model_type, "Export it as merged-fp32.")
    writer = gguf.GGUFWriter(path, "llama")
    _shape(writer, config)
    _words(writer, folder, config)
    kind = gguf.GGMLQuantizationType.F16 if precision == "f16" else gguf.GGMLQuantizationType.Q8_0
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16 if precision == "f16" else gguf.LlamaFileType.MOSTLY_Q8_0)
    for name, values in _tensors(trunk.state_dict(), config):
        if values.ndim == 1 or values.shape[-1] % BLOCK:
            writer.add_tensor(name, values)
        else:
            writer.add_tensor(name, gguf.quants.quantize(values, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _shape(writer: Any, config: Any) -> None:
    head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    writer.add_name(str(getattr(config, "_name_or_path", "") or "savile"))
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_dimension_count(head)
    writer.add_rope_freq_base(float((config.rope_parameters or {}).get("rope_theta", 10_000.0)))
    writer.add_vocab_size(config.vocab_size)


def _words(writer: Any, folder: Path, config: Any) -> None:
    """The tokenizer, as GGUF wants it told: tokens, merges, which tokens are special, and the chat template."""
    from transformers import AutoTokenizer

    said = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    if said["model"].get("type") != "BPE" or "ByteLevel" not in json.dumps([said.get("pre_tokenizer"), said.get("decoder")]):
        raise InputError("a tokenizer of byte-level BPE", str(said["model"].get("type")), "Export it as merged-fp32.")
    chat = AutoTokenizer.from_pretrained(folder)
    special = {token["content"] for token in said.get("added_tokens", []) if token.get("special")}
    known: Mapping[str, int] = {**said["model"]["vocab"], **{one["content"]: one["id"] for one in said.get("added_tokens", [])}}
    tokens = [f"<unused{i}>" for i in range(config.vocab_size)]
    for token, i in known.items():
        tokens[i] = token
    merges = [one if isinstance(one, str) else " ".join(one) for one in said["model"]["merges"]]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm" if "Digits" in json.dumps(said.get("pre_tokenizer")) else "gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types([CONTROL if token in special else NORMAL for token in tokens])
    writer.add_token_merges(merges)
    for add, token in (
        (writer.add_bos_token_id, chat.bos_token_id),
        (writer.add_eos_token_id, chat.eos_token_id),
        (writer.add_unk_token_id, chat.unk_token_id),
        (writer.add_pad_token_id, chat.pad_token_id),
    ):
        if token is not None:
            add(token)
    writer.add_add_bos_token(False)
    if isinstance(chat.chat_template, str):
        writer.add_chat_template(chat.chat_template)


def _tensors(state: Mapping[str, Any], config: Any) -> Iterator[tuple[str, np.ndarray]]:
    """Tensors under their GGUF names; rows of queries and keys in the order its rotary embedding pairs them."""
    tied = config.tie_word_embeddings
    for name, tensor in state.items():
        module, _, kind = name.rpartition(".")
        values = tensor.detach().float().numpy()
        if module in OUTSIDE:
            if not (tied and module == "lm_head"):
                yield f"{OUTSIDE[module]}.{kind}", values
            continue
        _, _, depth, inner = module.split(".", 3)
        heads = {"self_attn.q_proj": config.num_attention_heads, "self_attn.k_proj": config.num_key_value_heads}.get(inner)
        yield f"blk.{depth}.{IN_LAYER[inner]}.{kind}", values if heads is None else _interleaved(values, heads)


def _interleaved(values: np.ndarray, heads: int) -> np.ndarray:
    """Rows of each head from halves, (first half, second half), to pairs."""
    rows, columns = values.shape
    pairs = values.reshape(heads, 2, rows // heads // 2, columns).swapaxes(1, 2)
    return np.ascontiguousarray(pairs.reshape(rows, columns))
