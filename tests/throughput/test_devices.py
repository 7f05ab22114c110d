"""Devices: what is there, and one sentence for everything that can be wrong with one, simulated where there is none."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

import quantviz as qv
from quantviz.machine import nvidia, processor
from quantviz.throughput import Plan, devices

NVIDIA = SimpleNamespace(name="NVIDIA T4", L2_cache_size=4 << 20, total_memory=16 << 30)


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch):
    """gpu(...) makes torch report a GPU, or say why there is none."""

    def pretend(
        cuda: str | None = "13.0",
        available: bool = True,
        says: str = "",
        capability=(9, 0),
        bf16=True,
        triton=True,
        driver=True,
    ) -> None:
        def init() -> None:
            if says:
                raise RuntimeError(says)

        monkeypatch.setattr(torch.version, "cuda", cuda)
        for name, value in {
            "is_available": lambda: available,
            "init": init,
            "get_device_capability": lambda: capability,
            "get_device_name": lambda: "NVIDIA T4",
            "get_device_properties": lambda _: NVIDIA,
            "mem_get_info": lambda: (12 << 30, 16 << 30),
            "is_bf16_supported": lambda including_emulation=True: bf16 or including_emulation,
        }.items():
            monkeypatch.setattr(torch.cuda, name, value)
        monkeypatch.setattr(nvidia, "has_driver", lambda: driver)
        monkeypatch.setattr(nvidia, "find_spec", lambda name: object() if triton else None)
        nvidia.missing.cache_clear()

    yield pretend
    nvidia.missing.cache_clear()


def test_the_cpu_is_always_there() -> None:
    assert {"cpu", "reference"} <= set(devices.available())
    card = devices.card("cpu")
    assert card.name and card.threads >= 1 and card.cache_bytes > 1 << 20 and {"torch", "numba"} <= set(card.versions)
    assert card.memory_bytes is None or card.memory_bytes > 1 << 28
    assert card.free_bytes is None or card.memory_bytes is None or card.free_bytes <= card.memory_bytes


@pytest.mark.parametrize(
    ("listed", "has"),
    [("flags\t\t: fpu avx2 avx512f\n", False), ("flags\t: fpu avx512_bf16 amx_tile\n", True),
     ("Features\t: fp asimd bf16\n", True), ("Features\t: fp asimd\n", False), ("Processor : 0\n", True), (None, True)],
)  # fmt: skip
def test_a_cpu_that_emulates_bfloat16_says_so(tmp_path, monkeypatch, listed: str | None, has: bool) -> None:
    path = tmp_path / "cpuinfo"
    if listed is not None:
        path.write_text(listed, "utf-8")
    monkeypatch.setattr(processor, "CPU_INFO", path)
    assert devices.has_bf16("cpu") is devices.has_bf16("reference") is has and devices.takes_bf16("cpu")
    assert any("no bfloat16 instructions" in notice for notice in devices.card("cpu").notices) is not has
    assert "bf16" in Plan.make("cpu").schemes


@pytest.mark.parametrize(
    ("pretence", "said"),
    [
        ({"cuda": None}, "need torch with CUDA, and this one is built without; install it as pytorch.org says"),
        ({"driver": False}, "no NVIDIA GPU with its driver here"),
        (
            {"available": False, "says": "The NVIDIA driver on your system is too old (found version 11040)."},
            r"The NVIDIA driver \(it serves CUDA 11.4\) is too old for this torch, which was built for CUDA 13.0",
        ),
        ({"available": False, "says": "No CUDA GPUs are available"}, r"torch \(built for CUDA 13.0\) cannot use it"),
        ({"available": False}, r"torch \(built for CUDA 13.0\) cannot use it; update the driver"),
        ({"triton": False}, "need Triton, which is not installed; run pip install triton"),
        ({"capability": (6, 1)}, "NVIDIA T4 has compute capability 6.1, and Triton needs 7.5"),
    ],
)
def test_why_there_is_no_cuda(gpu, pretence: dict, said: str) -> None:
    gpu(**pretence)
    with pytest.raises(qv.QuantvizError, match=said) as caught:
        Plan.make("cuda")
    assert str(caught.value).endswith("choose cpu.") and "\n" not in str(caught.value)
    assert devices.available()[0] != "cuda"
    notice = devices.card("cpu").notices[0]
    assert notice.startswith("Measured on the CPU, not on a CUDA GPU. ") and notice.endswith(".")


def test_a_gpu_comes_first_and_gets_its_own_defaults(gpu) -> None:
    gpu()
    plan = Plan.make()
    assert plan.device == "cuda" and plan.model.key == "9b" and "nvfp4" in plan.schemes and "bf16" in plan.schemes
    card = devices.card("cuda")
    assert (card.name, card.engine, card.memory_bytes, card.free_bytes) == ("NVIDIA T4", "cuda", 16 << 30, 12 << 30)
    assert card.cache_bytes == 4 << 20 and card.notices == ()


def test_a_gpu_without_bfloat16_takes_float16_and_says_so(gpu) -> None:
    gpu(capability=(7, 5), bf16=False)
    plan = Plan.make()
    assert "fp16" in plan.schemes and "bf16" not in plan.schemes
    assert devices.card("cuda").notices == (
        "This GPU has no bfloat16, so float16 stands in its place and there is no factor over bf16.",
    )


@pytest.mark.parametrize("device", ["mps", "xpu"])
def test_other_gpus_that_are_not_there(device: str) -> None:
    with pytest.raises(qv.QuantvizError, match="that torch can use; choose cpu"):
        Plan.make(device)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"device": "gpu"}, "There is no device 'gpu'; choose cuda, xpu, mps, cpu, reference"),
        ({"workloads": []}, "nothing to measure; choose a workload"),
        ({"workloads": ["decod"]}, "no workload 'decod'.*Did you mean decode"),
        ({"schemes": []}, "no scheme to measure"),
        ({"schemes": ["itn4"]}, "'itn4' is no scheme"),
        ({"batch": 0}, "The batch must be a whole number from 1 to 4,096, and not 0"),
        ({"batch": 10**9}, "from 1 to 4,096"),
        ({"rounds": 0}, "The number of rounds must be"),
        ({"layer": (0, 5)}, "two whole numbers from 1"),
        ({"tensor": (5, 10**9)}, "two whole numbers from 1"),
        ({"model": "900b"}, "There is no model '900b'"),
    ],
)
def test_plans_that_make_no_sense(arguments: dict, said: str) -> None:
    with pytest.raises(qv.QuantvizError, match=said):
        Plan.make(**{"device": "cpu", **arguments})


def test_equal_plans_are_equal_and_can_be_keys() -> None:
    one, other = (Plan.make("cpu", ["linear"], ["INT4-b64", "int4-sym-b64"]) for _ in range(2))
    assert one == other and hash(one) == hash(other) and one.schemes == ("int4-sym-b64",)
