"""The Triton kernels in Triton's interpreter, and the choice between them and torch's.

Without Triton (``pip install triton``) the kernels' own tests are skipped. Where there
is a GPU they run on it, compiled.
"""

import importlib.util
import os
import subprocess
import sys
import types
import warnings

import numpy as np
import pytest
import scipy.sparse as sp
import torch

HAS_TRITON = importlib.util.find_spec("triton") is not None
if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"  # read as Triton is imported

from sklearn_masked.exceptions import KernelWarning  # noqa: E402
from sklearn_masked.nn import RowWiseAdagrad, SparseSGD  # noqa: E402
from sklearn_masked.nn._sparse import embedding_bag, sum_bags  # noqa: E402
from sklearn_masked.nn.device import _kernels as kernels  # noqa: E402
from sklearn_masked.nn.device import _triton_kernels as triton_kernels  # noqa: E402
from sklearn_masked.nn.device._transpose import transpose_on_device  # noqa: E402

needs_triton = pytest.mark.skipif(
    not HAS_TRITON, reason="Triton is not installed; its kernels cannot run"
)
DEVICE = torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 2e-2}


@pytest.fixture
def poisoned():
    """Whatever torch allocates without filling it is NaN."""
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True)
    assert torch.empty(4).isnan().all()
    yield
    torch.use_deterministic_algorithms(before)


def random_bags(rng, n=150, m=30, index=np.int32, density=0.1):
    """Rows of which some are empty, a column in every other row, columns twice."""
    dense = rng.normal(size=(n, m)) * (rng.random((n, m)) < density)
    dense[:, 0] = rng.normal(size=n)
    dense[[0, 3, n - 1]] = 0
    dense[:, 7] = 0
    X = sp.csr_array(dense)
    # Every entry of a row twice, the second time with another weight.
    twice = np.concatenate([np.tile(np.arange(a, b), 2) for a, b in _ranges(X.indptr)])
    indices, data = X.indices[twice], X.data[twice] * rng.normal(size=len(twice))
    offsets = X.indptr[:-1] * 2
    parts = indices.astype(index), offsets.astype(index), data.astype(np.float32)
    rows = np.repeat(np.arange(n), np.diff(X.indptr) * 2)
    X = sp.coo_array((parts[2].astype(float), (rows, indices)), (n, m)).toarray()
    return X, [torch.from_numpy(part).to(DEVICE) for part in parts]


def _ranges(indptr):
    return zip(indptr[:-1], indptr[1:], strict=True)


def table_of(rng, shape, dtype):
    table = torch.from_numpy(rng.normal(size=shape)).to(dtype)
    return table.to(DEVICE), table.double().numpy()


def assert_near(got, want, dtype):
    scale = TOLERANCE[dtype]
    np.testing.assert_allclose(got.double().cpu(), want, rtol=scale, atol=10 * scale)


# The kernels


@needs_triton
@pytest.mark.parametrize("index", [np.int32, np.int64])
@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("width", [1, 3, 64, 300])
def test_bags_equal_the_dense_product(width, dtype, index, poisoned):
    rng = np.random.default_rng(0)
    X, bags = random_bags(rng, n=40, index=index)
    table, exact = table_of(rng, (30, width), dtype)
    got = triton_kernels.sum_bags(table, *bags)
    assert got.dtype == dtype
    assert_near(got, X @ exact, dtype)
    assert (got[[0, 3, 39]] == 0).all()


@needs_triton
def test_bags_without_weights_and_of_nothing(poisoned):
    rng = np.random.default_rng(1)
    X, (indices, offsets, _) = random_bags(rng, n=20)
    table, exact = table_of(rng, (30, 5), torch.float32)
    ones = np.zeros_like(X)
    ends = np.append(offsets.cpu(), len(indices))
    for row in range(20):
        np.add.at(ones[row], indices.cpu().numpy()[ends[row] : ends[row + 1]], 1)
    got = triton_kernels.sum_bags(table, indices, offsets, None)
    assert_near(got, ones @ exact, torch.float32)
    nothing = triton_kernels.sum_bags(table, indices[:0], offsets[:3] * 0, None)
    assert torch.equal(nothing, table.new_zeros(3, 5))
    assert triton_kernels.sum_bags(table, indices[:0], offsets[:0], None).shape == (
        0,
        5,
    )


@needs_triton
def test_bags_of_slices_and_of_columns_of_a_table(poisoned):
    rng = np.random.default_rng(2)
    X, (indices, offsets, weights) = random_bags(rng, n=20)
    table, exact = table_of(rng, (30, 9), torch.float32)
    first, last = offsets[5], offsets[17]  # no start is aligned
    part = slice(int(first), int(last))
    got = triton_kernels.sum_bags(
        table[:, 2:7], indices[part], offsets[5:17] - first, weights[part]
    )
    assert_near(got, (X @ exact)[5:17, 2:7], torch.float32)


RULES = {"sgd": {}, "decay": {"weight_decay": 0.3}, "adagrad": {"eps": 0.1}}


@needs_triton
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("width", [1, 5, 64])
def test_updates_equal_the_formula(width, dtype, rule, poisoned):
    rng = np.random.default_rng(3)
    X, bags = random_bags(rng)  # column 0 has more entries than a chunk takes
    table, exact = table_of(rng, (30, width), dtype)
    grad, exact_grad = table_of(rng, (150, width), dtype)
    touched = (X != 0).any(axis=0)
    assert not touched[7]
    table[7] = torch.nan  # whoever reads it spreads it
    params = {"lr": 0.25, **RULES[rule]}
    g = X.T @ exact_grad + params.get("weight_decay", 0) * exact
    squares = 0.5 + np.where(touched, np.square(g).mean(axis=1), 0)
    if rule == "adagrad":
        params["squares"] = torch.full((30,), 0.5, device=DEVICE)
        g = g / (np.sqrt(squares) + 0.1)[:, None]
    transposed = transpose_on_device(*bags)
    assert len(transposed.chunks) > len(transposed.columns)
    triton_kernels.update_rows(table, grad, transposed, **params)
    assert table[7].isnan().all()
    rows = np.flatnonzero(touched)
    assert_near(table[rows], (exact - 0.25 * g)[rows], dtype)
    if rule == "adagrad":
        assert params["squares"][7] == 0.5
        assert_near(params["squares"], squares, dtype)


@needs_triton
def test_updates_of_a_slice_of_a_group_and_of_nothing():
    rng = np.random.default_rng(4)
    X, bags = random_bags(rng, n=20)
    table, exact = table_of(rng, (30, 4), torch.float32)
    before = table.clone()
    empty = transpose_on_device(bags[0][:0], bags[1][:2] * 0, bags[2][:0])
    grad, exact_grad = table_of(rng, (20, 4), torch.float32)
    triton_kernels.update_rows(table, grad, empty, lr=1.0)
    assert torch.equal(table, before)
    # The same twice gives the same bits.
    transposed = transpose_on_device(*bags)
    again = table.clone()
    triton_kernels.update_rows(table, grad, transposed, lr=1.0)
    triton_kernels.update_rows(again, grad, transposed, lr=1.0)
    assert torch.equal(table, again)
    assert_near(table, exact - X.T @ exact_grad, torch.float32)


@needs_triton
def test_tables_of_more_than_two_to_the_31_numbers():
    # The pages of the table that nobody touches take no memory on the CPU.
    n, width = 2**31 // 64 + 50, 64
    table = torch.empty(n, width, dtype=torch.bfloat16, device=DEVICE)
    rows = torch.tensor([0, n - 40, n - 1])
    rng = np.random.default_rng(5)
    values, exact = table_of(rng, (3, width), torch.bfloat16)
    table[rows] = values
    bags = rows[[1, 2, 0, 2]].to(DEVICE), torch.tensor([0, 2]).to(DEVICE)
    weights = torch.tensor([1.0, 2.0, 3.0, 4.0], device=DEVICE)
    got = triton_kernels.sum_bags(table, *bags, weights)
    want = np.array([[0, 1, 2], [3, 0, 4]]) @ exact
    assert_near(got, want, torch.bfloat16)
    transposed = transpose_on_device(*bags, weights)
    grad, exact_grad = table_of(rng, (2, width), torch.bfloat16)
    triton_kernels.update_rows(table, grad, transposed, lr=0.5)
    step = 0.5 * np.array([[0, 1, 2], [3, 0, 4]]).T @ exact_grad
    assert_near(table[rows], exact - step, torch.bfloat16)


# What uses them


@pytest.fixture
def forced(monkeypatch):
    """Let tables on the CPU have the kernels, which run in the interpreter."""
    used = []

    def for_table(table):
        used.append(table.shape)
        return triton_kernels

    monkeypatch.setattr(kernels, "for_table", for_table)
    return used


@needs_triton
@pytest.mark.parametrize(
    ("make", "params"),
    [
        (SparseSGD, {"weight_decay": 0.1}),
        (SparseSGD, {"momentum": 0.9}),
        (RowWiseAdagrad, {"weight_decay": 0.1, "initial_accumulator_value": 0.1}),
    ],
    ids=str,
)
def test_optimizers_step_as_without_kernels(make, params, forced, monkeypatch):
    rng = np.random.default_rng(6)
    # On the CPU, too, the transpose must be a device's.
    monkeypatch.setattr(
        "sklearn_masked.nn._sparse.transpose_batch", transpose_on_device
    )
    batches = [random_bags(rng)[1] for _ in range(3)]
    start = table_of(rng, (30, 6), torch.float32)[0]
    updates = []
    update_rows = triton_kernels.update_rows
    monkeypatch.setattr(
        triton_kernels,
        "update_rows",
        lambda *a, **k: updates.append(0) or update_rows(*a, **k),
    )

    def train():
        table = torch.nn.Parameter(start.clone())
        optimizer = make([table], lr=0.1, **params)
        for bags in batches:
            optimizer.zero_grad()
            embedding_bag(table, *bags, sparse="blocks").square().sum().backward()
            optimizer.step()
        return table.detach(), optimizer.state_dict()["state"]

    got, state = train()
    assert len(updates) == (0 if "momentum" in params else 3)
    assert forced
    monkeypatch.setattr(kernels, "for_table", lambda table: None)
    want, other = train()
    torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(state, other, rtol=1e-4, atol=1e-5)


def stub(**changes):
    """What the choice looks at of a table."""
    table = torch.ones(4, 3, requires_grad=changes.pop("requires_grad", False))
    names = ("dtype", "device", "shape", "requires_grad", "numel", "is_contiguous")
    found = {name: getattr(table, name) for name in names}
    return types.SimpleNamespace(**{**found, "is_cuda": True, **changes})


def test_tables_that_no_kernel_takes_get_torch(monkeypatch):
    asked = []
    monkeypatch.setattr(kernels, "_checked", lambda *key: asked.append(key) or "triton")
    assert kernels.for_table(stub()) == "triton"
    assert asked == [(torch.device("cpu"), torch.float32, 3)]
    assert kernels.for_table(stub(is_cuda=False)) is None
    assert kernels.for_table(stub(dtype=torch.float64)) is None
    assert kernels.for_table(stub(numel=lambda: 0)) is None
    assert kernels.for_table(stub(requires_grad=True)) is None
    with torch.no_grad():
        assert kernels.for_table(stub(requires_grad=True)) == "triton"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (1e-3, "are wrong by 0.001 on cpu for torch.float32, width 3"),
        (float("inf"), "are wrong by inf on cpu"),
        (RuntimeError("no compiler"), "fail on cpu: RuntimeError: no compiler"),
        (1e-6, None),
    ],
)
def test_kernels_are_compared_once_and_left_if_they_fail(error, words, monkeypatch):
    calls = []

    def largest_error(*args):
        calls.append(args)
        if isinstance(error, Exception):
            raise error
        return error

    monkeypatch.setattr(kernels, "largest_error", largest_error)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    kernels._checked.cache_clear()
    for turn in range(2):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            found = kernels._checked(torch.device("cpu"), torch.float32, 3)
        assert found is (None if words else triton_kernels)
        if words and not turn:
            (warning,) = caught
            assert warning.category is KernelWarning
            assert words in str(warning.message)
            assert "torch's are used" in str(warning.message)
        else:
            assert caught == []
    assert len(calls) == 1
    kernels._checked.cache_clear()


def test_without_triton_torch_does_the_work_in_silence(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    kernels._checked.cache_clear()
    assert kernels._checked(torch.device("cpu"), torch.float32, 3) is None
    kernels._checked.cache_clear()


class Slow:
    """What the kernels must do, in torch."""

    MAX_WIDTH = 1024
    sum_bags = staticmethod(sum_bags)

    @staticmethod
    def update_rows(table, grad, transposed, *, lr, weight_decay, squares=None, eps=0):
        starts = transposed.offsets.tolist() + [len(transposed.rows)]
        for k, row in enumerate(transposed.columns.tolist()):
            some = slice(starts[k], starts[k + 1])
            g = transposed.weights[some].double() @ grad[transposed.rows[some]].double()
            g += weight_decay * table[row].double()
            if squares is not None:
                squares[row] += g.square().mean()
                g = g / (squares[row].sqrt() + eps)
            table[row] -= (lr * g).to(table.dtype)


def wrong(name):
    """The same with one thing wrong."""
    if name == "bags":
        return {"sum_bags": staticmethod(lambda *a: sum_bags(*a) * 1.001)}

    def update(table, grad, transposed, **rule):
        if name == "lr":
            rule["lr"] *= 1.001
        if name == "eps" and "eps" in rule:
            rule["eps"] = 0.9
        if name == "decay":
            rule["weight_decay"] = 0
        Slow.update_rows(table, grad, transposed, **rule)
        if name == "untouched":
            table[39] += 1
        if name == "nan":
            table[5, 0] = torch.nan
        if name == "squares" and rule.get("squares") is not None:
            rule["squares"][5] += 1

    return {"update_rows": staticmethod(update)}


def test_comparison_finds_no_error_in_what_is_right():
    for dtype, tolerance in kernels._TOLERANCE.items():
        error = kernels.largest_error(Slow, torch.device("cpu"), dtype, 8)
        assert 0 < error < tolerance


@pytest.mark.parametrize(
    "name", ["bags", "lr", "eps", "decay", "untouched", "nan", "squares"]
)
def test_comparison_finds_what_is_wrong(name):
    changed = type("Changed", (Slow,), wrong(name))
    error = kernels.largest_error(changed, torch.device("cpu"), torch.float32, 8)
    assert error > kernels._TOLERANCE[torch.float32]


@needs_triton
@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
def test_kernels_pass_the_comparison(dtype):
    error = kernels.largest_error(triton_kernels, DEVICE, dtype, 12)
    assert error < kernels._TOLERANCE[dtype]


COMPILE = """
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from sklearn_masked.nn.device import triton_kernels as kernels

pointers = {"table", "grad", "out", "weights", "partial", "squares"}
floats = {"lr", "weight_decay", "eps"}
sizes = kernels._sizes(64)
warps = sizes.pop("num_warps")
for capability in (80, 90):
    for dtype in ("fp32", "bf16"):
        for name in ("_bags", "_partial_sums", "_update"):
            kernel = getattr(kernels, name)
            types, constants, aligned = {}, {}, {}
            known = {"D": 64, "WEIGHTED": True, "ADAGRAD": True, **sizes}
            for i, argument in enumerate(kernel.arg_names):
                if argument in known:
                    types[argument] = "constexpr"
                    constants[i,] = known[argument]
                elif argument in ("table", "grad", "out"):
                    types[argument] = "*" + dtype
                    aligned[i,] = [["tt.divisibility", 16]]
                elif argument in pointers:
                    types[argument] = "*fp32"
                elif argument in floats:
                    types[argument] = "fp32"
                elif argument.startswith("n_"):
                    types[argument] = "i32"
                else:
                    types[argument] = "*i64" if argument == "columns" else "*i32"
            source = ASTSource(kernel, types, constants, aligned)
            target = GPUTarget("cuda", capability, 32)
            made = triton.compile(source, target, options={"num_warps": warps})
            local = [line for line in made.asm["ptx"].splitlines() if ".local" in line]
            wide = "ld.global.v4" in made.asm["ptx"] or "v4.b32" in made.asm["ptx"]
            print(capability, dtype, name, len(made.asm["cubin"]) > 0, local, wide)
"""


@needs_triton
@pytest.mark.skipif(sys.platform != "linux", reason="Triton compiles on Linux")
def test_kernels_compile_for_gpus_that_are_not_here(tmp_path):
    # In a process of its own, where the kernels are no functions of the interpreter.
    program = tmp_path / "program.py"  # Triton reads the source of what it compiles
    program.write_text(COMPILE)
    environment = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"}
    done = subprocess.run(
        [sys.executable, str(program)], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 12
    # No local memory, and four numbers a load.
    assert all(line.endswith("True [] True") for line in lines), done.stdout


CPU_FIT = """
import sys
import numpy as np
from sklearn_masked import MaskedMultiLabelClassifier
from sklearn_masked.nn import SparseSGD

rng = np.random.default_rng(0)
X, y = rng.normal(size=(40, 5)), rng.choice([0.0, 1.0, np.nan], size=(40, 3))
for optimizer in ({}, {"optimizer": SparseSGD}):
    MaskedMultiLabelClassifier(random_state=0, device="cpu", **optimizer).fit(X, y)
# torch may import Triton itself, for its optimizers.
print("sklearn_masked.nn.device._triton_kernels" in sys.modules)
"""


def test_fits_on_the_cpu_do_not_import_the_kernels():
    done = subprocess.run(
        [sys.executable, "-c", CPU_FIT], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[-1] == "False"
