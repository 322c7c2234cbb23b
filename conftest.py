"""The tests' tensors are small: more threads than one only wait for each other."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
