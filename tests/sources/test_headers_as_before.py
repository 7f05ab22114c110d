"""Headers of every kind of file, right and wrong in one place, are read or refused as they were before."""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Sequence

import numpy as np
import pytest

from quantviz.sources import open_model
from quantviz.sources.budget import Budget, Held
from quantviz.sources.gguf_entries import entries_of
from quantviz.sources.gguf_header import read_header
from quantviz.sources.json_text import read_json_object
from quantviz.sources.npy import parse_npy_header
from quantviz.sources.safetensors_header import header_length, read_table, together, union
from tests.recorded import tried

# -- GGUF ----------------------------------------------------------------------------------------


def text(value: str | bytes) -> bytes:
    data = value if isinstance(value, bytes) else value.encode()
    return struct.pack("<Q", len(data)) + data


def value(name: str, kind: int, data: bytes) -> bytes:
    return text(name) + struct.pack("<I", kind) + data


def line(name: str, shape: tuple[int, ...], kind: int, offset: int) -> bytes:
    axes = b"".join(struct.pack("<Q", n) for n in shape[::-1])
    return text(name) + struct.pack("<I", len(shape)) + axes + struct.pack("<IQ", kind, offset)


def array(kind: int, count: int, data: bytes) -> bytes:
    return struct.pack("<IQ", kind, count) + data


def gguf(
    values: Sequence[bytes] = (),
    lines: Sequence[bytes] = (),
    data: int = 0,
    version: int = 3,
    magic: bytes = b"GGUF",
    tensors: int | None = None,
) -> bytes:
    head = magic + struct.pack("<IQQ", version, len(lines) if tensors is None else tensors, len(values))
    whole = head + b"".join(values) + b"".join(lines)
    return whole + bytes(-len(whole) % 32 + data)


ALIGN, TWO = "general.alignment", [line("a", (4, 32), 0, 0), line("b", (2, 32), 8, 512)]
GGUFS = {
    "empty": b"",
    "short": b"GGU",
    "magic": gguf(magic=b"GGML"),
    "nothing": gguf(),
    "version 1": gguf(version=1),
    "version 2": gguf(version=2),
    "version 4": gguf(version=4),
    "big-endian": gguf(version=3 << 24),
    "cut": gguf()[:20],
    "two": gguf([], TWO, 512 + 68),
    "two cut": gguf([], TWO, 512 + 67),
    "overlap": gguf([], [TWO[0], line("b", (2, 32), 0, 256)], 600),
    "same start": gguf([], [TWO[0], line("b", (0, 32), 0, 0)], 600),
    "twice": gguf([], [TWO[0], TWO[0]], 600),
    "unaligned": gguf([], [TWO[0], line("b", (2, 32), 8, 513)], 600),
    "alignment 8": gguf([value(ALIGN, 4, struct.pack("<I", 8))], [TWO[0], line("b", (2, 32), 8, 520)], 600),
    **{
        f"alignment {n}": gguf([value(ALIGN, 4, struct.pack("<I", n))], [TWO[0]], 600)
        for n in (0, 1, 4, 12, 24, 1 << 20, (1 << 20) + 8)
    },
    "alignment of text": gguf([value(ALIGN, 8, text("8"))]),
    "five axes": gguf([], [line("a", (1,) * 5, 0, 0)], 64),
    "four axes": gguf([], [line("a", (1, 2, 3, 4), 0, 0)], 96),
    "no axes": gguf([], [line("a", (), 0, 0)], 64),
    "huge": gguf([], [line("a", (1 << 30, 1 << 30), 0, 0)], 64),
    "less": gguf([], [line("a", ((1 << 30) - 1, 1 << 30), 0, 0)], 64),
    "blocks": gguf([], [line("a", (2, 33), 8, 0)], 200),
    "unknown type": gguf([], [line("a", (2, 33), 99, 0), line("b", (4,), 0, 64)], 200),
    "many tensors": gguf(tensors=1 << 40),
    "more tensors": gguf(tensors=(1 << 16) + 1),
    "k": gguf([], [line("a", (2, 256), 12, 0)], 288),
    "values": gguf(
        [
            value("u8", 0, b"\7"),
            value("i8", 1, b"\xff"),
            value("f", 6, struct.pack("<f", 0.5)),
            value("t", 8, text("word")),
            value("b", 7, b"\1"),
            value("d", 12, struct.pack("<d", 2.5)),
            value("q", 10, struct.pack("<Q", 1 << 60)),
            value("i", 5, struct.pack("<i", -3)),
        ]
    ),
    "value twice": gguf([value("a", 0, b"\1"), value("a", 0, b"\2")]),
    "value of type 13": gguf([value("a", 13, bytes(8))]),
    "bad text": gguf([value("a", 8, text(b"\xff\xfe")), value("b", 0, b"\1")]),
    "bad name": gguf([text(b"\xff") + struct.pack("<I", 0) + b"\1"]),
    "long text": gguf([value("a", 8, struct.pack("<Q", 1 << 50))]),
    "long name": gguf([text("n" * 65_537) + struct.pack("<I", 0) + b"\1"]),
    "name": gguf([text("n" * 65_536) + struct.pack("<I", 0) + b"\1"]),
    "large text": gguf([value("a", 8, text(b"x" * ((4 << 20) + 1))), value("b", 0, b"\1")]),
    "array": gguf([value("a", 9, array(4, 3, bytes(12))), value("b", 0, b"\5")]),
    "array of text": gguf([value("a", 9, array(8, 2, text("x") + text("yz"))), value("b", 0, b"\5")]),
    "array of arrays": gguf(
        [value("a", 9, array(9, 2, array(0, 1, b"\1") + array(8, 1, text("q")))), value("b", 0, b"\5")]
    ),
    "array of type 13": gguf([value("a", 9, array(13, 2, bytes(8)))]),
    "array too long": gguf([value("a", 9, array(4, 1 << 40, b""))]),
    "texts too many": gguf([value("a", 9, array(8, 1 << 40, b""))]),
    "texts at the end": gguf([value("a", 9, array(8, 4, b"".join([text("")] * 4)))])[: 24 + 9 + 4 + 12 + 32],
    "texts one too many": gguf([value("a", 9, array(8, 5, b"".join([text("")] * 4)))])[: 24 + 9 + 4 + 12 + 32],
    **{f"depth {n}": gguf([value("a", 9, b"".join([array(9, 1, b"")] * n) + array(0, 1, b"\1"))]) for n in (7, 8, 9)},
    "cost": gguf([value("a", 9, array(9, 60_000, b"".join([array(0, 0, b"")] * 60_000)))]),
    "no cost": gguf([value("a", 9, array(9, 50_000, b"".join([array(0, 0, b"")] * 50_000)))]),
    "text over the end": gguf([value("a", 9, array(8, 2, text("x") + struct.pack("<Q", 1 << 40)))]),
}


@pytest.mark.parametrize("name", GGUFS)
def test_gguf(name, kept):
    data = GGUFS[name]
    header = tried(read_header, Held("x.gguf", data))
    if isinstance(header, str):
        return kept(header)
    kept([{k[:9]: v for k, v in header.metadata.items()}, header.unread, header.nbytes, header.alignment, header.items])
    kept([[t.name, t.shape, t.type, t.offset] for t in header.tensors.values()])
    found = tried(entries_of, header, len(data), "x.gguf", None)
    kept(
        found
        if isinstance(found, str)
        else [[e.info.name, e.info.shape, e.info.dtype, e.info.nbytes, e.offset] for e in found]
    )


# -- safetensors ---------------------------------------------------------------------------------


def safetensors(header: object, data: int = 0) -> bytes:
    inside = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(inside)) + inside + bytes(data)


def entry(dtype: object = "F32", shape: object = (2, 3), offsets: object = (0, 24)) -> dict:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


TABLES = {
    "empty": b"",
    "seven bytes": bytes(7),
    "eight": bytes(8),
    "one": safetensors({"a": entry()}, 24),
    "no braces": safetensors(b"[]"),
    "no JSON": safetensors(b"{"),
    "claims": struct.pack("<Q", 1 << 40),
    "claims more": struct.pack("<Q", 9) + bytes(8),
    "exactly": struct.pack("<Q", 8) + b"{}      ",
    "metadata": safetensors({"__metadata__": {"format": "pt"}, "a": entry()}, 24),
    "bad metadata": safetensors({"__metadata__": {"a": 1}}),
    "list": safetensors({"__metadata__": [1]}),
    "no metadata": safetensors({"__metadata__": None}),
    "no dtype": safetensors({"a": {"shape": [1], "data_offsets": [0, 4]}}, 4),
    "no dict": safetensors({"a": 3}),
    "dtype": safetensors({"a": entry("F33")}, 24),
    "dtype of number": safetensors({"a": entry(3)}, 24),
    "shape": safetensors({"a": entry(shape=[2, -3])}, 24),
    "shape of text": safetensors({"a": entry(shape="23")}, 24),
    "true": safetensors({"a": entry(shape=[True, 6])}, 24),
    "nine axes": safetensors({"a": entry(shape=[1] * 8 + [6])}, 24),
    "many axes": safetensors({"a": entry(shape=[1] * 63 + [6])}, 24),
    "65 axes": safetensors({"a": entry(shape=[1] * 64 + [6])}, 24),
    "offsets": safetensors({"a": entry(offsets=[0])}, 24),
    "backwards": safetensors({"a": entry(offsets=[24, 0])}, 24),
    "below": safetensors({"a": entry(offsets=[-1, 23])}, 24),
    "overflow": safetensors({"a": entry(shape=[1 << 40, 1 << 40])}, 24),
    "size": safetensors({"a": entry(offsets=[0, 20])}, 20),
    "after": safetensors({"a": entry()}, 25),
    "outside": safetensors({"a": entry()}, 23),
    "gap": safetensors({"a": entry(offsets=[4, 28])}, 28),
    "overlap": safetensors({"a": entry(), "b": entry(offsets=[20, 44])}, 44),
    "side by side": safetensors({"b": entry("F16", [4], [24, 32]), "a": entry()}, 32),
    "scalar": safetensors({"a": entry(shape=[], offsets=[0, 4])}, 4),
    "no weights": safetensors({"a": entry(shape=[0, 3], offsets=[0, 0])}),
    "half bytes": safetensors({"a": entry("F4", [3], [0, 2])}, 2),
    "four bits": safetensors({"a": entry("F4", [4], [0, 2])}, 2),
    "six bits": safetensors({"a": entry("F6_E2M3", [4], [0, 3])}, 3),
    **{
        dtype: safetensors({"a": entry(dtype, [2], [0, n])}, n)
        for dtype, n in (
            ("F64", 16),
            ("BF16", 4),
            ("I8", 2),
            ("U64", 16),
            ("BOOL", 2),
            ("F8_E4M3", 2),
            ("F8_E5M2", 2),
            ("C64", 16),
        )
    },
}


@pytest.mark.parametrize("name", TABLES)
def test_safetensors(name, kept):
    found = tried(read_table, Held("x.safetensors", TABLES[name]))
    if isinstance(found, str):
        return kept(found)
    kept(
        [[e.info.name, e.info.shape[:9], e.info.dtype, e.info.nbytes, e.offset, e.info.why_not] for e in found.entries]
    )
    kept(
        [found.metadata, together([found, found]), list(union([("f", 1, found.entries), ("g", 2, found.entries[:1])]))]
    )


def test_lengths_of_headers(kept):
    for first, size in (
        (b"", 0),
        (bytes(8), 8),
        (struct.pack("<Q", 100), 107),
        (struct.pack("<Q", 100), 108),
        (struct.pack("<Q", 100 << 20), 1 << 40),
        (struct.pack("<Q", (100 << 20) + 1), 1 << 40),
        (bytes(7), 99),
    ):
        kept(tried(header_length, first, size, "x"))


def test_what_all_headers_of_a_model_may_cost(kept):
    for entries, words in ((3, 10), (300_000, 10), (300_001, 10), (1, 64 << 20), (1, (64 << 20) + 1)):
        budget = Budget()
        meter = budget.meter("x")
        budget.entries -= entries - 1
        kept(
            [
                tried(meter.entry, words),
                tried(meter.entries, 5, 9),
                tried(meter.entries, 10, 9),
                tried(meter.items, 2 << 20),
                tried(meter.items, 1),
            ]
        )


# -- .npy and JSON -------------------------------------------------------------------------------


def npy(values: np.ndarray, version: tuple[int, int] = (1, 0)) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, values, version)
    return buffer.getvalue()


NPYS = {
    "plain": npy(np.arange(6.0).reshape(2, 3)),
    "fortran": npy(np.asfortranarray(np.arange(6.0).reshape(2, 3))),
    "version 2": npy(np.ones(3), (2, 0)),
    "version 3": npy(np.ones(3), (3, 0)),
    "one": npy(np.array(3.0)),
    "none": npy(np.ones((0, 3))),
    "integers": npy(np.arange(4)),
    "big-endian": npy(np.arange(4, dtype=">f4")),
    "half": npy(np.ones(3, np.float16)),
    "cut": npy(np.ones(9))[:-1],
    "more": npy(np.ones(9)) + b"x",
    "header": npy(np.ones(9))[:40],
    "magic": b"\x93NUMPX" + bytes(90),
    "zip": b"PK\3\4" + bytes(90),
    "empty": b"",
    "objects": npy(np.array([None, 1], object))
    if False
    else b"\x93NUMPY\1\0\x46\0{'descr': '|O', 'fortran_order': False, 'shape': (2,), }" + b" " * 15 + b"\n",
    "complex": npy(np.ones(2, complex)),
    "huge": b"\x93NUMPY\1\0\x46\0"
    + b"{'descr': '<f4', 'fortran_order': False, 'shape': (9223372036854775807,)}".ljust(69)
    + b"\n",
    "bool": npy(np.ones(3, bool)),
    "three axes": npy(np.ones((2, 3, 4), np.float32)),
    "text": npy(np.array(["ab"])),
}


@pytest.mark.parametrize("name", NPYS)
def test_npy(name, kept, tmp_path):
    header = tried(parse_npy_header, NPYS[name], "x.npy")
    kept(header if isinstance(header, str) else [header[0], header[1], str(header[2]), header[3]])
    path = tmp_path / "x.npy"
    path.write_bytes(NPYS[name])
    model = tried(open_model, str(path))
    if isinstance(model, str):
        return kept(model.replace(str(tmp_path), "…"))
    info = model.tensors[0]
    kept([info.name, info.shape, info.dtype, info.nbytes, info.why_not, len(model.revision)])
    if not info.why_not:
        kept(
            [
                model.load(info.name).astype(float).reshape(-1)[:9],
                model.load(info.name, (0, 1)).astype(float).reshape(-1)[:9],
            ]
        )


def test_json(kept):
    for content in (
        b"{}",
        b"[]",
        b"",
        b"1",
        b'{"a": 1}',
        b'{"a": 1e999}',
        b'{"a": NaN}',
        b"\xef\xbb\xbf{}",
        b"\xff{}",
        b'{"a": "\\ud800"}',
        b'{"a": 1' + b"0" * 5000 + b"}",
        *(b'{"a": ' + b"[" * n + b"]" * n + b"}" for n in (5, 30, 31, 32, 33, 63, 64, 65, 100, 127, 128, 129, 100_000)),
        b'{"a": 1, "a": 2}',
    ):
        found = tried(read_json_object, content, "x.json")
        kept(found if isinstance(found, str) else str(found)[:60])
