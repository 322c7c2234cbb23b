"""How many threads torch's operators use: one, where there is little to do."""

import contextlib
import math

import scipy.sparse as sp
import torch  # noqa: F401  its OpenMP must be loaded where the controller looks
from threadpoolctl import ThreadpoolController

from ._solvers import is_own

# Numbers of X, stored ones of a CSR, up to which one thread is enough. More threads
# wait for each other at each of thousands of small operations, and burn the processor
# as they wait: on two busy cores 490 rows took 18 s of processor time, and 0.6 s alone.
_FEW = 1 << 22
_pools = ThreadpoolController()


@contextlib.contextmanager
def threads_for(module, X):
    """Run torch's operators of this thread by one thread, if X is small.

    Other threads, and torch's own setting, are left alone: OpenMP keeps the number for
    each thread. A module of a user's own, which may be large, gets what torch has.
    """
    size = X.nnz if sp.issparse(X) else math.prod(X.shape)
    if is_own(module) or size > _FEW:
        yield
        return
    with _pools.limit(limits=1, user_api="openmp"):
        yield
