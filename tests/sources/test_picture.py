"""Pictures as tensors: the one drawn here is the same everywhere, files are read as Pillow reads them, or refused."""

from __future__ import annotations

import hashlib
import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

import quantviz as qv
from quantviz.errors import QuantvizError
from quantviz.sources import picture
from quantviz.sources.drawn_picture import drawn_picture
from quantviz.sources.picture import as_grey, as_weights


def saved(path, pixels: np.ndarray, mode: str | None = None, **how) -> str:
    Image.fromarray(pixels, mode).save(path, **how)
    return str(path)


def test_the_drawn_picture_is_the_same_on_every_machine():
    grey = drawn_picture()
    assert grey.shape == (256, 256) and len(np.unique(grey)) > 100
    assert hashlib.sha256(grey.tobytes()).hexdigest()[:16] == "b7b1546a59dfdf30"
    model = qv.open_model("picture:")
    assert [(t.name, t.shape, t.dtype) for t in model.tensors] == [("picture", (256, 256), "float32")]
    w = model.load("picture")
    assert -0.5 <= w.min() < -0.3 and w.max() == 0.5
    assert (as_grey(w) == grey).all()
    assert (model.load("picture", (10, 20)) == w[10:20]).all()


def test_every_brightness_is_a_weight_and_comes_back():
    every = np.arange(256, dtype=np.uint8)
    weights = as_weights(every)
    assert (as_grey(weights) == every).all() and (np.diff(weights) > 0).all()
    assert weights[0] == -0.5 and weights[255] == 0.5
    assert as_grey(np.float32([-7, 7])).tolist() == [0, 255], "beyond black and white"


def test_pictures_of_every_kind(tmp_path):
    rng = np.random.default_rng(0)
    grey, color = rng.integers(0, 256, (5, 7), np.uint8), rng.integers(0, 256, (5, 7, 3), np.uint8)
    path = saved(tmp_path / "a.png", grey)
    for ref in (path, f"picture:{path}"):
        assert (qv.open_model(ref).load("picture") == as_weights(grey)).all()
    luminance = as_weights(np.asarray(Image.fromarray(color).convert("L")))
    assert (qv.open_model(saved(tmp_path / "b.webp", color, lossless=True)).load("picture") == luminance).all()
    assert qv.open_model(saved(tmp_path / "c.JPG", color, format="JPEG")).load("picture").shape == (5, 7)
    clear = np.dstack([color, np.zeros((5, 7), np.uint8)])
    assert (qv.open_model(saved(tmp_path / "d.png", clear)).load("picture") == 0.5).all(), "clear is white"
    deep = (grey.astype(np.uint16) << 8) | grey
    assert (qv.open_model(saved(tmp_path / "e.png", deep)).load("picture") == as_weights(grey)).all()
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    turned = qv.open_model(saved(tmp_path / "f.png", grey, exif=exif))
    assert turned.tensors[0].shape == (7, 5)
    assert (turned.load("picture") == as_weights(np.rot90(grey, -1))).all()


def png_that_claims(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")
    )


def test_what_is_no_picture_is_one_sentence(tmp_path):
    gif = io.BytesIO()
    Image.fromarray(np.zeros((2, 2), np.uint8)).save(gif, "GIF")
    for content, says in (
        (b"", "no PNG, JPEG or WebP"), (b"\x89PNG\r\n\x1a\n", "no PNG"), (gif.getvalue(), "no PNG"),
        (b"<svg/>", "no PNG"), (png_that_claims(5000, 5000), "takes up to 16,777,216"),
        (png_that_claims(60000, 60000), "no PNG"), (png_that_claims(2**31 - 1, 2**31 - 1), "no PNG"),
    ):  # fmt: skip
        (tmp_path / "a.png").write_bytes(content)
        with pytest.raises(QuantvizError, match=says):
            qv.open_model(tmp_path / "a.png")
    (tmp_path / "a.png").write_bytes(png_that_claims(64, 64))
    with pytest.raises(QuantvizError, match="damaged picture"):
        qv.open_model(tmp_path / "a.png").load("picture")
    for ref, says in (("picture:nowhere.png", "cannot be read"), (f"picture:{tmp_path}", "a folder")):
        with pytest.raises(QuantvizError, match=says):
            qv.open_model(ref)


def test_damaged_pictures_are_sentences(tmp_path):
    rng = np.random.default_rng(1)
    sound = []
    for kind in ("PNG", "JPEG", "WEBP"):
        file = io.BytesIO()
        Image.fromarray(rng.integers(0, 256, (16, 16, 3), np.uint8)).save(file, kind)
        sound.append(file.getvalue())
    path = tmp_path / "a.png"
    for i in range(300):
        data = bytearray(sound[i % 3])
        for at in rng.integers(0, len(data) if i % 2 else 60, 3):
            data[at] = rng.integers(0, 256)
        path.write_bytes(data[: rng.integers(1, len(data) + 1)] if i % 5 == 0 else data)
        try:
            w = qv.open_model(path).load("picture")
        except QuantvizError as problem:
            assert "\n" not in str(problem)
        else:
            assert np.isfinite(w).all() and w.ndim == 2


def test_a_picture_outside_the_allowed_folder_is_refused(tmp_path, monkeypatch):
    outside = saved(tmp_path / "a.png", np.zeros((2, 2), np.uint8))
    (tmp_path / "inside").mkdir()
    with pytest.raises(QuantvizError, match="outside the folder"):
        qv.open_model(f"picture:{outside}", root=tmp_path / "inside")
    monkeypatch.setattr(picture, "MAX_FILE", 10)
    with pytest.raises(QuantvizError, match="may take 10 B"):
        qv.open_model(outside)
