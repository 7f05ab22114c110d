"""The compiled loops over a piece of a tensor."""
