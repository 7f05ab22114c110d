"""What this machine is and has: memory, processor, GPU driver, cache folders."""
