"""The sidebar: the tensor and the scheme."""
