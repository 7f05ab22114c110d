"""Every weight matrix of a model under every scheme: one row a tensor and scheme, kept as it comes."""
