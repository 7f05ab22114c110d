"""Codes are never taken for weights: every packed format is known by its tensors, and refused by name everywhere."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

import quantviz as qv
from quantviz.checkpoints.packed import FORMATS
from quantviz.checkpoints.recognition import INSTEAD
from quantviz.cli import main
from quantviz.published.beside import pair_up, whole
from quantviz.published.mixes import recipe, sizes
from quantviz.sources.safetensors_header import DTYPES
from tests.checkpoints.golden import load
from tests.checkpoints.layouts import ALL, EXAMPLES, IN, OUT, Example, Tensors, example_of
from tests.sources.builders import with_header

PLAIN = {"model.norm.weight": ("F32", (IN,)), "model.embed_tokens.weight": ("F32", (64, IN)), "l.bias": ("F32", (OUT,))}
CONFIG = {"model_type": "llama"}


def written(folder: Path, tensors: Tensors, config: dict | None = None, file: str = "model.safetensors") -> Path:
    """A model's folder with tensors of small random numbers where they are floats, and any bytes where they are not."""
    rng, header, data = np.random.default_rng(0), {}, []
    at = 0
    for name, (dtype, shape) in tensors.items():
        count = int(np.prod(shape))
        raw = rng.integers(1, 100, count * DTYPES[dtype][1] // 8, np.uint8).tobytes()
        if dtype == "F32":
            raw = rng.standard_normal(count, np.float32).tobytes()
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [at, at + len(raw)]}
        at += len(raw)
        data.append(raw)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / file).write_bytes(with_header(header, b"".join(data)))
    if config is not None:
        (folder / "config.json").write_text(json.dumps(config))
    return folder


def marks(example: Example) -> dict:
    """The config.json of such a model."""
    if example.method == "mlx":
        return CONFIG | {"quantization": {"group_size": 64, "bits": 4}}
    return CONFIG | ({"quantization_config": {"quant_method": example.method}} if example.method else {})


def names(example: Example) -> str:
    return f"{example.name}-{'+'.join(name.rpartition('.')[2] for name in example.tensors)}"


@pytest.mark.parametrize("with_config", [False, True], ids=["tensors alone", "with config"])
@pytest.mark.parametrize("example", EXAMPLES, ids=names)
def test_a_packed_layer_is_refused_by_its_format_and_what_belongs_to_it_is_offered_nowhere(
    tmp_path: Path, example: Example, with_config: bool
) -> None:
    folder = written(tmp_path, example.tensors | PLAIN, marks(example) if with_config else None)
    model = qv.open_model(folder if with_config else folder / "model.safetensors")
    codes, *others = example.tensors
    with pytest.raises(qv.QuantvizError) as refused:
        model.open(codes)
    assert example.name in str(refused.value) or example.name == "an unknown format"
    assert "not weights" in str(refused.value) and INSTEAD in str(refused.value) and "\n" not in str(refused.value)
    assert "and its tensors are" not in str(refused.value), "config and tensors agree"
    for name in others:
        assert not model.info(name).holds_weights
        with pytest.raises(qv.QuantvizError):
            model.load(name)
    for name in PLAIN:
        assert model.load(name).shape == PLAIN[name][1] and not model.open(name).notices
    assert len(model.packed_as) == 1
    for refusing in (lambda: recipe(model, "q4_k_m"), lambda: sizes(model)):
        with pytest.raises(qv.QuantvizError, match="is quantized already"):
            refusing()


def test_every_line_of_the_table_is_reached_by_an_example() -> None:
    told = {example.name for example in ALL}
    rare = {"QTIP", "GPTQ or AWQ", "compressed-tensors Marlin 2:4", "bitsandbytes 4-bit", "NVFP4",
            "codes with scales of an unknown format", "SVDQuant (Nunchaku)"}  # fmt: skip
    assert {form.name for form in FORMATS} - told == rare


def test_where_config_and_tensors_disagree_the_tensors_decide_and_the_sentence_says_so(tmp_path: Path) -> None:
    exl2 = example_of("EXL2")
    model = qv.open_model(written(tmp_path / "a", exl2.tensors, {"quantization_config": {"quant_method": "gptq"}}))
    with pytest.raises(qv.QuantvizError, match=r"stored as EXL2.*config.json says gptq, and its tensors are EXL2's"):
        model.open("l.q_weight")
    awq = {"config.json": {"quantization_config": {"quant_method": "awq", "bits": 4}}}
    case = replace(load("gptq")[2][0], config=awq)
    (told,) = [n for n in qv.open_model(case.write(tmp_path / "c")).open(case.weight).notices if "awq" in n]
    assert told.startswith("config.json says that the model is quantized by awq, and this layer's tensors are GPTQ's")
    model = qv.open_model(written(tmp_path / "b", PLAIN, {"quantization_config": {"quant_method": "mxfp4"}}))
    (said,) = qv.evaluate(model.open("model.embed_tokens.weight"), "int4-sym-b32").notices
    assert said.startswith("config.json says that the model is quantized (mxfp4), and none of its tensors holds codes")


@pytest.mark.parametrize(
    ("file", "content", "method"),
    [
        ("config.json", {"text_config": {"quantization_config": {"quant_method": "awq"}}}, "awq"),
        ("config.json", {"quantization_config": {"load_in_4bit": True}}, "bitsandbytes_4bit"),
        ("config.json", {"quantization": {"bits": 4}}, "mlx"),
        ("config.json", {"compression_config": {"format": "dense"}}, "compressed-tensors"),
        ("hf_quant_config.json", {"quantization": {"quant_algo": "NVFP4"}}, "modelopt"),
        ("quantize_config.json", {"bits": 4, "group_size": 128}, "gptq"),
        ("quant_config.json", {"w_bit": 4, "q_group_size": 128}, "awq"),
    ],
)
def test_every_file_that_may_speak_of_it_is_read(tmp_path: Path, file: str, content: dict, method: str) -> None:
    (written(tmp_path, PLAIN) / file).write_text(json.dumps(content))
    (said,) = qv.open_model(tmp_path).open("l.bias").notices
    assert f"{file} says that the model is quantized ({method})" in said


@pytest.mark.parametrize(
    "content", ["{broken", "[1]", '{"quantization_config": [1]}', '{"quantization_config": {"quant_method": [1]}}',
                '{"quantization_config": {"quant_method": "\\u0000\\n' + "x" * 999 + '"}}',
                '{"quantization_config": 7, "model_type": ["gpt2"], "text_config": {"model_type": {}}}']  # fmt: skip
)  # fmt: skip
def test_a_config_of_the_wrong_kind_is_told_and_harms_nothing(tmp_path: Path, content: str) -> None:
    (written(tmp_path, PLAIN) / "config.json").write_text(content)
    (said,) = qv.open_model(tmp_path).open("l.bias").notices
    assert "\n" not in said and "\0" not in said and len(said) < 400


def test_a_plain_cast_to_fp8_is_weights_and_one_with_a_scale_elsewhere_is_not(tmp_path: Path) -> None:
    cast = {"a.weight": ("F8_E4M3", (4, 32)), "b.weight": ("F8_E5M2", (4, 32)), "n.weight": ("F32", (32,))}
    model = qv.open_model(written(tmp_path / "a", cast))
    bits = np.frombuffer((tmp_path / "a" / "model.safetensors").read_bytes()[-4 * 32 * 2 - 128 :][:128], np.uint8)
    assert np.array_equal(model.load("a.weight"), bits.view(ml_dtypes.float8_e4m3fn).astype(np.float32).reshape(4, 32))
    assert model.packed_as == () and not model.open("a.weight").notices
    scaled = cast | {"b.weight_scale": ("F32", (1,))}
    model = qv.open_model(written(tmp_path / "b", scaled))
    with pytest.raises(qv.QuantvizError, match="its own scale is not there"):
        model.open("a.weight")
    model = qv.open_model(written(tmp_path / "c", cast, {"quantization_config": {"quant_method": "fp8"}}))
    with pytest.raises(qv.QuantvizError, match="its own scale is not there"):
        model.open("a.weight")


def test_numbers_of_ones_own_are_left_alone(tmp_path: Path) -> None:
    whole_numbers = np.arange(-32, 32, dtype=np.int8).reshape(2, 32)
    np.save(tmp_path / "w.npy", whole_numbers)
    assert np.array_equal(qv.open_model(tmp_path / "w.npy").load("w"), whole_numbers)
    assert qv.open_model(written(tmp_path / "a", {"w": ("U8", (2, 32))})).load("w").shape == (2, 32)
    mask = {"h.0.attn.bias": ("U8", (1, 1, 8, 8)), "h.0.ln.weight": ("F32", (8,)), "p.position_ids": ("I64", (1, 8))}
    model = qv.open_model(written(tmp_path / "b", mask))
    assert not model.info("h.0.attn.bias").holds_weights and model.packed_as == ()
    assert model.info("h.0.ln.weight").holds_weights


def test_two_files_of_one_model_keep_their_own_companions(tmp_path: Path) -> None:
    block = example_of("EXL2").tensors
    written(tmp_path, block, file="a.safetensors")
    written(tmp_path, block | PLAIN, file="b.safetensors")
    model = qv.open_model(tmp_path)
    for name in ("a.safetensors:l.q_weight", "b.safetensors:l.q_weight", "a.safetensors:l.q_scale"):
        assert not model.info(name).holds_weights and model.info(name).packed.format == "EXL2"


def test_a_repository_of_the_hub_is_recognised_in_the_same_opening(hub, tmp_path: Path) -> None:
    exl2 = example_of("EXL2")
    folder = written(tmp_path, exl2.tensors | PLAIN, marks(exl2))
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    hub.add_repo("org/name", files)
    hub.add_repo("org/huge", files | {"config.json": b" " * (5 << 20)})
    model = qv.open_model("hf:org/name")
    with pytest.raises(qv.QuantvizError, match="'l.q_weight' is stored as EXL2"):
        model.open("l.q_weight")
    assert model.config["quantization_config"]["quant_method"] == "exl2"
    asked = [request.path.rpartition("/")[2] for request in hub.requests if request.method == "GET"]
    assert asked.count("config.json") == 1 and "hf_quant_config.json" not in asked
    assert qv.open_model("hf:org/name").config and asked.count("config.json") == 1, "kept in the cache"
    (said,) = qv.open_model("hf:org/huge").open("l.bias").notices
    assert "config.json is larger than" in said


def test_the_command_line_lists_what_is_packed_and_why(tmp_path: Path, capsys) -> None:
    exl2 = example_of("EXL2")
    ref = str(written(tmp_path, exl2.tensors | PLAIN, marks(exl2)))
    assert main(["tensors", ref, "--json"]) == 0
    found = {line["name"]: line for line in json.loads(capsys.readouterr().out)}
    assert found["l.q_weight"]["packed_as"] == found["l.q_scale"]["packed_as"] == "EXL2"
    assert "codes, not weights" in found["l.q_weight"]["why_not"] and "the scales" in found["l.q_scale"]["why_not"]
    assert set(found["l.bias"]) == {"name", "shape", "dtype", "nbytes"}
    assert main(["tensors", ref]) == 0
    printed = capsys.readouterr().out
    assert "codes of EXL2" in printed and "1 tensor holds codes of EXL2, which quantviz does not decode" in printed
    for command in (["evaluate", ref, "l.q_scale", "int4-sym-b8"], ["evaluate", ref, "l.q_weight", "fp16"],
                    ["mix", ref, "q4_k_m"], ["mix", ref]):  # fmt: skip
        assert main(command) == 2
        refused = capsys.readouterr().err
        assert "EXL2" in refused and refused.count("\n") == 1


def test_against_compares_what_is_plain_and_refuses_the_rest_by_name(tmp_path: Path) -> None:
    block = example_of("EETQ").tensors
    original = qv.open_model(written(tmp_path / "a", PLAIN | {"l.weight": ("F32", (OUT, IN))}))
    made = qv.open_model(written(tmp_path / "b", PLAIN | block))
    pairs = pair_up(original, made)
    assert {pair.original for pair in pairs.pairs} == {*PLAIN, "l.weight"} and pairs.only_file == ()
    refused = dict(found for found in whole(original, made) if isinstance(found, tuple))
    (why,) = refused.values()
    assert "'l.weight' is stored as EETQ" in why


def test_a_language_model_of_codes_is_refused_though_its_config_says_nothing(tmp_path: Path) -> None:
    from quantviz.quality.model.loading import open_language_model

    demo = Path(qv.__file__).parent / "quality" / "demo"
    for path in demo.iterdir():
        if path.name != "model.safetensors":
            (tmp_path / path.name).write_bytes(path.read_bytes())
    written(tmp_path, example_of("EXL2").tensors)
    refused = pytest.raises(qv.QuantvizError, match=r"is quantized already \(EXL2\)")
    with refused, open_language_model(str(tmp_path)):
        pass
