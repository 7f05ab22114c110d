"""How few channels carry the importance, and which experts no token reached."""

from __future__ import annotations

import gguf
import numpy as np
import pytest

from quantviz.calibration.energy import Energy, energies, energy, sentence
from quantviz.cli import main
from tests.sources.gguf_builder import close


def imatrix(path, entries):
    """A file of (sums [experts or 1, channels], counts) by name."""
    writer = gguf.GGUFWriter(path, "")
    for name, (sums, counts) in entries.items():
        writer.add_tensor(f"{name}.in_sum2", np.asarray(sums, np.float32))
        writer.add_tensor(f"{name}.counts", np.asarray(counts, np.float32).reshape(-1, 1))
    return close(writer, path)


def test_few_channels_or_all_alike():
    one, alike = np.zeros(100, np.float32), np.ones(100, np.float32)
    one[7] = 3
    assert energy(one) == Energy(100, 1, 1, 1.0) and energy(alike) == Energy(100, 50, 90, 0.01)
    assert "Half of the importance lies in 1 of 100 channels" in sentence(energy(one))
    assert "lies in 50 of 100 channels" in sentence(energy(alike)) and "expert" not in sentence(energy(alike))


def test_experts_that_no_token_reached_are_told_and_left_out(tmp_path):
    sums = np.ones((3, 4), np.float32)
    sums[0, 0] = 97
    entries = {"blk.0.ffn_up_exps.weight": (sums, [1, 0, 1]), "blk.0.attn_q.weight": (np.ones((1, 8)), [5])}
    found = energies(imatrix(tmp_path / "i.gguf", entries))
    experts = found["blk.0.ffn_up_exps.weight"]
    assert (experts.channels, experts.experts, experts.unseen) == (8, 3, ("blk.0.ffn_up_exps.weight[1]",))
    assert experts.half == 1 and experts.largest == pytest.approx(97 / 104)
    assert "No token reached 1 of 3 experts" in sentence(experts)
    assert found["blk.0.attn_q.weight"] == Energy(8, 4, 8, 0.125)


def test_a_single_vector_has_no_name(tmp_path):
    np.save(tmp_path / "h.npy", np.arange(4, dtype=np.float32))
    assert list(energies(tmp_path / "h.npy")) == [""]


def test_the_command_line_says_it_where_importance_is_given(tmp_path, capsys):
    h = np.ones(256, np.float32)
    h[3] = 1e6
    np.save(tmp_path / "h.npy", h)
    call = ["evaluate", "demo", "model.layers.0.self_attn.q_proj.weight", "int4-sym-b64"]
    assert main([*call, "--importance", str(tmp_path / "h.npy")]) == 0
    assert "Half of the importance lies in 1 of 256 channels" in capsys.readouterr().out
    assert main(call) == 0 and "importance lies" not in capsys.readouterr().out
    name = call[2]
    assert main(["against", "demo", "demo", name, "--importance", str(tmp_path / "h.npy")]) == 0
    assert "Half of the importance lies in 1 of 256 channels" in capsys.readouterr().out
