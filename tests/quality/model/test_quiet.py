"""Silence while models are opened, and as it was before after."""

from __future__ import annotations

import logging

from transformers.utils import logging as theirs

from quantviz.quality.model.quiet import transformers_quietly


def test_what_was_set_comes_back_when_the_last_is_through() -> None:
    before = theirs.get_verbosity(), theirs.is_progress_bar_enabled(), logging.getLogger("torchao").level
    with transformers_quietly() as transformers:
        with transformers_quietly():
            pass
        assert theirs.get_verbosity() == logging.CRITICAL and not theirs.is_progress_bar_enabled()
        assert transformers.__name__ == "transformers"
    assert (theirs.get_verbosity(), theirs.is_progress_bar_enabled(), logging.getLogger("torchao").level) == before
