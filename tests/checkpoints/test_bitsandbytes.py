"""bitsandbytes: what is told and refused, and how a Hub model's many descriptions are read."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import numpy as np
import pytest

import quantviz as qv
from quantviz.checkpoints import small
from quantviz.checkpoints.decoded import small_tensor
from tests.checkpoints.damaged import case_of, changed, empty, refusal
from tests.checkpoints.golden import Case, load

STATE = "l.weight.quant_state.bitsandbytes__nf4"


def with_state(case: Case, **said) -> Case:
    state = json.loads(case.tensors[STATE][2]) | said
    return with_text(case, json.dumps(state).encode())


def with_text(case: Case, text: bytes) -> Case:
    return changed(case, {STATE: ("U8", (len(text),), text)})


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ({"shape": [2**40, 2**40]}, "cannot hold two codes each of"),
        ({"shape": [-24, -128]}, "no shape of two or three axes"),
        ({"shape": [24.0, 128]}, "no shape of two or three axes"),
        ({"shape": [True, 3072]}, "no shape of two or three axes"),
        ({"shape": "24x128"}, "no shape of two or three axes"),
        ({"shape": [3072]}, "no shape of two or three axes"),
        ({"shape": [24, 129]}, "cannot hold two codes each of"),
        ({"blocksize": 0}, "no blocksize of 32, 64"),
        ({"blocksize": 48}, "no blocksize of 32, 64"),
        ({"blocksize": 128}, "48 scales of uint8 do not fit the 24 blocks of 128 weights"),
        ({"quant_type": "fp4"}, "is called nf4 and says that it is of another type"),
        ({"nested_blocksize": 0}, "no nested_blocksize"),
        ({"nested_blocksize": 7}, "1 scales of scales, where 7 are needed"),
        ({"nested_offset": "0.1"}, "no nested_blocksize or nested_offset"),
        ({"nested_offset": 1e300}, "no nested_blocksize or nested_offset"),
    ],
)
def test_a_quant_state_that_does_not_fit_is_refused(tmp_path: Path, said: dict, sentence: str) -> None:
    assert sentence in refusal(tmp_path, with_state(case_of("bitsandbytes", "nf4 g64 nested 24x128"), **said))


@pytest.mark.parametrize(
    "text",
    [b"{", b"[1]", b"\xff\xfe", b"[" * 60_000, b'{"shape": [24, 128], "shape": [1, 1]}', b'{"nested_offset": NaN}'],
)  # fmt: skip
def test_a_quant_state_that_is_no_json_is_refused(tmp_path: Path, text: bytes) -> None:
    said = refusal(tmp_path, with_text(case_of("bitsandbytes", "nf4 g64 nested 24x128"), text))
    assert "what it says of itself cannot be read" in said


def test_a_quant_state_that_is_too_long_is_not_read(tmp_path: Path) -> None:
    case = with_text(case_of("bitsandbytes", "nf4 g64 nested 24x128"), b" " * 70_000)
    assert "longer than 65,536 bytes" in refusal(tmp_path, case)


@pytest.mark.parametrize(
    ("without", "sentence"),
    [
        ((".bitsandbytes__nf4",), "the quant_state, in which its shape stands, is not beside it"),
        (("nested_quant_map",), "the table of what its scales' codes stand for is not there"),
        (("nested_absmax",), "48 scales of uint8 do not fit"),
    ],
)
def test_what_is_missing_is_named(tmp_path: Path, without: tuple[str, ...], sentence: str) -> None:
    assert sentence in refusal(tmp_path, changed(case_of("bitsandbytes", "nf4 g64 nested 24x128"), without=without))


def test_rows_of_another_gpu_s_order_are_refused_when_they_are_read(tmp_path: Path) -> None:
    case = changed(case_of("bitsandbytes", "int8 with format"), {"l.weight_format": ("U8", (), b"\2")})
    assert "in the order of some GPU's cores (number 2)" in refusal(tmp_path, case)


def test_scales_of_int8_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    assert "19 scales of float32" in refusal(
        tmp_path, changed(case_of("bitsandbytes", "int8"), {"l.SCB": empty("F32", 19)})
    )


def test_damaged_scales_are_told_when_they_are_read(tmp_path: Path) -> None:
    nan = ("F32", (48,), np.full(48, np.nan, np.float32).tobytes())
    case = changed(case_of("bitsandbytes", "nf4 g64 24x128"), {"l.weight.absmax": nan})
    assert "scales or zero points that are no numbers" in refusal(tmp_path, case)


def test_second_level_scales_are_shown_for_a_nested_weight(tmp_path: Path) -> None:
    case = case_of("bitsandbytes", "nf4 g64 nested 24x128")
    taken = qv.open_model(case.write(tmp_path)).open("l.weight").unpacked(3, 5)
    assert taken.stored["absmax"].dtype == np.uint8 and taken.stored["absmax"].shape == taken.scales.shape == (2, 2)
    assert taken.codes.max() < 16 and taken.width == 64


def test_descriptions_of_a_hub_model_are_read_several_at_a_time_and_kept(hub, tmp_path: Path, monkeypatch) -> None:
    case, layers = case_of("bitsandbytes", "nf4 g64 nested 24x128"), 32
    tensors = {f"{i}.{name}": tensor for i in range(layers) for name, tensor in case.tensors.items()}
    folder = Case("many", "", tensors, case.expected, config=case.config).write(tmp_path / "many")
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    hub.add_repo("org/many", files)
    together = threading.Barrier(4, timeout=20)  # of those that read one after the other, none would pass it

    def read(*given):
        together.wait()
        return small_tensor(*given)

    monkeypatch.setattr(small, "small_tensor", read)
    model = qv.open_model("hf:org/many")
    assert (
        sum(info.decoded for info in model.tensors) == layers and hub.file_bytes < len(files["model.safetensors"]) / 2
    )
    assert np.array_equal(model.load("7.l.weight"), qv.open_model(folder).load("7.l.weight"))
    hub.forget()
    qv.open_model("hf:org/many")
    assert not any(request.range for request in hub.requests), "kept in the cache"


def test_descriptions_are_read_one_by_one_where_they_are_many(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(small, "_TOGETHER", 10)
    case = case_of("bitsandbytes", "nf4 g64 nested 24x128")
    assert qv.open_model(case.write(tmp_path)).load("l.weight").shape == (24, 128)


def test_rows_of_a_hub_layer_travel_alone(hub, tmp_path: Path) -> None:
    rows, cols = 4096, 512
    state = json.dumps({"shape": [rows, cols], "blocksize": 64, "quant_type": "fp4"}).encode()
    tensors = {
        "l.weight": ("U8", (rows * cols // 2, 1), bytes(rows * cols // 2)),
        "l.weight.absmax": empty("F32", rows * cols // 64),
        "l.weight.quant_state.bitsandbytes__fp4": ("U8", (len(state),), state),
    }
    folder = Case("large", "", tensors, np.empty(0)).write(tmp_path / "large")
    hub.add_repo("org/large", {path.name: path.read_bytes() for path in folder.iterdir()})
    model = qv.open_model("hf:org/large")
    hub.forget()
    assert model.load("l.weight", rows=(1000, 1010)).shape == (10, cols)
    assert hub.file_bytes == 10 * (cols // 2 + cols // 64 * 4)


def test_another_type_in_config_is_told(tmp_path: Path) -> None:
    case = case_of("bitsandbytes", "nf4 g64 nested 24x128")
    for said, told in (({"bnb_4bit_quant_type": "fp4"}, "fp4"), ({"load_in_8bit": True}, "int8"),
                       ({"bnb_4bit_quant_type": "nf4"}, ""), ({"bnb_4bit_quant_type": ["x"]}, "")):  # fmt: skip
        config = {"quantization_config": {"quant_method": "bitsandbytes", **said}}
        model = qv.open_model(changed(case, config=config).write(tmp_path / (told or str(len(str(said))))))
        notices = model.open("l.weight").notices
        assert notices == ((f"config.json says {told}, and the tensors are those of nf4, which counts.",) * bool(told))


def test_goldens_cover_every_type_storage_and_nesting() -> None:
    names = [case.name for case in load("bitsandbytes")[2]]
    for words in ("nf4", "fp4", "nested", "in uint8", "in bfloat16", "in float32", "3x10x64", "7x33", "int8"):
        assert any(words in name for name in names)
