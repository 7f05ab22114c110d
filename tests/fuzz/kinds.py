"""What is fuzzed: for each kind, files that are sound, how they are damaged, and what reads them.

`read` gives True where the file was accepted, and raises QuantvizError where it was refused; `theirs` does so
with the library whose format it is, so that what it refuses is refused here too, but for what `known` says.
"""

from __future__ import annotations

import json
import random
import struct
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

import quantviz as qv
from quantviz.errors import QuantvizError
from tests.fuzz import packed
from tests.fuzz.mutations import bytewise, wordwise

W = np.random.default_rng(0).standard_normal((4, 64)).astype(np.float32)


@dataclass(frozen=True)
class Kind:
    """make: the sound files, by name in a folder.  damage: of (name, content).  read, theirs: of the folder in which
    that file lies."""

    name: str
    make: Callable[[Path], None]
    read: Callable[[Path], bool]
    damage: Callable[[str, bytes, random.Random], bytes]
    targets: tuple[str, ...]
    theirs: Callable[[Path], None] | None = None
    known: Callable[[Path, Exception], bool] = lambda folder, problem: False


def use(model: qv.sources.Model) -> bool:
    """Lists, and loads what can be: each refusal of a single tensor is as good as a reading."""
    for info in model.tensors[:20]:
        assert info.rows * info.cols == info.size and info.bits_per_weight is not None
        if info.nbytes > 1 << 22:
            continue
        try:
            model.load(info.name)
        except QuantvizError:
            pass
    return True


# -- safetensors ---------------------------------------------------------------------------------


def _safetensors(folder: Path) -> None:
    from safetensors.numpy import save

    parts = {"a": W, "b.weight": W.astype(np.float16), "c": np.zeros(0, np.int8), "d": np.float32(1).reshape(())}
    (folder / "m.safetensors").write_bytes(save({k: np.array(v) for k, v in parts.items()}, {"format": "pt"}))


def _header(data: bytes, rng: random.Random) -> bytes:
    """The JSON of a header damaged, mostly with its length put right."""
    if rng.random() < 0.15:
        return bytewise(data, rng)
    length = int.from_bytes(data[:8], "little")
    text = wordwise(data[8 : 8 + length], rng)
    return struct.pack("<Q", len(text)) + text + data[8 + length :]


def _theirs_safetensors(folder: Path) -> None:
    import safetensors

    with safetensors.safe_open(folder / "m.safetensors", "np") as file:
        list(file.keys())


def _index(folder: Path) -> None:
    from safetensors.numpy import save

    (folder / "s1.safetensors").write_bytes(save({"a": W}))
    (folder / "s2.safetensors").write_bytes(save({"b": W}))
    weight_map = {"a": "s1.safetensors", "b": "s2.safetensors"}
    (folder / "m.safetensors.index.json").write_text(json.dumps({"metadata": {"t": 1}, "weight_map": weight_map}))


# -- GGUF ----------------------------------------------------------------------------------------


def gguf_bytes(version: int = 3, split: tuple[int, int] | None = None) -> bytes:
    def text(word: str) -> bytes:
        return struct.pack("<Q", len(word)) + word.encode()

    values = [
        text("general.architecture") + struct.pack("<I", 8) + text("llama"),
        text("general.alignment") + struct.pack("<II", 4, 32),
        text("llama.block_count") + struct.pack("<II", 4, 1),
        text("f") + struct.pack("<If", 6, 1.5),
        text("b") + struct.pack("<IB", 7, 1),
        text("tokens") + struct.pack("<IIQ", 9, 8, 3) + text("a") + text("b") + text("c"),
        text("scores") + struct.pack("<IIQ", 9, 6, 3) + bytes(12),
    ]
    if split is not None:
        values += [text("split.no") + struct.pack("<IH", 2, split[0]), text("split.count") + struct.pack("<IH", 2, 2)]
    names = ("token_embd.weight", "blk.0.attn_q.weight") if split is None else (f"t{split[0]}",)
    lines, data = [], b""
    for i, name in enumerate(names):
        kind, content = ((0, W.tobytes()), (8, bytes(4 * 2 * 34)))[i]
        lines.append(text(name) + struct.pack("<IQQIQ", 2, 64, 4, kind, len(data)))
        data += content + bytes(-len(content) % 32)
    head = b"GGUF" + struct.pack("<IQQ", version, len(lines), len(values)) + b"".join(values) + b"".join(lines)
    return head + bytes(-len(head) % 32) + data


def _gguf(version: int) -> Callable[[Path], None]:
    return lambda folder: (folder / "m.gguf").write_bytes(gguf_bytes(version)) and None


def _split(folder: Path) -> None:
    for i in range(2):
        (folder / f"m-0000{i + 1}-of-00002.gguf").write_bytes(gguf_bytes(split=(i, 2)))


def _header_only(_: str, data: bytes, rng: random.Random) -> bytes:
    """Damage within the header, and now and then anywhere."""
    end = len(data) if rng.random() < 0.1 else len(data) - 1600
    return bytewise(data[:end], rng) + data[end:]


def _theirs_gguf(folder: Path) -> None:
    import logging

    import gguf

    logging.disable(logging.CRITICAL)
    reader = gguf.GGUFReader(folder / "m.gguf")
    for tensor in reader.tensors:
        tensor.data.shape  # noqa: B018
    if reader.endianess != gguf.GGUFEndian.LITTLE:
        raise ValueError("big-endian")


def _read_more_of(folder: Path, problem: Exception) -> bool:
    """What is read here on purpose though the package then reads nothing of the file: types that it does not know,
    texts that are no UTF-8."""
    return any(word in str(problem) for word in ("is not a valid GGMLQuantizationType", "codec can't decode"))


# -- .npy, importance, config.json, tokenizer ----------------------------------------------------


def _npy(folder: Path) -> None:
    np.save(folder / "m.npy", W)


def _npy_header(_: str, data: bytes, rng: random.Random) -> bytes:
    if rng.random() < 0.3:
        return bytewise(data[:128], rng) + data[128:]
    return data[:10] + wordwise(data[10:128], rng)[:118].ljust(118) + data[128:]


def _theirs_npy(folder: Path) -> None:
    np.load(folder / "m.npy", mmap_mode="r", allow_pickle=False)


def _imatrix(folder: Path) -> None:
    import gguf

    writer = gguf.GGUFWriter(folder / "m.gguf", "llama")
    writer.add_string("general.type", "imatrix")
    for name, experts in (("blk.0.attn_q.weight", 1), ("blk.0.ffn_up_exps.weight", 3)):
        writer.add_tensor(f"{name}.in_sum2", np.ones((experts, 32), np.float32))
        writer.add_tensor(f"{name}.counts", np.full((experts, 1), 7, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _read_imatrix(folder: Path) -> bool:
    from quantviz.calibration.importance import importance_names, load_importance

    for name in importance_names(folder / "m.gguf")[:5]:
        load_importance(folder / "m.gguf", name)
    return True


def _demo(folder: Path) -> None:
    source = Path(qv.__file__).parent / "quality" / "demo"
    for path in source.glob("*.json"):
        (folder / path.name).write_bytes(path.read_bytes())
    for path in source.glob("*.safetensors"):
        (folder / path.name).symlink_to(path)


def _read_config(folder: Path) -> bool:
    from quantviz.throughput.shapes import model_shape

    try:
        model_shape(str(folder))
    finally:
        _read_language_model(folder)
    return True


def _read_language_model(folder: Path) -> bool:
    """As far as the configuration and the tokenizer; what follows is the same for every model."""
    from quantviz.quality.model.loading import _config, _tokenizer
    from quantviz.quality.model.parts import open_parts
    from quantviz.quality.model.quiet import transformers_quietly

    with open_parts(str(folder)) as parts, transformers_quietly() as transformers:
        _config(transformers, parts)
        _tokenizer(transformers, parts)
    return True


def _words(_: str, data: bytes, rng: random.Random) -> bytes:
    return wordwise(data, rng)


def _start_of_tokenizer(_: str, data: bytes, rng: random.Random) -> bytes:
    """Mostly where the settings are, before the words."""
    at = min(len(data), rng.choice((1500, 1500, 20_000)))
    return wordwise(data[:at], rng) + data[at:]


KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("safetensors", _safetensors, lambda f: use(qv.open_model(f / "m.safetensors")),
             lambda _, d, r: _header(d, r), ("m.safetensors",), _theirs_safetensors),
        Kind("index", _index, lambda f: use(qv.open_model(f / "m.safetensors.index.json")), _words,
             ("m.safetensors.index.json",)),
        Kind("gguf3", _gguf(3), lambda f: use(qv.open_model(f / "m.gguf")), _header_only, ("m.gguf",), _theirs_gguf,
             _read_more_of),
        Kind("split", _split, lambda f: use(qv.open_model(f / "m-00001-of-00002.gguf")), _header_only,
             ("m-00001-of-00002.gguf", "m-00002-of-00002.gguf")),
        Kind("npy", _npy, lambda f: use(qv.open_model(f / "m.npy")), _npy_header, ("m.npy",), _theirs_npy),
        Kind("imatrix", _imatrix, _read_imatrix, lambda _, d, r: bytewise(d, r), ("m.gguf",)),
        Kind("config", _demo, _read_config, _words, ("config.json",)),
        Kind("tokenizer", _demo, _read_language_model, _start_of_tokenizer,
             ("tokenizer.json", "tokenizer_config.json")),
    )
}  # fmt: skip
for file in packed.FORMATS:
    KINDS[f"packed-{file}"] = Kind(
        f"packed-{file}", packed.make(file), lambda f: use(qv.open_model(f)), packed.damage, packed.targets(file)
    )
KINDS["gguf2"] = replace(KINDS["gguf3"], name="gguf2", make=_gguf(2))

if sys.byteorder != "little":
    raise SystemExit("The files made here are little-endian.")
