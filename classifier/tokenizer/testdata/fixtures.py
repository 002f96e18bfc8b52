"""Makes what the tests of this package compare with. Needs tokenizers==0.23.3.

    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install tokenizers==0.23.3
    /tmp/venv/bin/python fixtures.py

texts.jsonl: one object a line: text, max (tokens, special ones included) and
the ids. codepoints.tsv: for every code point what each step makes of it, in
runs: first, last, clean_text, strip_accents (mark: dropped), ideograph or not,
pre-tokenizer.
"""

import json
import pathlib
import random

import tokenizers
from tokenizers import Tokenizer, normalizers, pre_tokenizers

assert tokenizers.__version__ == "0.23.3", tokenizers.__version__
here = pathlib.Path(__file__).parent
tokenizer = Tokenizer.from_file(str(here / "../../builtin/tokenizer.json"))
rng = random.Random(1)

PLAIN = """
What is 2+2 * (5-1)?
2+2 is\x20\x20
Linux is said to be an open source kernel because\x20
What is the derivative of f(x) = x^3?
Who was Napoleon?
unaffable uncharacteristically antidisestablishmentarianism
don't can't I'm we'll they've o'clock rock'n'roll
e-mail: someone@example.com, https://example.com/a/b?c=d&e=f#g
3.14159 1,000,000 1e-9 0x7F 0b1010 10:30 2026-11-21 $5.00 €5 £5 ¥5 50% #1
def f(x):\\n\\treturn {k: v for k, v in x.items() if v != None}
SELECT * FROM users WHERE name LIKE '%o\\'brien%'; -- DROP TABLE
<html><body class="a">&nbsp;&amp;</body></html>
{"model": "auto", "messages": [{"role": "user", "content": "hi"}]}
∑_{i=1}^{n} i² = n(n+1)(2n+1)/6 ∫∂∇√∞≈≠≤≥±×÷∈∉⊂∪∩∧∨¬∀∃ℝℕℤℚℂ
\\frac{a}{b} + \\sqrt[3]{x} \\in \\mathbb{R}
café naïve façade Ångström Crème Brûlée jalapeño São Paulo Zürich Œuvre æther
CAFÉ NAÏVE FAÇADE ÅNGSTRÖM İstanbul ISPARTA ıspanak straße STRASSE ẞ ǅ ǈ ǋ ǲ
Привет, мир! Как дела? Ёлка ёж Йод ЙОГУРТ ґанок їжак
Γειά σου Κόσμε ΌΔΥΣΣΕΥΣ ὀδυσσεύς ἄνθρωπος ᾳ ῷ ΐ ΰ
你好，世界！这是一个测试。 日本語のテキストです。カタカナ ｶﾀｶﾅ ひらがな
안녕하세요 세계 한국어 텍스트 각 갂 힣 ᄀᆞᆼ
שלום עולם שָׁלוֹם مرحبا بالعالم مَرْحَبًا ﷽ ﷺ
नमस्ते दुनिया हिन्दी বাংলা தமிழ் తెలుగు ಕನ್ನಡ മലയാളം ไทยภาษา ລາວ ខ្មែរ မြန်မာ བོད་ཡིག አማርኛ ქართული ᲥᲐᲠᲗᲣᲚᲘ Հայերեն
👍 👍🏽 👩‍👩‍👧‍👦 🏳️‍🌈 🇩🇪🇫🇷 ☺️ 1️⃣ ❤️‍🔥 🧑🏿‍🚀
“curly” ‘quotes’ «guillemets» „low“ …ellipsis—em–en‐hyphen‑nb ‒ ― ⁃ • · ‥ ‰ ′ ″ ¿ ¡ § ¶ † ‡
ﬁ ﬂ ﬀ ﬃ ﬄ ﬅ ﬆ ĳ ŉ ½ ¼ ⅓ ² ³ ¹ ⁴ ₂ ™ © ® ℃ ℉ № Ⅷ ⅷ ① Ⓐ ⓐ ㎏ ㍿
Ａｌｌ ｆｕｌｌ－ｗｉｄｔｈ　ｔｅｘｔ！？ ａｂｃ１２３
𝕳𝖊𝖑𝖑𝖔 𝓦𝓸𝓻𝓵𝓭 𝔸𝔹ℂ 𝟙𝟚𝟛 𝐀𝐁 Ⓗⓔⓛⓛⓞ
𐐀𐐁𐐨 𞤀𞤢 Ꭰꭰ Ꮿ ẛ̣ ſ K Å Ω ϐ ϑ ϕ ϖ
Z̷̡̢̛͉̙̼̦̞̳͚̹͙̺̲͖̮̳͙̳̺͎̼̫̭͐̈́̽̊a̷͙̭̱l̸̨̛͉͈̮͇̮̮͔͎̼̱̹̀̈́̂̇̑͒͝g̶̢̛͚̠̳̲̈́͂̾̌̉̓͘o̴̧̨͕̗̝̼̜̺͚̓̈̏͌̒̐̌̔͑
[CLS] [SEP] [PAD] [MASK] [UNK] [unused0] [cls] [sep]
a[SEP]b [SEP][SEP] x[MASK]y [SEP [SEP]] [[SEP] [CLS][CLS]text[SEP] é[SEP]é 你[MASK]好
## ##ing ##s #hash ### a##b
_under_score_ __init__ snake_case camelCase PascalCase kebab-case SCREAMING_CASE
!!!???... ---===*** ~~~ ``` ^^^ ||| \\\\\\ /// <<<>>> (((()))) [[[]]] {{{}}}
""".strip("\n").split("\n")

ODD = [
    "", " ", "\n", "\t\r\n \x0b\x0c", "\x00", "\x00\x00\x00",
    "before\x00after", "before \x00 after", "\x00[SEP]\x00", "a\x00" * 40, "[SE\x00P]",
    "\ufeffbom", "zero\u200bwidth\u200cjoin\u200der\u2060s", "soft\u00adhyphen", "rtl\u202eoverride\u202c", "\u2066iso\u2069lated",
    "no\u00a0break\u202fspace\u2007fig\u3000wide\u1680ogham\u2028line\u2029par\u205fmath\u180emvs\x85nel",
    "bell\x07 esc\x1b[0m del\x7f c1\x80\x9f fs\x1c gs\x1d rs\x1e us\x1f",
    "\ufffd\ufffd", "a\ufffdb", "\ufffe\uffff", "\U0010ffff\U000e0001\U000f0000\ue000",
    "e\u0301 e\u0323\u0301 \u0301alone \u0301", "\u0344 \u0340 \u0341 \u0958 \u0f43 \u1e9b\u0323 \u212b",
    "a" + "\u0301" * 500 + "b", "\u0345" * 200, "\u1b44\u302e \u302e\u1b44 \U0001d165\u302f",
    "I\u0307 i\u0307 \u0130 \u0131 \u0130\u0130\u0130", "\u03a3\u03a3\u03a3 \u03c2\u03c3",
    "\u4e00", "a\u4e00b", "\u3400\u4dbf\u4dc0\u9fff\ua000\uf900\ufaff\ufb00",
    "\U00020000\U0002a6df\U0002a6e0\U0002a700\U0002b73f\U0002b81f\U0002b820\U0002b91f\U0002b920\U0002ceaf\U0002ceb0\U0002f800\U0002fa1f\U00030000",
    "\u3001\u3002\u30fb\uff01\uff5e\uffe5", "\u3131\u1100\u1161\u11a8 \uac00\uac01\ud7a3",
    "x" * 99, "x" * 100, "x" * 101, "x" * 5000, "é" * 100, "é" * 101, "e\u0301" * 100, "e\u0301" * 101, "\u0130" * 101,
    "the" * 33, "the" * 34, "quantum" * 14, "a" * 60 + " " + "a" * 140 + " a", "." * 300, " ." * 300,
    "word " * 600, "好" * 600, "👩‍👩‍👧‍👦" * 200, "[SEP]" * 300, "[SEP" * 300, "[" * 1000, "\u0301" * 3000 + "end",
    "1234567890" * 20, "1 " * 300, "supercalifragilisticexpialidocious" * 2, "\U0001f600" * 101,
]

BLOCKS = [
    (0x00, 0x7F), (0x00, 0x7F), (0x20, 0x7E), (0x80, 0xFF), (0x100, 0x24F), (0x250, 0x2FF), (0x300, 0x36F), (0x370, 0x3FF), (0x400, 0x52F),
    (0x530, 0x6FF), (0x700, 0x8FF), (0x900, 0xDFF), (0xE00, 0x11FF), (0x1200, 0x1AFF), (0x1B00, 0x1FFF), (0x2000, 0x206F), (0x2070, 0x2BFF),
    (0x2C00, 0x2FFF), (0x3000, 0x33FF), (0x4E00, 0x9FFF), (0xA000, 0xABFF), (0xAC00, 0xD7FF), (0xE000, 0xE0FF), (0xF900, 0xFFFF),
    (0x10000, 0x11FFF), (0x16000, 0x17000), (0x1D000, 0x1D7FF), (0x1E000, 0x1FAFF), (0x20000, 0x20100), (0x2F800, 0x2FA1F), (0xE0000, 0xE01FF),
]
WORDS = sorted(w for w in tokenizer.get_vocab() if w.isascii() and w.isalpha() and len(w) > 2)


def mixed():
    """A line of words and of runs from one block or many."""
    parts = []
    for _ in range(rng.randint(1, 12)):
        if rng.random() < 0.4:
            word = rng.choice(WORDS)
            parts.append(rng.choice([word, word.upper(), word.title(), word + rng.choice(WORDS), word + "ization"]))
        else:
            low, high = rng.choice(BLOCKS)
            parts.append("".join(chr(rng.randint(low, high)) for _ in range(rng.randint(1, 8))))
        parts.append(rng.choice(["", " ", " ", "\n", "-", "\u200d", "\x00", "[SEP]"]))
    return "".join(parts)


texts = PLAIN + ODD + [mixed() for _ in range(400)]
with open(here / "texts.jsonl", "w", encoding="utf-8") as out:
    for i, text in enumerate(texts):
        for limit in {256, [3, 8, 16, 64][i % 4]}:
            tokenizer.enable_truncation(limit)
            ids = tokenizer.encode(text).ids
            out.write(json.dumps({"text": text, "max": limit, "ids": ids}, separators=(",", ":")) + "\n")

OFF = dict(clean_text=False, handle_chinese_chars=False, strip_accents=False, lowercase=False)
clean, strip, chinese = (normalizers.BertNormalizer(**(OFF | {k: True})) for k in ("clean_text", "strip_accents", "handle_chinese_chars"))
split = pre_tokenizers.BertPreTokenizer()


def steps(char):
    cleaned = {"": "drop", " ": "space"}.get(clean.normalize_str(char), "keep")
    mark = "keep" if strip.normalize_str(char) else "mark"
    ideograph = "ideograph" if chinese.normalize_str(char) == f" {char} " else "-"
    cut = {1: "word", 2: "space", 3: "punctuation"}[len(split.pre_tokenize_str(f"a{char}b"))]
    return cleaned, mark, ideograph, cut


with open(here / "codepoints.tsv", "w", encoding="utf-8") as out:
    first, last, kind = 0, 0, steps("\0")
    for code in [*range(1, 0xD800), *range(0xE000, 0x110000), None]:
        now = None if code is None else steps(chr(code))
        if now != kind or code != last + 1:
            out.write(f"{first:x}\t{last:x}\t" + "\t".join(kind) + "\n")
            first, kind = code, now
        last = code
