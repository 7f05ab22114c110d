"""What a model may be opened from, and one clear sentence for everything that can be wrong with it."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertForMaskedLM, GPT2Config, GPT2LMHeadModel, LlamaForCausalLM

from quantviz.errors import QuantvizError
from quantviz.quality.measure import measure_quality
from quantviz.quality.model import memory_needed
from quantviz.quality.model.layers import find_layers
from quantviz.quality.model.loading import open_language_model
from quantviz.quality.model.parts import refuse_other_than_causal
from quantviz.quality.model.replacing import Originals, Replacer
from quantviz.schemes import Scheme
from tests.quality.models import as_gguf, edit_json, random_llama, save

SMALL = {"tokens": 256, "context": 128}


def figures(ref, *schemes: str, **options) -> list[tuple]:
    found = [r for r in measure_quality(str(ref), schemes, **(SMALL | options)) if r.complete]
    return [(r.base_perplexity, r.perplexity_ratio, r.kl_mean, r.bits_per_weight) for r in found]


def test_a_gguf_file_gives_what_its_folder_does(llama, tmp_path) -> None:
    path = as_gguf(llama, tmp_path / "model.gguf")
    cache = tmp_path / "cache"
    told = []
    found = [
        r
        for r in measure_quality(
            str(path), ["fp32", "int4-asym-b32"], cache_dir=cache, progress=lambda *s: told.append(s), **SMALL
        )
        if r.complete
    ]
    assert found[0].perplexity_ratio == 1 and found[0].kl_max == 0
    assert [(r.base_perplexity, r.perplexity_ratio, r.kl_mean) for r in found] == [
        pytest.approx(row[:3], rel=1e-5) for row in figures(llama, "fp32", "int4-asym-b32")
    ]
    assert ("expanding the tensors", 21, 21) in told
    assert not [file for file in cache.rglob("*") if file.is_file()]  # what was kept there had no name


def test_what_progress_raises_while_a_gguf_file_is_read_is_no_fault_of_the_file(llama, tmp_path) -> None:
    def stop(*_) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        next(measure_quality(str(as_gguf(llama, tmp_path / "model.gguf")), ["int8"], progress=stop))


@torch.inference_mode()
def test_gpt2_keeps_its_matrices_transposed_and_is_quantized_along_its_inputs(tmp_path) -> None:
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=2048, n_embd=64, n_layer=1, n_head=2, n_positions=128, bos_token_id=0, eos_token_id=0
    )
    save(GPT2LMHeadModel(config), tmp_path / "gpt2")
    with open_language_model(tmp_path / "gpt2") as opened:
        layers = {layer.path: layer for layer in find_layers(opened.model)}
        assert layers["transformer.h.0.mlp.c_fc"].shape == (256, 64)
        assert layers["transformer.wte"].kinds == ("embeddings", "head")
        layer = layers["transformer.h.0.mlp.c_fc"]
        before = layer.parameter.clone()
        scheme = Scheme.parse("int4-asym-b32")
        with Replacer(Originals(opened, tmp_path)) as replacer:
            replacer.apply({layer: scheme})
            from quantviz.kernels import quantize

            expected = quantize(before.T.contiguous(), scheme).dequantize()
            assert torch.equal(layer.parameter.T, torch.as_tensor(expected))
        assert torch.equal(layer.parameter, before)


def test_weights_in_16_bits_are_read_and_computed_as_told(tmp_path) -> None:
    folder = random_llama(tmp_path / "bf16", torch.bfloat16)
    wide, narrow = (next(measure_quality(str(folder), ["bf16"], dtype=dtype, **SMALL)) for dtype in (None, "bfloat16"))
    assert (wide.dtype, narrow.dtype) == ("float32", "bfloat16")
    assert wide.kl_max == narrow.kl_max == 0 and wide.model_bits_per_weight == 16
    assert wide.base_perplexity == pytest.approx(narrow.base_perplexity, rel=0.05)
    assert wide.base_perplexity != narrow.base_perplexity


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_file_is_never_written_to(tmp_path, dtype) -> None:
    folder = random_llama(tmp_path / "model", torch.bfloat16)
    before = (folder / "model.safetensors").read_bytes()
    first, second = (figures(folder, "int2-sym-tensor", "int8-sym-b32", dtype=dtype) for _ in range(2))
    assert first == second and (folder / "model.safetensors").read_bytes() == before


# -- what is wrong -------------------------------------------------------------------------------


@pytest.fixture
def copy(llama, tmp_path) -> Path:
    return shutil.copytree(llama, tmp_path / "copy")


def refused(ref, says: str, **options) -> None:
    with pytest.raises(QuantvizError, match=says) as caught:
        next(measure_quality(str(ref), ["int8"], **(SMALL | options)))
    assert str(caught.value).endswith((".", "?")) and "\n" not in str(caught.value)


def test_references_that_are_no_language_model(llama, tmp_path) -> None:
    refused("", "reference is empty")
    refused("random:normal", "single tensor, no language model")
    refused("values:0.1,0.2", "single tensor, no language model")
    refused(tmp_path / "nothing", "no file or folder")
    refused(tmp_path / ("x" * 5000), "no file or folder|no usable path")
    refused(llama / "model.safetensors", "give its folder")
    refused(llama / "config.json", "no language model")
    (tmp_path / "model.bin").write_bytes(b"\x80\x04.")
    refused(tmp_path / "model.bin", "pickle")
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", "no config.json")
    (tmp_path / "bad.gguf").write_bytes(b"GGUF" + b"\xff" * 100)
    refused(tmp_path / "bad.gguf", "bad.gguf")
    refused("hf:no repository", "names no Hub repository")


def test_only_causal_language_models(tmp_path) -> None:
    config = BertConfig(
        vocab_size=2048, hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32
    )
    save(BertForMaskedLM(config), tmp_path / "bert")
    refused(tmp_path / "bert", "no causal language model but BertForMaskedLM")


def test_code_of_a_model_is_never_run(copy, tmp_path) -> None:
    ran = tmp_path / "ran"
    (copy / "modeling_mine.py").write_text(f"open({str(ran)!r}, 'w')")
    mine = {"AutoConfig": "modeling_mine.MyConfig", "AutoModelForCausalLM": "modeling_mine.MyModel"}
    edit_json(copy / "config.json", model_type="mine", auto_map=mine)
    refused(copy, "needs code of its own")
    edit_json(copy / "config.json", model_type="llama")  # transformers has this one: what it brings is not needed
    edit_json(copy / "tokenizer_config.json", auto_map={"AutoTokenizer": ["modeling_mine.MyTokenizer", None]})
    assert figures(copy, "fp32")[0][1] == 1
    assert not ran.exists()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"model_type": "lama"}, "knows no model_type 'lama'. Did you mean.*llama"),
        ({"model_type": None}, "knows no model_type"),
        ({"quantization_config": {"quant_method": "gptq"}}, r"quantized already \(gptq\)"),
        ({"num_hidden_layers": 10**9}, "num_hidden_layers is 1,000,000,000, and up to 10,000 are read"),
        ({"num_hidden_layers": 5000}, "5,000 layers, more than there are tensors"),
        ({"hidden_size": 2**40}, "hidden_size is 1,099,511,627,776"),
        ({"architectures": "LlamaForCausalLM2"}, "no causal language model"),
        ({"max_position_embeddings": 1e999}, "well-formed"),
        ({"num_hidden_layers": 3}, "lacks weights that LlamaForCausalLM needs: model.layers.2"),
        ({"hidden_size": 32}, "cannot be opened, its weights"),
        ({"hidden_size": "wide"}, "cannot be opened"),
    ],
)
def test_configurations_that_do_not_fit(copy, changes, says) -> None:
    edit_json(copy / "config.json", **changes)
    refused(copy, says)


def test_files_that_are_missing_or_damaged(copy) -> None:
    tokenizer = (copy / "tokenizer.json").read_bytes()
    (copy / "tokenizer.json").unlink()
    refused(copy, "has no tokenizer; put tokenizer.json")
    (copy / "tokenizer.json").write_bytes(tokenizer[:1000])
    refused(copy, "its tokenizer is at fault")
    (copy / "tokenizer.json").write_bytes(tokenizer)
    (copy / "config.json").write_bytes(b"{")
    refused(copy, "config.json is no well-formed JSON")


def test_a_folder_without_safetensors_says_why_pickles_do_not_do(copy) -> None:
    (copy / "model.safetensors").rename(copy / "pytorch_model.bin")
    refused(copy, "pickle")


def test_nan_in_the_weights(tmp_path) -> None:
    folder = random_llama(tmp_path / "nan")
    model = LlamaForCausalLM.from_pretrained(folder)
    with torch.no_grad():
        model.model.layers[1].mlp.up_proj.weight[3, 4] = np.nan
    model.save_pretrained(folder)
    refused(folder, "as it is stored gives logits that are no finite numbers", targets=["layers.0"])
    assert "1 NaN value, the first at [3, 4]" in next(measure_quality(str(folder), ["int8"], **SMALL)).reason


def test_a_context_longer_than_the_model_reads(llama) -> None:
    refused(llama, "reads 256 tokens at a time; choose a context of 256", context=512, tokens=1024)


def test_devices_and_dtypes(llama) -> None:
    refused(llama, "no device 'tpu'", device="tpu")
    refused(llama, "not computed in 'int8'", dtype="int8")
    if not torch.cuda.is_available():
        refused(llama, "no CUDA GPU", device="cuda")


def test_memory_is_checked_before_anything_is_read(llama, monkeypatch) -> None:
    monkeypatch.setattr(memory_needed, "available", lambda _: 100_000_000)
    refused(llama, r"needs \d+ MB of memory in bfloat16, and 100 MB are free")
    monkeypatch.setattr(memory_needed, "available", lambda _: (256 << 20) + 1_600_000)
    assert next(measure_quality(str(llama), ["int8"], **SMALL)).dtype == "bfloat16"  # float32 would not have fitted


def test_files_outside_the_folder_that_may_be_read(llama, tmp_path) -> None:
    refused(llama, "outside the folder", root=tmp_path)
    inside = tmp_path / "inside"
    inside.mkdir()
    for file in llama.iterdir():
        (inside / file.name).symlink_to(file)
    refused(inside, "outside the folder", root=tmp_path)
    shutil.copytree(llama, tmp_path / "real")
    assert figures("real", "fp32", root=tmp_path)[0][1] == 1


@pytest.mark.parametrize(
    ("architectures", "fits"),
    [
        (["LlamaForCausalLM"], True), (["GPT2LMHeadModel"], True), (["Gemma3ForConditionalGeneration"], True),
        (None, True), ("LlamaModel", True), ([3], True), (["BertModel", "LlamaForCausalLM"], True),
        (["BertModel"], False), (["BertForMaskedLM"], False), (["ViTForImageClassification"], False),
    ],
)  # fmt: skip
def test_what_config_says_of_another_task_is_known_before_anything_is_loaded(architectures, fits) -> None:
    config = {} if architectures is None else {"architectures": architectures}
    if fits:
        refuse_other_than_causal(config, "it")
    else:
        with pytest.raises(QuantvizError, match=f"it is no causal language model but {architectures[0]}"):
            refuse_other_than_causal(config, "it")


def test_no_class_of_transformers_that_predicts_the_next_token_is_refused_early() -> None:
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES as known

    for name in known.values():
        refuse_other_than_causal({"architectures": [name]}, "it")
