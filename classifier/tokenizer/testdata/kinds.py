"""Makes small tokenizers of every kind and what they make of texts.

    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install tokenizers==0.23.3 sentencepiece==0.2.3
    /tmp/venv/bin/python kinds.py

The models are trained on texts.jsonl, which fixtures.py makes; around them
stand the same parts as in the tokenizers that they are named after. Training
breaks ties by chance, so another run makes other, equally good files.
kinds/NAME.json is a tokenizer.json; kinds/texts.jsonl has the texts, or their
bytes in hex where they are no UTF-8; kinds/NAME.ids has a line for each text:
how many tokens, the CRC-32 of their ids (4 bytes each, little-endian), and the
first few ids.
"""

import collections
import io
import json
import pathlib
import random
import struct
import unicodedata
import zlib

import sentencepiece
import tokenizers
from sentencepiece import sentencepiece_model_pb2
from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

assert tokenizers.__version__ == "0.23.3", tokenizers.__version__
here = pathlib.Path(__file__).parent
out = here / "kinds"
out.mkdir(exist_ok=True)
rng = random.Random(2)

known = list(dict.fromkeys(json.loads(line)["text"] for line in (here / "texts.jsonl").open(encoding="utf-8")))
corpus = [text for text in known if len(text) < 300] * 2

GPT2 = r"""'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"""
LLAMA3 = r"""(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"""
QWEN2 = LLAMA3.replace("{1,3}", "")
BYTES = pre_tokenizers.ByteLevel.alphabet()
special = lambda *names: [AddedToken(n, special=True, normalized=False) for n in names]


def byte_level(pre, size=1500, normalizer=None, **model):
    t = Tokenizer(models.BPE(**model))
    t.pre_tokenizer = pre
    if normalizer:
        t.normalizer = normalizer
    t.train_from_iterator(corpus, trainers.BpeTrainer(vocab_size=size, initial_alphabet=BYTES, show_progress=False, special_tokens=special("<s>", "</s>", "<pad>")))
    return t


def template(t, first, last=None):
    names = [n for n in (first, last) if n]
    t.post_processor = processors.TemplateProcessing(single=f"{first} $A" + (f" {last}" if last else ""), special_tokens=[(n, t.token_to_id(n)) for n in names])


def modernbert():
    t = byte_level(pre_tokenizers.ByteLevel(add_prefix_space=False), normalizer=normalizers.NFC())
    t.add_special_tokens([AddedToken("[MASK]", lstrip=True, normalized=False, special=True)] + special("[CLS]", "[SEP]", "[PAD]"))
    t.add_tokens([AddedToken(" " * n, normalized=True) for n in range(2, 12)] + [AddedToken("|||IP_ADDRESS|||", normalized=False), AddedToken("café", normalized=True), AddedToken("e\u0301é", normalized=True)])
    template(t, "[CLS]", "[SEP]")
    return t


def roberta():
    t = byte_level(pre_tokenizers.ByteLevel(add_prefix_space=True))
    t.add_special_tokens([AddedToken("<mask>", lstrip=True, rstrip=True, normalized=False, special=True)])
    t.add_tokens([AddedToken("the", single_word=True, normalized=True), AddedToken("of", single_word=True, normalized=False, lstrip=True)])
    t.post_processor = processors.RobertaProcessing(("</s>", t.token_to_id("</s>")), ("<s>", t.token_to_id("<s>")))
    return t


def llama3():
    def pre(p):
        return pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(p), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])

    t = byte_level(pre(LLAMA3), ignore_merges=True)
    # Tokens that no merge makes, which ignore_merges is for.
    raw = json.loads(t.to_str())
    for word in ("Ġderivative", "ĠNapoleon", "SELECT"):
        raw["model"]["vocab"].setdefault(word, len(raw["model"]["vocab"]))
    t = Tokenizer.from_str(json.dumps(raw))
    t.add_special_tokens(special("<|begin_of_text|>", "<|eot_id|>"))
    inner = processors.TemplateProcessing(single="<|begin_of_text|> $A", special_tokens=[("<|begin_of_text|>", t.token_to_id("<|begin_of_text|>"))])
    t.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=False), inner])
    return t


def qwen2():
    t = byte_level(pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(QWEN2), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]), normalizer=normalizers.NFC())
    t.add_special_tokens(special("<|im_start|>", "<|im_end|>"))
    t.post_processor = processors.ByteLevel(trim_offsets=False)
    return t


def spm_bpe(size=1600):
    """A BPE model over runes, with byte fallback and runs of spaces and line ends."""
    t = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    t.normalizer = normalizers.Replace(" ", "▁")
    t.pre_tokenizer = pre_tokenizers.Split("▁", "merged_with_next")
    bytes_ = [f"<0x{b:02X}>" for b in range(256)]
    t.train_from_iterator(corpus, trainers.BpeTrainer(vocab_size=size, limit_alphabet=250, show_progress=False, special_tokens=["<pad>", "<eos>", "<bos>", "<unk>", *bytes_]))
    raw = json.loads(t.to_str())
    raw["added_tokens"] = [a for a in raw["added_tokens"] if a["id"] < 4]
    vocab, merges = raw["model"]["vocab"], raw["model"]["merges"]
    for left, right in [("▁", "▁"), ("▁▁", "▁▁"), ("\n", "\n"), ("▁▁", "▁"), ("a", "▁"), ("<0x0A>", "<0x0A>")]:
        for token in (left, right, left + right):
            vocab.setdefault(token, len(vocab))
        if [left, right] not in merges:
            merges.append([left, right])
    return raw


def gemma():
    t = Tokenizer.from_str(json.dumps(spm_bpe()))
    t.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    t.add_special_tokens(special("<start_of_turn>", "<end_of_turn>", "<mask>"))
    t.add_tokens([AddedToken("\n" * n, normalized=False) for n in range(2, 6)] + [AddedToken("▁" * n, normalized=False) for n in range(2, 6)])
    template(t, "<bos>", "<eos>")
    return t


def llama2():
    raw = spm_bpe(1000)
    raw["pre_tokenizer"] = None
    raw["model"]["byte_fallback"] = False  # so that there are unknown runes
    raw["model"]["merges"] = [" ".join(m) for m in raw["model"]["merges"]]
    raw["model"].pop("type")  # as in old files
    t = Tokenizer.from_str(json.dumps(raw))
    t.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    template(t, "<bos>")
    raw = json.loads(t.to_str())
    raw["model"]["merges"] = [" ".join(m) for m in raw["model"]["merges"]]
    raw["model"].pop("type")
    return raw


def unigram(size=1500, byte_fallback=False):
    """A Unigram model by SentencePiece, with rules for a part of NFKC."""
    rules = {chr(c): unicodedata.normalize("NFKC", chr(c)) for c in [*range(0xA0, 0x600), *range(0x2000, 0x2200), *range(0x2460, 0x24FF), *range(0x3200, 0x3400, 3), *range(0xFB00, 0xFB07), *range(0xFF01, 0xFF60)]}
    rules |= {base + mark: unicodedata.normalize("NFC", base + mark) for base in "aeiouAEIOUncy" for mark in "\u0300\u0301\u0302\u0303\u0308\u0327"}
    rules |= {chr(c): " " for c in [9, 10, 13, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x3000]}
    rules |= {chr(c): "" for c in [*range(1, 9), 11, 12, *range(14, 32), 0x7F, 0x200B, 0x200E, 0xFEFF, 0xAD]}
    tsv = out / "rules.tsv"
    tsv.write_text("".join(" ".join(f"{ord(c):X}" for c in k) + "\t" + " ".join(f"{ord(c):X}" for c in v) + "\n" for k, v in rules.items() if k != v))
    counts = collections.Counter(c for text in corpus for c in text)
    common = {c for c, _ in counts.most_common(250)} - {"\0", "\n"}
    sentences = ["".join(c if c in common else " " for c in text) for text in corpus]
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(sentences), model_writer=model, vocab_size=size, model_type="unigram", hard_vocab_limit=False,
        normalization_rule_tsv=str(tsv), byte_fallback=byte_fallback, character_coverage=1.0, num_threads=1, minloglevel=2, input_sentence_size=0)
    tsv.unlink()
    proto = sentencepiece_model_pb2.ModelProto.FromString(model.getvalue())
    vocab = [("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)] + [(p.piece, round(p.score, 6)) for p in proto.pieces if p.piece not in ("<s>", "</s>", "<unk>")]
    t = Tokenizer(models.Unigram(vocab, unk_id=3, byte_fallback=byte_fallback))
    t.add_special_tokens(special("<s>", "<pad>", "</s>", "<unk>"))
    return t, normalizers.Precompiled(proto.normalizer_spec.precompiled_charsmap)


def xlmr():
    t, charsmap = unigram()
    t.normalizer = normalizers.Sequence([charsmap, normalizers.Replace(Regex(" {2,}"), " ")])
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
    t.add_special_tokens([AddedToken("<mask>", lstrip=True, special=True)])
    template(t, "<s>", "</s>")
    return t


def deberta():
    t, charsmap = unigram(byte_fallback=True)
    t.normalizer = normalizers.Sequence([normalizers.Strip(), charsmap, normalizers.Replace(Regex(" {2,}"), " ")])
    t.pre_tokenizer = pre_tokenizers.Metaspace()
    t.add_special_tokens(special("[MASK]", "[CLS]", "[SEP]", "[PAD]"))
    template(t, "[CLS]", "[SEP]")
    return t


def first():
    """No model has all this; each part stands in some."""
    t, charsmap = unigram(size=1200)
    t.normalizer = normalizers.Sequence([normalizers.Strip(left=True, right=False), normalizers.NFKD(), normalizers.StripAccents(), normalizers.Lowercase(), normalizers.NFKC(), normalizers.Replace(Regex(r"\d{2,}|[.!?]+"), "#")])
    t.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    t.add_tokens([AddedToken("World", normalized=True), AddedToken("CAFÉ", normalized=True, rstrip=True), AddedToken("of", normalized=False, single_word=True, lstrip=True, rstrip=True)])
    t.post_processor = processors.BertProcessing(("</s>", 2), ("<s>", 0))
    t.enable_padding(pad_id=1, pad_token="<pad>")
    t.no_padding()
    return t


def splits():
    """Every behaviour of Split, with patterns that look ahead and others."""
    t = byte_level(pre_tokenizers.ByteLevel(add_prefix_space=False), size=700)
    s = pre_tokenizers.Split
    t.normalizer = normalizers.Sequence([normalizers.NFD()])
    t.pre_tokenizer = pre_tokenizers.Sequence([s(Regex(r"\d"), "isolated"), s(Regex(GPT2), "removed", invert=True), s(".", "merged_with_next"), s(Regex("[aeiou]"), "merged_with_previous"),
                                              s(Regex(r"[\s,;]+"), "contiguous"), s("\0", "removed"), s(Regex("[A-Z][a-z]+|[一-龥]"), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    return t


def wordpiece():
    """BERT's parts, with added tokens in normalized text."""
    t = Tokenizer(models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=100))
    t.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.BertNormalizer()])
    t.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    t.train_from_iterator(corpus, trainers.WordPieceTrainer(vocab_size=2000, limit_alphabet=300, show_progress=False, special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]"]))
    t.add_tokens([AddedToken("World", normalized=True), AddedToken("Naïve", normalized=True, single_word=True)])
    template(t, "[CLS]", "[SEP]")
    return t


def broken():
    """Bytes that are no UTF-8: cut, overlong, surrogates, beyond the end, random."""
    yield from (b"hel\xfflo", b"\xe4\xbd", b"a\xe4\xbdb", b"\xed\xa0\x80x", b"\xc0\xaf", b"\xf4\x90\x80\x80", b"\xf0\x9f\x91", b"\xf0\x9f\x91 x", b"\x80\x80\x80", b"\xe0\x80\xaf", b"\xf8\x88\x80\x80\x80", b"ok \xf0\x9f\x91\x8d\xf0")
    for _ in range(40):
        text = bytearray(rng.choice(known)[:60].encode())
        for _ in range(rng.randint(1, 4)):
            text.insert(rng.randint(0, len(text)), rng.randint(0x80, 0xFF))
        yield bytes(text)


MORE = ["I'M DON'T we'Ll they'RE it'ſ 'S 'x ''s '", "a\n\n\nb \n \n c\r\n\r\nd", "  lead", "trail   ", " \t\u3000 mixed\u00a0 \u2028x", "1 12 123 1234 12345 ١٢٣ ½ Ⅷ",
        "foo(bar);\n\treturn x;\n}", "...\n\n!!!\r\n?", "x  y   z    w     v      u", "▁a ▁▁ b▁", "a▁a a  a▁▁a", "<unk> x<unk>y <unk><unk> ☃<unk>☃", "☃☃☃ ☃a☃", "<s>", "</s></s>", "<0x0A> <0x41>",
        "<mask> a <mask>b  <mask>  c", "[MASK]x   [MASK]", "the other the, then theThe the_the the", "of  of offer  of\nof", "World WORLD world's Worlds", "café CAFÉ cafe\u0301 x  ", "e\u0301é ée\u0301",
        "Naïve naïve naivety Naive", "½\u0301x ﬁ\u0308 ①\u0301\u0302 ™\ufe0f ‼\ufe0f©\u200d‼\u0301", "\u0600½ \u0601", "\r\n½\u200d½", "가\u11a8 \u1100\u1161\u11a8 ᄀ\u0301", "\u0301\u0327a\u0327\u0301 q\u0323\u0307\u0323",
        "a" + "\u0301\u0327\u0323" * 40, "\u1100\u1161" * 30, "ཱི ུ \u0f71\u0f72\u0f80", "|||IP_ADDRESS||| ||IP", "<|begin_of_text|><|eot_id|>", "<start_of_turn>user\nhi<end_of_turn>\n", "SELECT derivative SELECTs Napoleon Napoleonic",
        "one.two..three. Hello,World;; a", "HelloWorld fooBar ABC一二三", "\ta\tb\t\tc", "a \u200d\u200d b", "🏳️\u200d🌈🏳️\u200d🌈 🇩🇪🇫🇷🇩", "\x7f\x01\x02a\x01\u0301", "ﷺ ㋿ ꟲ 𝅘𝅥𝅮"]

texts = [t for t in known if len(t) < 2500] + MORE
texts += ["".join(rng.choice([rng.choice(MORE), rng.choice(known)[:40], " ", "\n"]) for _ in range(rng.randint(2, 5))) for _ in range(120)]
bytes_ = list(broken())
with open(out / "texts.jsonl", "w", encoding="utf-8") as f:
    for text in texts:
        f.write(json.dumps({"text": text}) + "\n")
    for data in bytes_:
        f.write(json.dumps({"hex": data.hex()}) + "\n")
texts += [data.decode("utf-8", errors="replace") for data in bytes_]

for make in (modernbert, roberta, llama3, qwen2, gemma, llama2, xlmr, deberta, first, splits, wordpiece):
    made = make()
    raw = made if isinstance(made, dict) else json.loads(made.to_str())
    text = json.dumps(raw, ensure_ascii=False, separators=(",", ":"))
    (out / f"{make.__name__}.json").write_text(text + "\n", encoding="utf-8")
    tokenizer = Tokenizer.from_str(text)
    with open(out / f"{make.__name__}.ids", "w") as f:
        for t in texts:
            ids = tokenizer.encode(t).ids
            f.write(" ".join(map(str, [len(ids), zlib.crc32(struct.pack(f"<{len(ids)}I", *ids)), *ids[:8]])) + "\n")
    print(make.__name__, len(text.encode()), len(texts))
