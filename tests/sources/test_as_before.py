"""Numbers that are pasted, random tensors and pictures: all as it was before."""

from __future__ import annotations

import io
from dataclasses import asdict
from itertools import product
from types import SimpleNamespace

import numpy as np
import pytest

from quantviz.sources import drawn_picture, open_model, pasted, picture, values
from quantviz.sources.hub import Hub
from quantviz.sources.pasted import ordinal, read_numbers, shortest
from quantviz.sources.synthetic import DISTRIBUTIONS, SyntheticSpec, generate
from quantviz.sources.values import Values
from tests.recorded import tried

TEXTS = (
    "-0.89, 0.16, 0.08",
    "1 2 3\n4 5 6",
    "1\n2\n3",
    "[[1. 2.]\n [3. 4.]]",
    "[1, 2, [3]]",
    "((1, 2), (3, 4))",
    "0,89; -0,16",
    "1,5\n2,5",
    "1,5;2,5\n3;4,25",
    "1;2;3",
    "1;2\n3;4",
    "a;b\n1;2",
    "name\n1\n2",
    "x\n",
    "# only\n# remarks",
    "# remark\n1 2",
    "",
    "  \n ",
    "1,,2",
    ",1",
    "1,",
    "1, 2,\n3, 4",
    "1 2\n3",
    "1 2\n3 4\n5",
    "nan",
    "1 2 inf\n",
    "1, NA, 3",
    "1e39",
    "-3.5e38, 1",
    "1e400",
    "0x10",
    "1_0",
    "+1 +-2",
    "+3 -4",
    "0.1 0.2",
    "0.123456789012",
    "16777217",
    "16777216",
    "1e-46 1",
    "-0",
    "-0.0 0",
    "tensor([1., 2.])",
    "array([[1, 2], [3, 4]], dtype=float32)",
    "values:1,2;3,4",
    "values:",
    "values:1,2;3",
    "values:1,",
    "values:1e",
    "values:1,2.",
    "values:-",
    '"1","2"\n"3","4"',
    "'1' '2'",
    "1\t2\n3\t4",
    "1.234,5",
    "1.234,5; 2",
    "1,234",
    "1,234\n5,678",
    "1,234.5",
    "−1 −2",
    "\ufeff1 2",
    "1\u00a02",
    '{"a": [1, 2]}',
    "[1, 2",
    "1, 2]",
    "1 2 3 4 5 x",
    "a,b,1\n2,3,4",
    "1e5 2E-5",
    ".5 5.",
    "1\r\n2\r\n",
    "1\0",
    "one two",
    "[]",
    "[[], []]",
    "[[1], [2]]",
    "1;;2",
    "[1;2]",
    "1 2;",
    "n/a\n1",
    "12345678901234567890",
    "1 2\n\n3 4",
    "é",
)


def test_numbers_as_people_paste_them(kept):
    for text in TEXTS:
        found = tried(read_numbers, text)
        kept(
            [
                text,
                found
                if isinstance(found, str)
                else [list(found.numbers.shape), found.numbers.reshape(-1).astype(float), list(found.notes)],
            ]
        )
    kept(
        [
            tried(read_numbers, "1 2 3", most) if most < 3 else len(read_numbers("1 2 3", most).numbers)
            for most in (1, 2, 3, 4)
        ]
    )


def test_values_are_written_as_they_are_read(kept):
    for text in TEXTS:
        found = tried(Values.read, text)
        again = tried(Values.parse, text)
        kept(
            [
                str(again) if isinstance(again, str) else again.ref,
                found if isinstance(found, str) else [found.ref, found.text],
            ]
        )
    for most in ("values:" + "1," * 60_000 + "1", "values:" + "1" * 5_000_001):
        kept(str(tried(Values.parse, most)))
    numbers = (-0.89, 1e-5, 1e-4, 0.001, 0.01, 3e20, 123456, 1e7, 16777216, 1e-45, 3.4e38, 100, 0.30000001, 5e5, 1.5e-7)
    kept([shortest(np.float32(x)) for x in numbers])
    kept([ordinal(n) for n in (0, 1, 2, 3, 4, 10, 11, 12, 13, 14, 21, 22, 101, 111, 112, 113, 1001, 1011)])


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_random_tensors(distribution, kept):
    for more in (
        {},
        {"seed": 5, "scale": 1.0},
        {"outliers": 0.01},
        {"outliers": 1.0, "magnitude": 3.0},
        {"outliers": 1e-6},
    ):
        spec = SyntheticSpec(distribution, rows=40, cols=50, **more)
        w = generate(spec).astype(float)
        kept(
            [
                w[:4],
                w.sum(),
                (w * w).sum(),
                np.abs(w).max(),
                np.flatnonzero(np.abs(w) > 0.3).sum(),
                generate(spec, 100, 130).astype(float).sum(),
            ]
        )
    if distribution == "student_t":
        kept(generate(SyntheticSpec(distribution, rows=2, cols=4, df=5.0)).astype(float))


def test_references_of_random_tensors(kept):
    for text in (
        "normal",
        "normal?rows=8&cols=64&seed=0",
        "laplace?scale=0.5&rows=4",
        "student_t?df=5",
        "normal?df=5",
        "nromal",
        "normal?row=3",
        "normal?rows=0",
        "normal?cols=-1",
        "normal?rows=3&rows=4",
        "normal?rows=a",
        "normal?rows=1.5",
        "normal?seed=-1",
        "normal?seed=18446744073709551615",
        "normal?seed=18446744073709551616",
        "normal?outliers=1.1",
        "normal?outliers=-0.1",
        "normal?outliers=1",
        "normal?scale=0",
        "normal?scale=1e-30",
        "normal?scale=1e20",
        "normal?scale=1.1e20",
        "normal?magnitude=0",
        "normal?magnitude=1e9",
        "normal?magnitude=2e9",
        "student_t?df=2",
        "student_t?df=2.1",
        "normal?rows=44721&cols=44721",
        "normal?rows=44722&cols=44722",
        "normal?scale=x",
        "",
        "normal?rows",
        "normal?",
    ):
        found = tried(SyntheticSpec.parse, f"random:{text}")
        kept([text, found if isinstance(found, str) else [found.ref, found.nbytes, *asdict(found).values()]])


def test_the_picture_that_is_drawn(kept):
    grey = drawn_picture.drawn_picture()
    kept([list(grey.shape), str(grey.dtype), int(grey.astype(int).sum()), np.bincount(grey.reshape(-1) // 16)])
    kept({str(row): [int(v) for v in grey[row, ::16]] for row in range(0, grey.shape[0], 4)})
    kept([grey.astype(int).sum(axis=0)[at : at + 12] for at in range(0, grey.shape[1], 12)])
    kept([grey.astype(int).sum(axis=1)[at : at + 12] for at in range(0, grey.shape[0], 12)])
    kept(picture.as_grey(np.array([-1, -0.5, -0.001, 0, 0.25, 0.499, 0.5, 9])))
    kept(picture.as_weights(np.arange(0, 256, 25, dtype=np.uint8)).astype(float))


def test_pictures_in_files(kept, tmp_path):
    from PIL import Image

    rng = np.random.default_rng(0)
    for mode, shape in (
        ("L", (4, 6)),
        ("RGB", (4, 6, 3)),
        ("RGBA", (4, 6, 4)),
        ("I;16", (4, 6)),
        ("1", (4, 6)),
        ("LA", (4, 6, 2)),
    ):
        values = rng.integers(0, 65536 if mode == "I;16" else 256, shape)
        made = (
            Image.fromarray(values.astype(np.uint16))
            if mode == "I;16"
            else Image.fromarray(values.astype(np.uint8), None)
        )
        made = made.convert("1") if mode == "1" else made
        for turned in (1, 3, 6):
            buffer = io.BytesIO()
            exif = Image.Exif()
            exif[0x0112] = turned
            made.save(buffer, "PNG", exif=exif)
            path = tmp_path / "x.png"
            path.write_bytes(buffer.getvalue())
            stored = open_model(str(path)).open("picture")
            kept(
                [
                    mode,
                    turned,
                    list(stored.shape),
                    stored.numpy().reshape(-1)[:12].astype(float),
                    float(stored.numpy().sum()),
                ]
            )


def test_files_of_numbers(kept, tmp_path, monkeypatch):
    kept([values.MOST_IN_FILE, values.MOST_TEXT, values.MAX_FILE, pasted.MOST_PASTED])  # which sentences tell
    monkeypatch.setattr(values, "MOST_IN_FILE", 9)
    utf16 = "1 2".encode("utf-16")
    for name, data in (
        ("nine.txt", b"1 " * 9), ("ten.txt", b"1 " * 10), ("a.csv", b"1;2\n3;4"), ("b.txt", b"\xe9"), ("c.txt", utf16),
        ("d.txt", b""), ("e.txt", b"1 x"), ("f.csv", b"name\n1\n0.123456789"),
    ):  # fmt: skip
        (tmp_path / name).write_bytes(data)
        found = tried(values.open_number_file, tmp_path / name)
        info = None if isinstance(found, str) else found.tensors[0]
        kept(found if info is None else [info.name, info.shape, list(info.notices)])


@pytest.mark.parametrize("revision", [None, "main"])
@pytest.mark.parametrize("has_token", [False, True])
def test_answers_of_the_hub_that_no_retry_changes(revision, has_token, kept):
    asking = SimpleNamespace(
        ref=SimpleNamespace(repo="some/model", revision=revision), endpoint="https://hub.test",
        headers={"authorization": "Bearer x"} if has_token else {},
    )  # fmt: skip
    said = {}
    codes = (None, "GatedRepo", "RevisionNotFound", "EntryNotFound", "RepoNotFound")
    for status, code, message, file in product(
        (401, 403, 404, 410), codes, ("", "Invalid credentials"), (None, "a.bin")
    ):
        headers = {"X-Error-Code": code, "X-Error-Message": message} if code else {"X-Error-Message": message}
        refusal = Hub._refusal(asking, status, headers, file)
        said[f"{status} {code} {message} {file}"] = f"{type(refusal).__name__}: {refusal}"
    kept(said)
