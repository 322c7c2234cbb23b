"""Time training on a GPU: steps beside what memory allows, epochs, and equal results.

    python benchmarks/gpu.py [--json FILE] [--rows N] [--batch-sizes ...] [--widths ...]
    python benchmarks/gpu.py --dry-run

The rows are made on the GPU. Without a GPU it prints the floors, for an assumed
bandwidth, and says that nothing was timed. A dry run goes through all of the code at
tiny sizes on the CPU, through the kernels too where Triton is installed, and prints no
times: they would mean nothing.

The model is an embedding bag of width d and a linear layer; a row has k nonzeros, their
columns Zipf-distributed among V, and one labeled cell. *Floors* of a step with n rows,
which touch U different columns, s bytes a number (4, or 2 in bfloat16):

- bytes: ``2 n k d s`` for the rows of the embedding that the forward pass reads and the
  rows of the output's gradient that the backward pass reads; ``U (2 d s + 8)`` for the
  update, which reads and writes each touched row and its sum; ``16 n k`` for the batch
  and its transpose. Nothing is counted for a cache. Time: bytes / copy bandwidth, as
  measured at the start.
- operations: ``4 n k d``, a multiplication and an addition each way; fewer than one a
  byte, where a GPU has time for ten and more.

*Steps*: contestants with the same batches, all of them ready on the device.
"EmbeddingBag" is torch's, dense and sparse, with torch's SGD. "torch" is this package
without Triton. "With preparation" counts in that an epoch's batches are cut and
transposed, as training pays for it; the share of the floor is of that.
*Epochs*: through skorch, as `fit` runs them.
"""
# ruff: noqa: D102

import argparse
import contextlib
import itertools
import math
import os
import time

import _engine as engine
import numpy as np
import scipy.sparse as sp
import torch
from torch import nn

from sklearn_masked import MaskedMultiLabelClassifier
from sklearn_masked.classifier._data import make_targets
from sklearn_masked.metrics import masked_roc_auc_score
from sklearn_masked.nn import MaskedBCEWithLogitsLoss, RowWiseAdagrad, SparseSGD
from sklearn_masked.nn._batches import CellDataset
from sklearn_masked.nn._sparse import embedding_bag
from sklearn_masked.nn.device import _kernels as kernels
from sklearn_masked.nn.sgd import _net as net_module
from sklearn_masked.nn.sgd._data import DeviceDataset
from sklearn_masked.nn.sgd._net import MaskedNet
from sklearn_masked.nn.sgd._prefetch import PrefetchDataset

LOSS = MaskedBCEWithLogitsLoss()
MOST_STEPS = 40


# Measuring


def wait(device):
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def seconds(function, device, repeats=1):
    """Return the median time of a call, the device's work included."""
    times = []
    for _ in range(repeats):
        wait(device)
        start = time.perf_counter()
        function()
        wait(device)
        times.append(time.perf_counter() - start)
    return float(np.median(times))


def copy_bandwidth(device, n_bytes):
    """Return bytes a second, read and written, of a large copy."""
    source = torch.zeros(n_bytes // 4, device=device)
    target = torch.empty_like(source)
    target.copy_(source)
    return 2 * n_bytes / seconds(lambda: target.copy_(source), device, 9)


def floor_bytes(entries, touched, width, itemsize):
    """Return the bytes that a step moves at least; see the top of this file."""
    gathers = 2 * entries * width * itemsize
    return gathers + touched * (2 * width * itemsize + 8) + 16 * entries


# Data


def make_rows(args, device):
    """Return rows made on the device as a CSR on the host, and one cell a row."""
    generator = torch.Generator(device).manual_seed(0)
    n = args.rows * args.nonzeros
    columns = draw_columns(n, args.features, generator)
    values = torch.rand(n, generator=generator, device=device) / args.nonzeros**0.5
    indptr = np.arange(args.rows + 1, dtype=np.int64) * args.nonzeros
    X = sp.csr_matrix((args.rows, args.features), dtype=np.float32)
    X.data, X.indices = values.cpu().numpy(), columns.cpu().numpy()
    X.indptr = indptr if n >= 1 << 31 else indptr.astype(np.int32)
    labels = engine.random_cells(args.rows, args.labels)
    return X, make_targets(labels, None)


def draw_columns(n, n_features, generator):
    """Return so many random columns, int32, on the generator's device."""
    uniform = torch.rand(
        n, generator=generator, device=generator.device, dtype=torch.float64
    )
    # P(column <= c) = log(c + 2) / log(V + 1), all but Zipf's law.
    columns = torch.exp(uniform * math.log(n_features + 1)).floor_() - 1
    return columns.clamp_(0, n_features - 1).to(torch.int32)


# Contestants


class Ours(nn.Module):
    """An embedding bag, by this package, and a linear layer."""

    sparse_gradients = "blocks"

    def __init__(self, n_features, n_labels, width, dtype=torch.float32):
        super().__init__()
        table = torch.empty(n_features, width, dtype=dtype).normal_(std=0.1)
        self.table = nn.Parameter(table)
        self.output = nn.Parameter(torch.empty(n_labels, width).normal_(std=0.1))

    def bags(self, indices, offsets, weights):
        return embedding_bag(
            self.table, indices, offsets, weights, self.sparse_gradients
        )

    def cell_logits(self, rows, cols, **inputs):
        bags = self.bags(**inputs).float().index_select(0, rows)
        return (bags * self.output.index_select(0, cols)).sum(1)


class Stock(Ours):
    """The same with torch's EmbeddingBag."""

    def __init__(self, n_features, n_labels, width, sparse):
        nn.Module.__init__(self)
        self.bag = nn.EmbeddingBag(n_features, width, mode="sum", sparse=sparse)
        nn.init.normal_(self.bag.weight, std=0.1)
        self.output = nn.Parameter(torch.empty(n_labels, width).normal_(std=0.1))

    def bags(self, indices, offsets, weights):
        return self.bag(indices, offsets, weights)


@contextlib.contextmanager
def kernels_of(choice):
    """Let tables have Triton's kernels, or torch's, inside."""
    before = kernels.for_table
    if choice == "torch":
        kernels.for_table = lambda table: None
    elif choice == "interpreter":
        from sklearn_masked.nn.device import _triton_kernels as triton_kernels

        kernels.for_table = lambda table: triton_kernels
    try:
        yield
    finally:
        kernels.for_table = before


def contestants(args, width):
    """Yield name, kernels, module, optimizer and bytes a number."""
    size = args.features, args.labels, width
    sgd = torch.optim.SGD
    yield "EmbeddingBag dense", "torch", lambda: Stock(*size, False), sgd, 4
    yield "EmbeddingBag sparse", "torch", lambda: Stock(*size, True), sgd, 4
    yield "ours, torch, SGD", "torch", lambda: Ours(*size), SparseSGD, 4
    yield "ours, torch, Adagrad", "torch", lambda: Ours(*size), RowWiseAdagrad, 4
    if args.triton:
        yield "ours, Triton, SGD", args.triton, lambda: Ours(*size), SparseSGD, 4
        yield (
            "ours, Triton, Adagrad",
            args.triton,
            lambda: Ours(*size),
            RowWiseAdagrad,
            4,
        )
        half = torch.bfloat16
        yield (
            "ours, Triton, SGD, bfloat16",
            args.triton,
            lambda: Ours(*size, half),
            SparseSGD,
            2,
        )


def stepper(module, optimizer):
    def step(batch):
        inputs, cells = batch
        optimizer.zero_grad()
        logits = module.cell_logits(cells.rows, cells.cols, **inputs)
        LOSS.cell_loss(logits, *cells).backward()
        optimizer.step()

    return step


# Parts


def print_floors(args):
    """Print what a step and an epoch take at least, for one drawn batch a size."""
    print("no GPU: nothing was timed, these are floors alone")
    print(f"bandwidth assumed, not measured: {args.bandwidth:.0f} GB/s")
    print(
        "width   batch  bits  touched  MB a step  Mflop a step  us a step  ms an epoch"
    )
    rows = []
    for width, size in itertools.product(args.widths, args.batch_sizes):
        entries = size * args.nonzeros
        generator = torch.Generator().manual_seed(0)
        touched = len(draw_columns(entries, args.features, generator).unique())
        for itemsize in (4, 2):
            n_bytes = floor_bytes(entries, touched, width, itemsize)
            step = 1e-3 * n_bytes / args.bandwidth
            row = {"width": width, "batch_size": size, "itemsize": itemsize}
            row |= {"touched": touched, "floor_bytes": n_bytes}
            row |= {"operations": 4 * entries * width, "floor_us": step}
            row["floor_epoch_ms"] = 1e-3 * step * args.rows / size
            rows.append(row)
            print(
                f"{width:>5} {size:>7} {8 * itemsize:>5} {touched:>8}"
                f"{n_bytes / 1e6:>11.1f}{row['operations'] / 1e6:>14.1f}"
                f"{step:>11.1f}{row['floor_epoch_ms']:>13.2f}"
            )
    return rows


def equal_results(args, X, targets, device):
    """Compare the device with the CPU; raise if they differ."""
    for dtype, width in itertools.product((torch.float32, torch.bfloat16), args.widths):
        table = torch.zeros(2, width, dtype=dtype, device=device)
        with kernels_of(args.triton or "torch"):
            used = kernels.for_table(table)
        if args.triton and used is None:
            raise SystemExit(f"Triton's kernels were refused for {dtype}, {width}.")
    small = CellDataset(X, targets, np.arange(min(500, args.rows)))
    parts = np.array_split(np.random.default_rng(0).permutation(len(small)), 3)
    placed = DeviceDataset(small, device)
    for (got, cells), (want, other) in zip(
        placed.epoch(parts), small.epoch(parts), strict=True
    ):
        for name, tensor in want.items():
            same = torch.equal(got[name].cpu(), tensor.to(got[name].dtype))
            require(same, f"the batch's {name}")
        require(torch.equal(cells.cols.cpu(), other.cols), "the batch's cells")
    largest = compare_tables(args, small, placed, parts, device)
    difference = compare_fits(args, device)
    if device.type == "cuda":
        print(f"equal to the CPU: tables to {largest:.1e}, AUC to {difference:.1e}")
    return {"table_difference": largest, "auc_difference": difference}


def compare_tables(args, small, placed, parts, device):
    """Return how far steps on the device lead from the same steps on the CPU."""
    largest = 0.0
    for choice in {"torch", args.triton or "torch"}:
        tables = []
        for data, where in ((small, torch.device("cpu")), (placed, device)):
            torch.manual_seed(0)
            module = Ours(args.features, args.labels, 16).to(where)
            step = stepper(module, RowWiseAdagrad(module.parameters(), lr=0.1))
            with kernels_of(choice if where == device else "torch"):
                for batch in data.epoch(parts):
                    step(batch)
            tables.append(module.table.detach().cpu())
        largest = max(largest, float((tables[0] - tables[1]).abs().max()))
    require(largest < 1e-4, f"the table, by {largest:.1e}")
    return largest


def compare_fits(args, device):
    """Return how far the AUC of fits with the default model are apart."""
    n = min(args.rows, 3000)
    X = engine.synthetic_rows(2 * n, 2000, 20)
    y = engine.random_cells(2 * n, 5, 2).to_dense()
    secret = X @ np.random.default_rng(0).normal(size=(2000, 5))
    y = np.where(np.isnan(y), np.nan, secret > np.median(secret, axis=0))
    scores = []
    for where in ("cpu", str(device)):
        model = MaskedMultiLabelClassifier(random_state=0, device=where)
        model.fit(X[:n], y[:n])
        scores.append(masked_roc_auc_score(y[n:], model.decision_function(X[n:])))
    difference = abs(scores[0] - scores[1])
    require(difference < 0.002, f"the AUC, {scores}")
    return difference


def require(condition, what):
    if not condition:
        raise SystemExit(f"The device and the CPU differ in {what}.")


def time_steps(args, placed, device, bandwidth):
    """Time steps of each contestant at each width and batch size."""
    rows = []
    for width, size in itertools.product(args.widths, args.batch_sizes):
        order = np.random.default_rng(1).permutation(len(placed))
        parts = [order[k : k + size] for k in range(0, len(order), size)]
        parts = parts[:MOST_STEPS]
        batches = list(placed.epoch(parts))
        entries = np.mean([len(inputs["indices"]) for inputs, _ in batches])
        touched = np.mean([len(inputs["indices"].unique()) for inputs, _ in batches])
        for name, choice, module, optimizer, itemsize in contestants(args, width):
            placed.transposes = name.startswith("ours")
            with kernels_of(choice):
                each, whole = (
                    1e6 * time / len(parts)
                    for time in step_times(
                        module().to(device), optimizer, batches, placed, parts, args
                    )
                )
            n_bytes = floor_bytes(entries, touched, width, itemsize)
            least = 1e6 * n_bytes / bandwidth
            rows.append(
                {
                    "width": width,
                    "batch_size": size,
                    "contestant": name,
                    "touched": touched,
                    "floor_bytes": n_bytes,
                    "operations": 4 * entries * width,
                    "floor_us": least,
                    "step_us": each,
                    "with_preparation_us": whole,
                    "share_of_floor": least / whole,
                    "rows_a_second": 1e6 * np.mean([len(p) for p in parts]) / whole,
                }
            )
            print_row(rows[-1], args.dry_run)
    return rows


def step_times(module, optimizer, batches, placed, parts, args):
    """Return the seconds of a pass over ready batches, and of one that makes them."""
    step = stepper(module, optimizer(module.parameters(), lr=0.01))

    def ready():
        for batch in batches:
            step(batch)

    def prepared():
        for batch in placed.epoch(parts):
            step(batch)

    ready()  # compiles, and makes the transposes of these batches
    return [seconds(each, placed.device, args.repeats) for each in (ready, prepared)]


def print_row(row, dry_run):
    if dry_run:
        print(f"{row['width']:>5} {row['batch_size']:>7} {row['contestant']:<28} ran")
        return
    print(
        f"{row['width']:>5} {row['batch_size']:>7} {row['contestant']:<28}"
        f"{row['step_us']:>11.1f}{row['with_preparation_us']:>11.1f}"
        f"{row['floor_us']:>9.1f}{100 * row['share_of_floor']:>7.1f} %",
        flush=True,
    )


def compare_best(rows, widths):
    """Return the rows a second of ours over the stock loop's, each at its best size."""
    ratios = {}
    for width in widths:
        best = {}
        for row in rows:
            if row["width"] == width and "bfloat16" not in row["contestant"]:
                kind = row["contestant"].split(",")[0].split(" ")[0]
                best[kind] = max(best.get(kind, 0), row["rows_a_second"])
        ratios[width] = best["ours"] / best["EmbeddingBag"]
        print(
            f"width {width}: ours {ratios[width]:.1f} x the fastest EmbeddingBag loop"
        )
    return ratios


def step_without_waiting(args, placed, device):
    """Take a step in which a wait for the device is an error."""
    module = Ours(args.features, args.labels, args.widths[0]).to(device)
    step = stepper(module, RowWiseAdagrad(module.parameters(), lr=0.01))
    size = min(args.batch_sizes)
    parts = [np.arange(k * size, (k + 1) * size) % len(placed) for k in range(4)]
    with kernels_of(args.triton or "torch"):
        first, *others = list(placed.epoch(parts))
        step(first)  # the first step of a group makes its transposes
        if device.type == "cuda":
            torch.cuda.set_sync_debug_mode("error")
        try:
            for batch in others:
                step(batch)
        finally:
            if device.type == "cuda":
                torch.cuda.set_sync_debug_mode("default")
    if device.type == "cuda":
        print("steps do not wait for the device")


def time_epochs(args, dataset, device):
    """Time epochs through skorch, the rows on the device and sent ahead."""
    rows = []
    width, size = args.widths[0], max(args.batch_sizes[:2])
    for name, choice, module, optimizer, _ in contestants(args, width):
        for where in (DeviceDataset, PrefetchDataset):
            if where is PrefetchDataset and not name.startswith("ours, t"):
                continue
            times = engine.EpochTimes()
            net = MaskedNet(
                module(),
                optimizer=optimizer,
                lr=0.01,
                batch_size=size,
                device=device,
                callbacks=[times],
                callbacks__print_log=None,
            ).initialize()
            net.n_labels = args.labels
            before = net_module.place
            net_module.place = lambda data, *_, where=where: where(data, device)
            try:
                with kernels_of(choice):
                    net.train(dataset, args.epochs)
            finally:
                net_module.place = before
            kind = "on the device" if where is DeviceDataset else "sent ahead"
            rows.append(
                {
                    "contestant": name,
                    "rows": kind,
                    "batch_size": size,
                    "epoch_s": times.wall[1:],
                }
            )
            time = f"{np.median(times.wall[1:]):8.3f} s an epoch"
            print(f"{name:<28} {kind:<14} {'ran' if args.dry_run else time}")
    return rows


def parse(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--nonzeros", type=int, default=100)
    parser.add_argument("--features", type=int, default=100_000)
    parser.add_argument("--labels", type=int, default=100)
    parser.add_argument("--widths", type=int, nargs="+", default=[64, 256])
    parser.add_argument(
        "--batch-sizes", type=int, nargs="+", default=[1024, 8192, 65536]
    )
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--bandwidth", type=float, default=4300, help="GB/s, no GPU")
    parser.add_argument("--dry-run", action="store_true")
    args = parser.parse_args(argv)
    if args.dry_run and args.json:
        parser.error("a dry run times nothing, so it has nothing to write.")
    if args.dry_run:
        args.rows, args.nonzeros, args.features, args.labels = 60, 4, 40, 3
        args.widths, args.batch_sizes, args.repeats, args.epochs = [4], [20, 30], 1, 2
    return args


def main():
    args = parse()
    if not args.dry_run and not torch.cuda.is_available():
        floors = print_floors(args)
        if args.json:
            engine.write_json(args.json, timed=False, floors=floors)
        return
    here = importable("triton")
    args.triton = here and "triton"
    device = torch.device("cpu" if args.dry_run else "cuda")
    if args.dry_run and here:
        args.triton = "interpreter"
        os.environ["TRITON_INTERPRET"] = "1"
    env = engine.environment(torch.get_num_threads(), "triton")
    if device.type == "cuda":
        env["gpu"] = torch.cuda.get_device_name(device)
    engine.print_environment(env)
    bandwidth = copy_bandwidth(device, 1 << (20 if args.dry_run else 30))
    if args.dry_run:
        print("dry run, on the CPU, at tiny sizes: nothing is timed")
    else:
        print(f"copy: {bandwidth / 1e9:.0f} GB/s, read and written")
    X, targets = make_rows(args, device)
    equal = equal_results(args, X, targets, device)
    dataset = CellDataset(X, targets)
    placed = DeviceDataset(dataset, device)
    step_without_waiting(args, placed, device)
    if not args.dry_run:
        print("width   batch contestant      us a step, with preparation, floor, share")
    steps = time_steps(args, placed, device, bandwidth)
    ratios = None if args.dry_run else compare_best(steps, args.widths)
    del placed
    epochs = time_epochs(args, dataset, device)
    if args.json:
        engine.write_json(
            args.json,
            environment=env,
            settings={k: v for k, v in vars(args).items() if k != "json"},
            copy_bytes_a_second=bandwidth,
            equal=equal,
            steps=steps,
            ratio_to_embedding_bag=ratios,
            epochs=epochs,
        )


def importable(name):
    import importlib.util

    return importlib.util.find_spec(name) is not None


if __name__ == "__main__":
    main()
