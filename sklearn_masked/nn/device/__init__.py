"""Kernels for a device, and the transposes of batches that they read."""
