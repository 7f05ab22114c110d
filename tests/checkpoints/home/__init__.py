"""Scripts that make the golden layers with the libraries that pack them; run by hand."""
