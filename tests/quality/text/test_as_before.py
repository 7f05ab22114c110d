"""What the texts of a measurement offer is what it was before; how they are told is held in the folder above."""

from __future__ import annotations

from quantviz.quality.text import texts
from tests.recorded import interface


def test_the_interface(kept):
    kept(interface("quality/text"))


def test_texts(kept):
    kept(
        [
            [len(text), text[:60], text[-60:], texts.identity(text)]
            for text in (texts.demo_text(), texts.calibration_text())
        ]
    )
