"""Labelled texts for the category models, as token ids."""

import dataclasses
import json
import pathlib
import random

from tokenizers import Tokenizer

LABELS = [
    "biology", "business", "chemistry", "computer science", "economics", "engineering", "health",
    "history", "law", "math", "other", "philosophy", "physics", "psychology",
]


@dataclasses.dataclass
class Text:
    ids: list[int]
    label: int
    source: str  # exam, chat or words


class Reader:
    """Reads files of one JSON object a line, with text and label."""

    def __init__(self, tokenizer: pathlib.Path, max_tokens: int):
        self.tokenizer = Tokenizer.from_file(str(tokenizer))
        self.tokenizer.no_truncation()
        self.tokenizer.no_padding()
        self.max_tokens = max_tokens

    def encode(self, text: str, label: str, source: str) -> Text:
        return Text(self.cut(self.tokenizer.encode(text).ids), LABELS.index(label), source)

    def cut(self, ids: list[int]) -> list[int]:
        """Keeps three quarters from the head and one from the tail of a text
        that is too long, as the router does (tokenizer.EncodeEnds)."""
        if len(ids) <= self.max_tokens:
            return ids
        room = self.max_tokens - 2
        return ids[: 1 + room - room // 4] + ids[-1 - room // 4 :]

    def read(self, path: pathlib.Path, source: str) -> list[Text]:
        lines = path.read_text(encoding="utf-8").split("\n")
        objects = [json.loads(line) for line in lines if line]
        return [self.encode(o["text"], o["label"], source) for o in objects]

    def words(self, path: pathlib.Path, rng: random.Random) -> list[Text]:
        """Makes texts of a vocabulary: each line is a language, a label and
        words with commas between. Every word comes once alone and twice in a
        shuffled group of two to five of its line."""
        texts = []
        for line in path.read_text(encoding="utf-8").split("\n")[:-1]:
            _, label, joined = line.split("\t")
            words = [w.strip() for w in joined.split(",")]
            texts += [self.encode(w, label, "words") for w in words]
            for _ in range(2):
                rng.shuffle(words)
                start = 0
                while start < len(words):
                    size = rng.randint(2, 5)
                    texts.append(self.encode(" ".join(words[start : start + size]), label, "words"))
                    start += size
        return texts


def batches(texts: list[Text], tokens: int, rng: random.Random) -> list[list[Text]]:
    """Shuffles texts into batches of like lengths, each of at most so many
    tokens with its padding."""
    order = sorted(texts, key=lambda t: (len(t.ids) + rng.uniform(0, 4), rng.random()))
    out, batch = [], []
    for text in order:
        if batch and (len(batch) + 1) * len(text.ids) > tokens:
            out.append(batch)
            batch = []
        batch.append(text)
    out.append(batch)
    rng.shuffle(out)
    return out
