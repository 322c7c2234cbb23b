"""What is particular to training on a device: its data, transposes and kernels."""
