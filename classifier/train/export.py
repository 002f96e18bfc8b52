"""Writes an exit of the encoder as an int8 ONNX model, and reports on it."""

import json
import pathlib
import random
import time

import numpy
import onnx
import onnxruntime
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from torch import nn

import encoder
from data import LABELS, Text, batches

BINS = 15  # of the expected calibration error


class Family(nn.Module):
    """The encoder up to its deepest exit, each exit's logits divided by a
    temperature of its own. The deepest exit comes first."""

    def __init__(self, model: encoder.Encoder, temperatures: dict[int, float]):
        super().__init__()
        self.model, self.temperatures = model, temperatures

    def forward(self, input_ids, attention_mask):
        found = self.model(input_ids, attention_mask)
        out = []
        for exit in sorted(self.temperatures, reverse=True):
            logits, vectors = found[exit]
            out += [logits / self.temperatures[exit], vectors]
        return tuple(out)


def write(model: encoder.Encoder, base: pathlib.Path, parts: dict[str, list[Text]], family: list[int], out: pathlib.Path):
    """Writes a folder layers-N for every exit N, a folder builtin whose model
    has the exits of family, and report.json. A folder has model.onnx,
    model_quantized.onnx (int8 by channel), config.json and tokenizer.json."""
    model.eval()
    report = {}
    temperatures = {}
    for exit in [int(n) for n in model.exits]:
        logits = {name: run_float(model, exit, texts) for name, texts in parts.items()}
        temperatures[exit] = calibrate([logits["exam val"], logits["chat val"]])
        folder = out / f"layers-{exit}"
        report[exit] = {"temperature": round(temperatures[exit], 4), "MB": export(model, {exit: temperatures[exit]}, base, folder)}
        report[exit]["float"] = {name: measure(probabilities(l, temperatures[exit]), y) for name, (l, y) in logits.items()}
        session = open_session(folder / "model_quantized.onnx")
        report[exit]["ms at 128 tokens"] = latency(session, 128)
        report[exit]["int8"] = {name: measure(*run_int8(session, texts)) for name, texts in parts.items()}
        print(exit, json.dumps(report[exit]), flush=True)
    report["builtin"] = {"exits": family, "MB": export(model, {n: temperatures[n] for n in family}, base, out / "builtin")}
    (out / "report.json").write_text(json.dumps(report, indent=1) + "\n")


def export(model: encoder.Encoder, temperatures: dict[int, float], base: pathlib.Path, folder: pathlib.Path) -> float:
    """Writes a model with these exits; returns the MB of its int8 file."""
    folder.mkdir(exist_ok=True)
    float_file, int8_file = folder / "model.onnx", folder / "model_quantized.onnx"
    exits = sorted(temperatures, reverse=True)
    save(Family(prune(model, sorted(exits)), temperatures), exits, float_file)
    quantize_dynamic(float_file, int8_file, per_channel=True, weight_type=QuantType.QInt8)
    config = json.loads((base / "config.json").read_text())
    config |= {"num_hidden_layers": exits[0], "id2label": dict(enumerate(LABELS)), "label2id": {l: i for i, l in enumerate(LABELS)}}
    config["architectures"] = ["BertForSequenceClassification"]
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    tokenizer = json.loads((base / "tokenizer.json").read_text(encoding="utf-8"))
    tokenizer["truncation"] = tokenizer["padding"] = None  # the reader's business
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer, ensure_ascii=False), encoding="utf-8")
    return round(int8_file.stat().st_size / 1e6, 2)


def prune(model: encoder.Encoder, exits: list[int]) -> encoder.Encoder:
    """A copy with these exits, without what lies behind the deepest."""
    config = {
        "hidden_size": model.token.embedding_dim,
        "vocab_size": model.token.num_embeddings,
        "max_position_embeddings": model.position.num_embeddings,
        "num_attention_heads": model.layers[0].heads,
        "intermediate_size": model.layers[0].up.out_features,
    }
    copy = encoder.Encoder(config, len(LABELS), exits)
    copy.load_state_dict(model.state_dict(), strict=False)
    return copy.eval()


def run_float(model: encoder.Encoder, exit: int, texts: list[Text]) -> tuple[torch.Tensor, numpy.ndarray]:
    """Logits [texts, categories] and labels [texts], in batches."""
    logits, labels = [], []
    with torch.no_grad():
        for batch in batches(texts, 4096, random.Random(0)):
            ids, mask = pad(batch)
            logits.append(model(torch.from_numpy(ids), torch.from_numpy(mask))[exit][0])
            labels += [t.label for t in batch]
    return torch.cat(logits), numpy.array(labels)


def calibrate(parts: list[tuple[torch.Tensor, numpy.ndarray]]) -> float:
    """The temperature with the least sum of the parts' mean cross-entropies."""
    grid = [0.4 * 1.02**i for i in range(120)]
    loss = lambda t: sum(nn.functional.cross_entropy(l / t, torch.from_numpy(y)).item() for l, y in parts)
    return min(grid, key=loss)


def probabilities(logits: torch.Tensor, temperature: float) -> numpy.ndarray:
    return (logits / temperature).softmax(-1).numpy()


def save(family: Family, exits: list[int], file: pathlib.Path):
    """The deepest exit's outputs are logits and sentence_embedding; the others
    end in @ and their number of layers."""
    sample = (torch.ones(2, 16, dtype=torch.int64), torch.ones(2, 16, dtype=torch.int64))
    names = [name + suffix for suffix in ["", *(f"@{n}" for n in exits[1:])] for name in ("logits", "sentence_embedding")]
    axes = {name: {0: "batch"} for name in names} | {name: {0: "batch", 1: "tokens"} for name in ("input_ids", "attention_mask")}
    torch.onnx.export(
        family, sample, str(file), dynamo=False, opset_version=17,
        input_names=["input_ids", "attention_mask"], output_names=names, dynamic_axes=axes,
    )
    onnx.checker.check_model(str(file))


def open_session(file: pathlib.Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])


def pad(batch: list[Text]) -> tuple[numpy.ndarray, numpy.ndarray]:
    longest = max(len(t.ids) for t in batch)
    ids = numpy.zeros((len(batch), longest), numpy.int64)
    mask = numpy.zeros_like(ids)
    for row, text in enumerate(batch):
        ids[row, : len(text.ids)] = text.ids
        mask[row, : len(text.ids)] = 1
    return ids, mask


def run_int8(session, texts: list[Text]) -> tuple[numpy.ndarray, numpy.ndarray]:
    """Probabilities [texts, categories] and labels [texts], one text at a time
    as the router runs them: a batch would share the scale of the activations."""
    rows = []
    for text in texts:
        ids, mask = pad([text])
        logits = session.run(["logits"], {"input_ids": ids, "attention_mask": mask})[0]
        rows.append(torch.from_numpy(logits)[0].softmax(-1).numpy())
    return numpy.array(rows), numpy.array([t.label for t in texts])


def measure(p: numpy.ndarray, labels: numpy.ndarray) -> dict:
    """Accuracy and expected calibration error (Naeini et al. 2015)."""
    right, sure = p.argmax(1) == labels, p.max(1)
    bins = numpy.minimum((sure * BINS).astype(int), BINS - 1)
    ece = sum(abs(right[bins == b].mean() - sure[bins == b].mean()) * (bins == b).mean() for b in range(BINS) if (bins == b).any())
    return {"texts": len(labels), "accuracy": round(float(right.mean()), 4), "ece": round(float(ece), 4)}


def latency(session, tokens: int) -> float:
    """Median milliseconds of a run, of 200."""
    ids = numpy.full((1, tokens), 2054, numpy.int64)
    mask = numpy.ones_like(ids)
    took = []
    for _ in range(200):
        start = time.perf_counter()
        session.run(None, {"input_ids": ids, "attention_mask": mask})
        took.append(time.perf_counter() - start)
    return round(1000 * sorted(took)[len(took) // 2], 2)
