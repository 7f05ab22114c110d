"""Every tensor of a model under every scheme."""
