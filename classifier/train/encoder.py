"""A BERT encoder with an exit after some of its layers, for prompt categories.

One run trains a family of models: each exit is a classifier of its own, so the
encoder cut after layer n is a model of n layers that shares its weights with
the deeper ones. Shapes: B texts, T tokens, H hidden units, C categories.
"""

import json
import math
import pathlib

import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional as F


class Layer(nn.Module):
    """A transformer layer as in BERT: attention, then feed-forward, each with
    a residual and a layer norm behind it."""

    def __init__(self, hidden: int, heads: int, inner: int):
        super().__init__()
        self.heads = heads
        self.qkv = nn.ModuleList(nn.Linear(hidden, hidden) for _ in range(3))
        self.out = nn.Linear(hidden, hidden)
        self.norm1 = nn.LayerNorm(hidden, eps=1e-12)
        self.up = nn.Linear(hidden, inner)
        self.down = nn.Linear(inner, hidden)
        self.norm2 = nn.LayerNorm(hidden, eps=1e-12)
        self.drop = nn.Dropout(0.1)

    def forward(self, x, mask):
        b, t, h = x.shape
        q, k, v = (f(x).view(b, t, self.heads, h // self.heads).transpose(1, 2) for f in self.qkv)
        scores = q @ k.transpose(2, 3) / math.sqrt(h // self.heads) + mask
        a = (scores.softmax(-1) @ v).transpose(1, 2).reshape(b, t, h)
        x = self.norm1(x + self.drop(self.out(a)))
        return self.norm2(x + self.drop(self.down(F.gelu(self.up(x)))))


class Exit(nn.Module):
    """Category logits and a sentence embedding from the mean over the tokens."""

    def __init__(self, hidden: int, categories: int):
        super().__init__()
        self.dense = nn.Linear(hidden, hidden)
        self.drop = nn.Dropout(0.1)
        self.category = nn.Linear(hidden, categories)
        self.embed = nn.Linear(hidden, hidden)
        nn.init.eye_(self.embed.weight)
        nn.init.zeros_(self.embed.bias)

    def forward(self, x, mask):
        weight = mask.unsqueeze(-1).to(x.dtype)
        mean = (x * weight).sum(1) / weight.sum(1)
        logits = self.category(self.drop(F.gelu(self.dense(mean))))
        return logits, F.normalize(self.embed(mean), dim=-1)


class Encoder(nn.Module):
    """The encoder with its exits; exits are numbers of layers, ascending."""

    def __init__(self, config: dict, categories: int, exits: list[int]):
        super().__init__()
        h = config["hidden_size"]
        self.token = nn.Embedding(config["vocab_size"], h)
        self.position = nn.Embedding(config["max_position_embeddings"], h)
        self.kind = nn.Parameter(torch.zeros(h))
        self.norm = nn.LayerNorm(h, eps=1e-12)
        self.drop = nn.Dropout(0.1)
        self.layers = nn.ModuleList(
            Layer(h, config["num_attention_heads"], config["intermediate_size"]) for _ in range(exits[-1])
        )
        self.exits = nn.ModuleDict({str(n): Exit(h, categories) for n in exits})

    def forward(self, input_ids, attention_mask):
        """Returns {number of layers: (logits [B, C], embeddings [B, H] of length 1)}."""
        mask = torch.where(attention_mask[:, None, None, :] > 0, 0.0, -10000.0)
        x = self.token(input_ids) + self.position.weight[: input_ids.shape[1]] + self.kind
        x = self.drop(self.norm(x))
        found = {}
        for n, layer in enumerate(self.layers, start=1):
            x = layer(x, mask)
            if str(n) in self.exits:
                found[n] = self.exits[str(n)](x, attention_mask)
        return found


def from_pretrained(directory: pathlib.Path, categories: int, exits: list[int]) -> Encoder:
    """Loads the weights of a Hugging Face BertModel into an Encoder's layers."""
    config = json.loads((directory / "config.json").read_text())
    encoder = Encoder(config, categories, exits)
    weights = load_file(directory / "model.safetensors")
    weights = {name.removeprefix("bert."): w for name, w in weights.items()}
    names = {
        "token.weight": "embeddings.word_embeddings.weight",
        "position.weight": "embeddings.position_embeddings.weight",
        "norm.weight": "embeddings.LayerNorm.weight",
        "norm.bias": "embeddings.LayerNorm.bias",
    }
    parts = {
        "qkv.0": "attention.self.query", "qkv.1": "attention.self.key", "qkv.2": "attention.self.value",
        "out": "attention.output.dense", "norm1": "attention.output.LayerNorm",
        "up": "intermediate.dense", "down": "output.dense", "norm2": "output.LayerNorm",
    }
    for n in range(len(encoder.layers)):
        for ours, theirs in parts.items():
            for kind in ("weight", "bias"):
                names[f"layers.{n}.{ours}.{kind}"] = f"encoder.layer.{n}.{theirs}.{kind}"
    state = {ours: weights[theirs] for ours, theirs in names.items()}
    state["kind"] = weights["embeddings.token_type_embeddings.weight"][0]
    missing, unexpected = encoder.load_state_dict(state, strict=False)
    left = [name for name in missing if not name.startswith("exits.")]
    if left or unexpected:
        raise ValueError(f"{directory}: not the weights of a BertModel: {left or unexpected}")
    return encoder
