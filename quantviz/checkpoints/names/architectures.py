"""Which architecture a Hugging Face model has in GGUF's words, by its own config.json.

As llama.cpp's converter decides: by the first class that `architectures` names, of the text model where there are
several; `model_type` where no class is named.
https://github.com/ggml-org/llama.cpp/blob/0c1e570/conversion/__init__.py
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from .counts import text_part

# GGUF's word -> what its models are called in config.json where that is another, in small letters and digits alone.
_CALLED = {
    "arwkv7": "rwkvhybrid",
    "bailingmoe2": "bailingmoev2 sarvammoe modelingsarvammoesarvammoe",
    "bailingmoe3": "bailingmoev3 bailingmoev3vl",
    "bert": "camembert distilbert roberta xlmroberta",
    "chatglm": "glm",
    "command-r": "cohere",
    "deci": "decilm nemotronnas",
    "deepseek2": "deepseekv2 deepseekv3 glm4moelite kimik25 kimivl youtu youtuvl sarvammla",
    "deepseek2-ocr": "deepseekocr deepseekocr2 unlimitedocr",
    "deepseek32": "deepseekv32",
    "deepseek4": "deepseekv4",
    "dflash": "dflash2 qwen3dspark dspark dsparkspeculator lfm2dspark lingdspark deepseekv4dspark gemma4dspark "
              "museglimmerassistant",
    "dots3note": "dots3notetext",
    "eurobert": "jinaembeddingsv5",
    "exaone4": "exaone45",
    "falcon": "rw refinedweb refinedwebmodel",
    "gemma3": "shieldgemma2",
    "gemma4": "gemma4unified",
    "gemma4-assistant": "gemma4unifiedassistant",
    "glm-dsa": "glmmoedsa",
    "glm4": "glm4v glmocr",
    "glm4moe": "glm4vmoe solaropen",
    "gpt2": "gptsw3 rugpt3xl",
    "granite_swa": "granitemoeswa",
    "granitehybrid": "bamba granitemoehybrid",
    "granitemoe": "granitemoeshared",
    "grok": "grok1",
    "grovemoe": "modelinggrovemoegrovemoe",
    "hunyuan-dense": "hunyuandensev1 hunyuanv1dense",
    "hunyuan-moe": "hunyuanmoev1 hunyuanv1moe",
    "jina-bert-v2": "jinabert",
    "lfm2": "lfm25audiotokenizer lfm2bidirectional",
    "llada-moe": "lladamoe",
    "llama": "eagle3 eagle3speculator eagle3llama internlm3 iquestcoder janus llava mistral mixtral sarashina2vision "
             "ultravox vllama3 voxtral",
    "llama-embed": "llamabidirectional",
    "mamba": "falconmamba",
    "mimo2": "mimov2 mimov2flash",
    "minimax-01": "minimaxtext01 minimaxm1",
    "minimax-m3": "minimaxm3sparse minimaxm3vl",
    "mistral3": "ministral3",
    "nemotron_h_moe": "nemotronhpuzzle",
    "olmo2": "olmo3",
    "paddleocr": "paddleocrvl",
    "phi2": "phi",
    "phi3": "phi4",
    "qwen2": "audioflamingo3 dotsocr kormo qwen2audio",
    "qwen2vl": "qwen25omni qwen25vl",
    "qwen3": "stepvl",
    "qwen35": "minicpmv46",
    "qwen3vl": "qwen3asr",
    "qwen3vlmoe": "qwen3omnimoe",
    "refact": "gptrefact",
    "stablelm": "llavastablelmepoch stablelmepoch",
    "starcoder": "gptbigcode",
    "step35": "step3p5 step3p7",
    "t5": "mt5 umt5",
}  # fmt: skip
# Classes whose ending is part of the name.
_CLASSES = {"Gemma3TextModel": "gemma-embedding", "ExaoneForCausalLM": "exaone", "LLaDAMoEModel": "llada-moe",
            "T5EncoderModel": "t5encoder"}  # fmt: skip
_ENDINGS = re.compile(
    r"(For(CausalLM|ConditionalGeneration|MaskedLM|SequenceClassification)\w*|(With)?LMHead(Model)?|(Draft)?Model(LM)?)$"
)
# Classes that the converter takes at their word although their text model names one of its own.
_WHOLE = ("StepVL", "Sarashina2Vision", "Exaone4_5", "Step3p7", "KimiK3")


def called(config: Mapping[str, Any], known: Mapping[str, Any]) -> str | None:
    """general.architecture of the file that a model of this config.json becomes; None where it names none of `known`.

    >>> called({"model_type": "gpt_neox"}, {"gptneox": 0})
    'gptneox'
    >>> called({"architectures": ["MixtralForCausalLM"]}, {"llama": 0})
    'llama'
    """
    plain = {_letters(name): name for name in known}
    for said in said_by(config):
        name = _CLASSES.get(said) or _named(_letters(_ENDINGS.sub("", said)), plain)
        if name in known:
            return _variant(name, config)
    return None


def said_by(config: Mapping[str, Any]) -> list[str]:
    """What a config.json calls its model, the most telling first."""
    text = text_part(config)
    own, inner = (_first(part.get("architectures")) for part in (config, text))
    order = [own, inner] if own.startswith(_WHOLE) else [inner, own]
    order += [kind for part in (text, config) if isinstance(kind := part.get("model_type"), str)]
    return list(dict.fromkeys(name for name in order if name))


def _named(letters: str, plain: Mapping[str, str]) -> str | None:
    for spelled in (letters, letters.removesuffix("text")):
        name = _BY_LETTERS.get(spelled) or plain.get(spelled)
        if name:
            return name
    return None


def _variant(name: str, config: Mapping[str, Any]) -> str:
    """Where one class of models becomes either of two architectures."""
    if name == "nomic-bert" and config.get("moe_every_n_layers"):
        return "nomic-bert-moe"
    if name == "nemotron_h" and "num_experts_per_tok" in config:
        return "nemotron_h_moe"
    return name


def _first(names: object) -> str:
    return names[0] if isinstance(names, list) and names and isinstance(names[0], str) else ""


def _letters(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


_BY_LETTERS = {called: name for name, words in _CALLED.items() for called in words.split()}
