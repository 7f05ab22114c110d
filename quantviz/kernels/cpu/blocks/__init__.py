"""Block types on the CPU: their bytes written, read and measured, compiled."""
