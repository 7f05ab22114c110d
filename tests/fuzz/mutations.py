"""Damage done to files: bytes and words changed, cut, repeated and put in, numbers replaced by those that hurt."""

from __future__ import annotations

import random
import re

# Numbers at which readers go wrong, as they stand in binary headers.
NUMBERS = (0, 1, 7, 31, 33, 127, 128, 255, 256, 65535, 1 << 20, (1 << 24) + 1, (1 << 31) - 1, 1 << 31, (1 << 32) - 1,
           1 << 40, (1 << 60) + 1, (1 << 63) - 1, 1 << 63, (1 << 64) - 1)  # fmt: skip
# Pieces of JSON and of Python literals that stand where others were.
WORDS = (
    b"0", b"-0", b"-1", b"1.0", b"1e3", b"1e999", b"NaN", b"Infinity", b"null", b"true", b"false", b'""', b"[]", b"{}",
    b"9" * 30, b"9" * 5000, b'"\\ud800"', b'"\\ud83d\\ude00"', b'"\xff"', b'"' + b"x" * 3000 + b'"', b"[" * 600,
    b'{"a":' * 300, b"18446744073709551616", b"4294967296", b'"F32"', b'"F4"', b'"../x"', b'"/etc/passwd"', b",",
    b":", b"\x00", b"\xef\xbb\xbf", "\u0663".encode(), b"1_0", b"+1", b"'a'", b"(", b"lambda: 0", b"__import__",
)  # fmt: skip
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.){0,200}"|-?[0-9]+(?:\.[0-9]+)?|[{}\[\],:()]|true|false|null|True|False')


def bytewise(data: bytes, rng: random.Random) -> bytes:
    """Some bytes of a binary header, and numbers in it, replaced."""
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 6))):
        if not out:
            break
        at, how = rng.randrange(len(out)), rng.randrange(7)
        if how == 0:
            out[at] = rng.randrange(256)
        elif how == 1:
            out[at] ^= 1 << rng.randrange(8)
        elif how == 2:
            width = rng.choice((1, 2, 4, 8))
            out[at : at + width] = (rng.choice(NUMBERS) % (1 << 8 * width)).to_bytes(width, "little")
        elif how == 3:
            del out[at : at + rng.choice((1, 2, 4, 8, 40))]
        elif how == 4:
            out[at:at] = rng.randbytes(rng.choice((1, 4, 8)))
        elif how == 5:
            length = rng.choice((4, 8, 24, 80))
            start = rng.randrange(len(out))
            out[at:at] = out[start : start + length]
        else:
            del out[at:]
    return bytes(out)


def wordwise(data: bytes, rng: random.Random) -> bytes:
    """Words of a text such as JSON replaced, dropped, repeated or exchanged; sometimes bytes of it too."""
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        tokens = list(_TOKEN.finditer(data))
        if not tokens or rng.random() < 0.1:
            data = bytewise(data, rng)
            continue
        one, other = rng.choice(tokens), rng.choice(tokens)
        new = rng.choice((rng.choice(WORDS), rng.choice(WORDS), other[0], b"", one[0] + b"," + one[0]))
        data = data[: one.start()] + new + data[one.end() :]
    return data
