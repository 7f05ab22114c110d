"""What a layer is fed: how much each of its inputs counts."""
