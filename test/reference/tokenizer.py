"""Writes test/fixtures/tokenizer.json: texts with the ids that Hugging Face's BertTokenizer gives them.

Run: pip install transformers tokenizers && python test/reference/tokenizer.py VOCAB_TXT [DATA_DIR], then npm run format
VOCAB_TXT is bert-base-uncased's vocabulary, one token a line. With DATA_DIR, a folder with the captions of CIRR and
FashionIQ, the hash of the ids of each file's captions is written too; the captions themselves are not.
"""

import hashlib
import json
import pathlib
import random
import sys

import transformers
from tokenizers import AddedToken

WRITTEN = [
    "",
    " ",
    "\t\n\r ",
    "Make the sky cloudy",
    "show three bottles of soft drink",
    "is shiny and silver with shorter sleeves",
    "Naïve café, Ångström's jalapeño — déjà vu!",
    "ÀÉÎÕÜ àéîõü ÇÑ çñ ŁØÐÞ łøðþ ßſ",
    "e\u0301 a\u030a o\u0308\u0304 combining",
    "İstanbul ısı IĞDIR",
    "ΟΔΟΣ ὈΔΥΣΣΕΎΣ σοφός Σ ΑΣ. Σ",
    "Москва и Ёлка, йогурт",
    "北京的天空是蓝色的",
    "東京タワーと桜の写真、きれい。",
    "서울의 밤하늘 한국어",
    "a\U00020000b\U0002a6d6\U0002b740c \U0002f800\U0002fa1d",
    "ภาษาไทย हिन्दी தமிழ்",
    "العربية שלום עליכם",
    "❤️ heart, 👩🏽‍🚀 astronaut, 🏳️‍🌈 flag, 🇫🇷, #️⃣ 1️⃣",
    "smile 😀😃 with sunglasses 😎 now",
    "the same dog 🐕, but black",
    "don't can't it's rock'n'roll 'quoted' \"double\"",
    "C++ & C# @home #tag $5.99 50% a/b\\c a|b ~x^y `code` {a}[b](c)<d>",
    "…“curly” ‘single’ – dash — em ‹a› «b» ¿qué? ¡sí! · • ※",
    "3.14159 1,000,000 2nd 1st 0x1F 12:30 24/7",
    "ﬁ ﬂ ligatures ½ ² ³ № ™ ® © ℃ Ⅷ",
    "ｆｕｌｌ ｗｉｄｔｈ！ １２３",
    "zero\u200bwidth\u200djoin\u2060er\ufeffbom soft\u00adhyphen",
    "no\u00a0break\u2003em\u2028line\u2029para\u3000ideographic",
    "nul\u0000replacement\ufffdbell\u0007delete\u007f\u0085next",
    "private\ue000use \U000e0067\U000e007f tag",
    "a" * 99,
    "a" * 100,
    "a" * 101,
    "x" * 500,
    "é" * 100,
    "😀" * 100 + " " + "😀" * 101,
    "supercalifragilisticexpialidocious antidisestablishmentarianism pneumonoultramicroscopicsilicovolcanoconiosis",
    "[CLS] make it [SEP] red [MASK] [PAD] [UNK]",
    "[ENC][REV]reverse [DEC] glued[SEP]to words [enc] [Sep]",
    "[unused0] [unused1] ##ing ## # ing",
    "__proto__ constructor toString hasOwnProperty",
    "end with space ",
    " start with space",
    "many     inner     spaces",
]

ALPHABETS = [
    "abcdefghijklmnopqrstuvwxyz",
    "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "0123456789",
    "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~",
    "àâäãåæçéèêëíìîïñóòôöõøúùûüýÿšžčćđłßœ",
    "αβγδεζηθικλμνξοπρσςτυφχψωΑΒΓΔΣάέήίόύώ",
    "абвгдежзийклмнопрстуфхцчшщъыьэюяЁЙЖ",
    "的一是不了人我在有他这为之大来以个中上们",
    "あいうえおかがきぎアイウエオガギグ",
    "가나다라마바사한국어",
    "\u0300\u0301\u0302\u0303\u0308\u030a\u0327",
    "😀😂🐶🐱🍎🚗❤️\u200d\ufe0f🏽🏿",
    "\t\n\u00a0\u200b\u3000",
    "\U00020000\U00020001\U0002a700\U0002f801",
]


def texts() -> list[str]:
    """The written texts and 340 random ones: words of mixed alphabets, so that every rule meets every other."""
    draw = random.Random(0)
    result = list(WRITTEN)
    for _ in range(340):
        words = []
        for _ in range(draw.randint(1, 8)):
            alphabets = draw.sample(ALPHABETS, draw.choice([1, 1, 1, 2, 3]))
            words.append("".join(draw.choice(draw.choice(alphabets)) for _ in range(draw.randint(1, 9))))
        result.append(draw.choice([" ", " ", ""]).join(words))
    return result


def captions(path: pathlib.Path) -> list[str]:
    result = []
    for row in json.loads(path.read_text()):
        result += row["captions"] if "captions" in row else [row["caption"]]
    return result


def main() -> None:
    # What people type is text, special names included.
    tokenizer = transformers.BertTokenizer(vocab=sys.argv[1], do_lower_case=True, split_special_tokens=True)
    tokenizer.add_tokens([AddedToken(name, special=True, normalized=False) for name in ["[DEC]", "[ENC]", "[REV]"]])
    cases = [{"text": text, "ids": tokenizer(text)["input_ids"]} for text in texts()]
    truncated = [
        {"maxLength": length, "ids": [tokenizer(c["text"], truncation=True, max_length=length)["input_ids"] for c in cases]}
        for length in [3, 8]
    ]
    batch = [case["text"] for case in cases[:45]]
    padded = tokenizer(batch, padding="longest", truncation=True, max_length=35)
    fixed = tokenizer(batch, padding="max_length", truncation=True, max_length=35)
    files = []
    data = pathlib.Path(sys.argv[2]) if len(sys.argv) > 2 else None
    for path in sorted(data.glob("*/captions/cap.*.json")) if data else []:
        rows = [tokenizer(text, truncation=True, max_length=35)["input_ids"] for text in captions(path)]
        digest = hashlib.sha256(json.dumps(rows, separators=(",", ":")).encode()).hexdigest()
        files.append({"file": str(path.relative_to(data)), "count": len(rows), "sha256": digest})
    fixture = {
        "transformers": transformers.__version__,
        "cases": cases,
        "truncated": truncated,
        "padded": {"count": len(batch), "maxLength": 35, "ids": padded["input_ids"], "mask": padded["attention_mask"]},
        "fixed": {"ids": fixed["input_ids"], "mask": fixed["attention_mask"]},
        "captions": files,
    }
    path = pathlib.Path(__file__).parent.parent / "fixtures" / "tokenizer.json"
    path.write_text(json.dumps(fixture, separators=(",", ":")) + "\n")


main()
