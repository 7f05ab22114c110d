"""Which files of a folder are meant, which rows of a tensor, and which bytes of a file: all as it was before."""

from __future__ import annotations

import itertools
import json
from dataclasses import asdict

import numpy as np
import pytest

from quantviz.sources import span
from quantviz.sources.column_major import ColumnMajor
from quantviz.sources.files import weight_files
from quantviz.sources.gguf_entries import choose, parts_of
from quantviz.sources.hub import HubRef
from quantviz.sources.model import TensorInfo, natural_order, select
from quantviz.sources.opened import FileArray, open_regular
from quantviz.sources.parts import chosen_files
from quantviz.sources.ranged import _content_range
from quantviz.sources.retry import Patience, passing_trouble
from tests.recorded import interface, tried

NAMES = {
    "one": ["model.safetensors", "config.json"],
    "shards": [f"model-{i:05d}-of-00003.safetensors" for i in (1, 2, 3)],
    "lacking": [f"model-{i:05d}-of-00003.safetensors" for i in (1, 3)],
    "two": ["a.safetensors", "b.safetensors"],
    "variants": ["model.safetensors", "model.fp16.safetensors", "m.fp16.safetensors"],
    "none": ["README.md", "model.bin"],
    "pipeline": [
        "model_index.json",
        "unet/x.safetensors",
        "unet/x.fp16.safetensors",
        "vae/y.safetensors",
        "vae/z.gguf",
    ],
    "gguf": ["m-Q4_K_M.gguf", "m-Q8_0.gguf", "mmproj-f16.gguf", "m.imatrix.gguf"],
    "gguf parts": ["m-00001-of-00002.gguf", "m-00002-of-00002.gguf"],
    "gguf lacking": ["m-00001-of-00003.gguf", "n.gguf"],
    "both": ["m.safetensors", "m.gguf"],
    "deep": ["a/b/c.safetensors", "a/d.safetensors"],
    "index": ["a.safetensors", "b.safetensors", "c.safetensors", "w.safetensors.index.json"],
    "bad index": ["a.safetensors", "c.safetensors", "w.safetensors.index.json"],
    "nothing": [],
    "consolidated": ["consolidated.00.pth", "consolidated.safetensors", "model-00001-of-00001.safetensors"],
}
PARTS = (
    None,
    "",
    "unet",
    "unet/",
    "unet/fp16",
    "fp16",
    "Q4_K_M",
    "q8_0",
    "Q4",
    "vae/z.gguf",
    "a.safetensors",
    "model.bin",
    "README.md",
    "a/b",
    "nothing",
    "w.safetensors.index.json",
    "m-00002-of-00002.gguf",
    "m.gguf",
    "consolidated",
    "model_index.json",
)


@pytest.mark.parametrize("name", NAMES)
def test_which_files_are_meant(name, kept):
    for part in PARTS:
        kept(
            [
                part,
                tried(
                    chosen_files,
                    NAMES[name],
                    part,
                    "org/name",
                    lambda index: {"a.safetensors", "b.safetensors"},
                    "hf:org/name:{}",
                ),
            ]
        )
    kept([tried(weight_files, NAMES[name], "here"), tried(weight_files, NAMES[name], "here", False)])
    if any(".gguf" in file for file in NAMES[name]):
        kept([tried(choose, NAMES[name], wanted, "here", "hf:{}") for wanted in (None, "Q4_K_M", "m")])


def test_parts_of_a_gguf_file(kept):
    for name in (
        "m.gguf",
        "m-00001-of-00003.gguf",
        "m-00003-of-00003.GGUF",
        "m-00004-of-00003.gguf",
        "m-00000-of-00003.gguf",
        "m-00001-of-02001.gguf",
        "m-00001-of-02000.gguf",
        "m-1-of-3.gguf",
    ):
        for there in (lambda n: True, lambda n: "00002" not in n, lambda n: False):
            found = tried(parts_of, name, there, "here")
            kept([found] if isinstance(found, str) else [len(found), found[0], found[-1]])


def test_references_to_the_hub(kept):
    for ref in (
        "hf:org/name",
        "hf:org/name@main",
        "hf:org/name@v1:part",
        "hf:org/name:a/b.gguf",
        "hf:org/name/folder/f.gguf",
        "hf:name",
        "hf:",
        "hf:a/b/c",
        "hf:org/name@",
        "hf:org/name@a b",
        "hf:org/name@../x",
        "hf:org/name:",
        "hf:org/name: x ",
        "hf:org/f.gguf",
        "hf:org/name@r/x.gguf",
        "hf:org/name@" + "a" * 201,
        "hf:-org/name",
        "hf: org/name ",
    ):
        found = tried(HubRef.parse, ref)
        kept([ref, found if isinstance(found, str) else [found.repo, found.revision, found.file, found.at("abc")]])


def test_rows_that_are_chosen(kept):
    for info in (
        TensorInfo("t", (10, 4), "float32", 160),
        TensorInfo("t", (2, 3, 4), "float16", 48),
        TensorInfo("t", (7,), "int8", 7),
        TensorInfo("t", (), "float32", 4),
        TensorInfo("t", (0, 4), "float32", 0),
        TensorInfo("t", (3, 4), "what", 9),
    ):
        kept([info.rows, info.cols, str(info.bits_per_weight), info.holds_weights, info.why_not])
        for rows in (None, (0, 1), (0, 10), (2, 6), (3, 3), (-1, 2), (9, 11), (5, 4)):
            found = tried(select, info, rows)
            kept(found if isinstance(found, str) else asdict(found))
    names = ["w10", "w2", "w02", "w", "a.10.b", "a.9.b", "a.b", "10", "9", "w2a10", "w2a9"]
    kept(sorted(names, key=natural_order))


def test_columns_that_lie_one_after_the_other(kept, tmp_path):
    path = tmp_path / "x.bin"
    path.write_bytes(np.arange(60, dtype="<i4").tobytes())
    everything = FileArray(open_regular(path), np.dtype("<i4"), 0, 60)
    kept([np.asarray(everything[a:b]) for a, b in itertools.combinations((0, 1, 7, 59, 60, 99), 2)])
    for shape in ((5, 12), (12, 5), (3, 4, 5), (60, 1), (1, 60)):
        data = ColumnMajor(everything, shape)
        for a, b in ((0, 60), (0, 7), (3, 4), (7, 31), (13, 14), (59, 60), (10, 10)):
            part = np.asarray(data[a:b]).reshape(-1)
            kept([part[:6], part[-6:], int(part.sum()), int((part * np.arange(1, len(part) + 1)).sum())])


def test_spans_and_ranges(kept):
    some = [(5, 9), (0, 3), (3, 4), (20, 20), (8, 12), (30, 40)]
    kept(
        [
            span.merge(some),
            span.merge([]),
            *(span.subtract(a, b, span.merge(some)) for a, b in ((0, 50), (4, 5), (6, 10), (11, 31), (40, 41), (7, 7))),
        ]
    )
    texts = (
        "bytes 10-19/200",
        "bytes 10-19/*",
        "bytes10-19/200",
        "Bytes 0-0/1",
        "",
        "items 1-2/3",
        " bytes 1-2/3 ",
        "bytes 1-2",
    )
    kept([_content_range(text) for text in texts])
    for status, headers in itertools.product(
        (200, 404, 408, 429, 500, 503, 599),
        (
            {},
            {"Retry-After": "7"},
            {"Retry-After": " 3 "},
            {"Retry-After": "x"},
            {"Retry-After": "-1"},
            {"Retry-After": "1e9"},
        ),
    ):
        trouble = passing_trouble(status, headers)
        kept([status, None if trouble is None else [str(trouble), getattr(trouble, "wait", None)]])
    kept(asdict(Patience()))


def test_indexes(kept, tmp_path):
    from quantviz.sources.parts import weight_map_of

    for content in (
        b"",
        b"[]",
        b"{}",
        b'{"weight_map": 1}',
        b'{"weight_map": {"a": 1}}',
        b'{"weight_map": {"a": "b"}}',
        b"{",
        b"\xff",
        b'{"a": NaN}',
        json.dumps({"weight_map": {"a": "x", "b": "y"}}).encode(),
        b'{"a": ' + b"[" * 200 + b"]" * 200 + b"}",
        b'{"a": 1, "a": 2}',
    ):
        kept(tried(weight_map_of, content, "w.index.json"))


def test_the_interface(kept):
    kept(interface("sources"))
