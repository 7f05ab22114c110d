"""Every weight matrix of a model under every scheme."""
