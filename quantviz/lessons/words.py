"""The words of the field that no declaration explains: key -> (term, what it means in a sentence or two)."""

from __future__ import annotations

# e: the error; x: the original weight; σ: the standard deviation.
WORDS: dict[str, tuple[str, str]] = {
    "weight": ("Weight", "One of the numbers that training found and a model computes with."),
    "tensor": ("Tensor", "A table of weights under one name. Rows are outputs of a layer, columns its inputs."),
    "layer": ("Layer", "A step of a model. A linear layer multiplies its input by a tensor of weights."),
    "quantization": ("Quantization", "Storing each number as one of a few values, so that it takes fewer bits."),
    "dequantized": ("Dequantized", "Turned back from its code into a number: code times scale, in the plainest case."),
    "format": ("Format", "The set of values that one stored code can stand for, such as int4 or fp8_e4m3."),
    "symmetry": (
        "Symmetry",
        "How codes lie about zero. sym: evenly, with a scale alone; asym: a whole zero point says which code is 0; "
        "offset: the smallest weight is stored as a float and added.",
    ),
    "granularity": (
        "Granularity",
        "Which weights share a scale: the whole tensor, a channel (one row), a block of a row, or a tile.",
    ),
    "scheme": ("Scheme", "Format, symmetry, granularity and options together; its key names them: int4-asym-b64."),
    "pinned": ("Pinned scheme", "The scheme that the one on the page is compared with."),
    "block": ("Block", "So many weights that follow one another in a row and share one scale."),
    "block_type": ("Block type", "A packed layout that a runtime defines with a rule of its own, such as GGUF's q4_k."),
    "k_quants": (
        "K-quants",
        "GGUF's q2_k to q6_k: super-blocks of 256 weights whose small blocks have scales of few bits, which one scale "
        "of the super-block multiplies.",
    ),
    "code": ("Code", "The small whole number that is stored in place of a weight."),
    "scale": ("Scale", "What codes are multiplied by: the distance between neighbouring values of an integer format."),
    "zero_point": ("Zero point", "The code that stands for 0 under an asymmetric scheme."),
    "error": ("Error", "The dequantized weight minus the original one, e = x̂ − x."),
    "sigma": ("σ, standard deviation", "The usual distance of a weight from the mean; of normal ones 68% lie within."),
    "outlier": ("Outlier", "A weight far larger than its neighbours. The scale has to reach it, so theirs is coarse."),
    "super_weight": ("Super weight", "One of the few weights without which a language model no longer works."),
    "crest_factor": ("Crest factor", "The largest magnitude over σ: how far the outliers of a tensor reach."),
    "kurtosis": ("Excess kurtosis", "How heavy the tails of a distribution are; 0 for a normal one."),
    "incoherence": (
        "Incoherence",
        "The largest magnitude times √(number of weights) over the tensor's norm: small where no weight stands out.",
    ),
    "clipping": ("Clipping", "A range narrower than the weights: what lies beyond takes the outermost code."),
    "saturation": ("Saturation", "A number beyond a format's range becomes its largest value and not infinity."),
    "subnormal": ("Subnormal", "A float below the smallest normal one: it gives up digits to come nearer to zero."),
    "mantissa": ("Mantissa", "The bits of a float that say where it lies between one power of two and the next."),
    "exponent": ("Exponent", "The bits of a float that say which power of two it lies above."),
    "pareto_front": ("Pareto front", "The schemes that no other beats: none has less error with as few bits."),
    "rate_distortion": (
        "Rate-distortion limit",
        "The least error that any code of so many bits can have: for normal weights 6.02 dB of SQNR a bit.",
    ),
    "importance": ("Importance", "How much each input channel counts: the mean of its squared inputs, E[x²]."),
    "imatrix": ("Imatrix", "A file of llama.cpp that holds importance, collected while a model reads a text."),
    "calibration": ("Calibration", "Inputs of a layer, recorded while the model reads a text, for GPTQ and AWQ."),
    "held_out": ("Held out", "Kept apart: measured on, but not calibrated or trained on."),
    "gptq": ("GPTQ", "Rounds a column of weights and moves those that follow to make up for its error on the inputs."),
    "awq": ("AWQ", "Scales input channels by how much they count before rounding, and undoes it afterwards."),
    "hqq": ("HQQ", "Moves the minimum of each block until the error, large ones counted less, is smallest."),
    "hadamard": ("Hadamard rotation", "Mixes each row by sums and differences, which spreads an outlier over it."),
    "token": ("Token", "A piece of text, a word or a part of one, that a language model reads or writes at once."),
    "context": ("Context", "The tokens before a token, from which a model says what may come."),
    "nats": ("Nat", "A unit of information: −ln p. One nat is 1.443 bits."),
    "decode": ("Decoding", "Writing one token after another. Each takes all weights of a dense model through once."),
    "bandwidth": ("Bandwidth", "Bytes that memory gives in a second: the ceiling of how fast weights are read."),
    "roofline": ("Roofline", "The two ceilings of speed: bytes that memory gives, operations that arithmetic does."),
    "engine": ("Engine", "What computes: reference (PyTorch, to be read), cpu (numba) or cuda (Triton)."),
    "source": ("Source", "Where tensors come from: a file, the Hub, the demo model, random or typed numbers."),
    "gguf": ("GGUF", "The file format of llama.cpp: names, settings and packed tensors in one file."),
    "safetensors": (
        "Safetensors",
        "A file format of tensors that runs no code when it is opened; the Hub's usual one.",
    ),
    "demo_model": ("Demo model", "A small language model that comes with quantviz, trained on the King James Bible."),
    "recipe": ("Recipe", "A plan of which tensor gets which scheme, in the words of the tool that will do it."),
    "mix": ("Mix", "A choice of block types for the tensors of a model, by a name of llama.cpp such as Q4_K_M."),
}
