"""Trains the demo model that quantviz ships: `python -m quantviz.quality.train_demo --text kjv.txt.gz --out FOLDER`.

The corpus, the recipe, the tokenizer, the training itself and the finished folder are a file each.
"""
