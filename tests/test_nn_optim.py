"""Optimizers for sparse rows against torch's own, row by row and step by step."""

import copy
import io
import pickle

import numpy as np
import pytest
import scipy.sparse as sp
import skorch.callbacks
import torch

import sklearn_masked.nn._sparse as sparse_module
from sklearn_masked import MaskedLabels, MaskedMultiLabelClassifier
from sklearn_masked.classifier._data import make_targets
from sklearn_masked.nn._batches import BatchIterator, CellDataset, bag_inputs
from sklearn_masked.nn._sparse import embedding_bag, keep_transpose, transpose_batch
from sklearn_masked.nn.sgd._optim import (
    LazyAdam,
    RowWiseAdagrad,
    SparseSGD,
    replace_parameter,
)

DEVICES = [
    "cpu",
    pytest.param(
        "cuda",
        marks=pytest.mark.skipif(
            not torch.cuda.is_available(), reason="no CUDA device on this machine"
        ),
    ),
]
N_ROWS, WIDTH = 11, 3

# An optimizer, and the same of torch for rows that every step touches.
KINDS = {
    "sgd": (SparseSGD, {"lr": 0.1}, torch.optim.SGD, {"lr": 0.1}),
    "sgd, decay": (
        SparseSGD,
        {"lr": 0.1, "weight_decay": 0.3},
        torch.optim.SGD,
        {"lr": 0.1, "weight_decay": 0.3},
    ),
    "momentum": (
        SparseSGD,
        {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.3},
        torch.optim.SGD,
        {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.3},
    ),
    "nesterov": (
        SparseSGD,
        {"lr": 0.1, "momentum": 0.9, "nesterov": True},
        torch.optim.SGD,
        {"lr": 0.1, "momentum": 0.9, "nesterov": True},
    ),
    "adam": (LazyAdam, {"lr": 0.1}, torch.optim.Adam, {"lr": 0.1}),
    "adam, decay": (
        LazyAdam,
        {"lr": 0.1, "betas": (0.5, 0.9), "eps": 0.1, "weight_decay": 0.3},
        torch.optim.Adam,
        {"lr": 0.1, "betas": (0.5, 0.9), "eps": 0.1, "weight_decay": 0.3},
    ),
}
ADAGRAD = [
    {"lr": 0.1},
    {"lr": 0.1, "weight_decay": 0.3},
    {"lr": 0.1, "initial_accumulator_value": 0.2, "eps": 0.1},
]


def random_csr(rng, n, m, density):
    """Return a sparse matrix of positive numbers."""
    return sp.csr_matrix(rng.random((n, m)) * (rng.random((n, m)) < density))


def some_rows(rng):
    """Rows that a step touches: none, some, all."""
    return np.flatnonzero(rng.random(N_ROWS) < rng.choice([0.0, 0.4, 1.0]))


def sparse_gradient(rows, values, n_rows=N_ROWS, device="cpu", **kwargs):
    return torch.sparse_coo_tensor(
        torch.as_tensor(rows, device=device)[None],
        torch.as_tensor(values, device=device),
        (n_rows, *values.shape[1:]),
        check_invariants=True,
        **kwargs,
    )


def steps_of(rng, n, shape=(N_ROWS, WIDTH)):
    """Return for each step the rows it touches and their gradient."""
    touched = [some_rows(rng) for _ in range(n)]
    return [(rows, rng.normal(size=(len(rows), *shape[1:]))) for rows in touched]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("kind", KINDS)
def test_each_row_moves_as_a_parameter_that_only_its_steps_move(kind, device):
    """The oracle: each row a parameter of torch's optimizer, without a gradient at
    the steps that do not touch it."""
    make, params, torchs, torch_params = KINDS[kind]
    rng = np.random.default_rng(0)
    start = torch.from_numpy(rng.normal(size=(N_ROWS, WIDTH))).to(device)
    table = torch.nn.Parameter(start.clone())
    rows = [torch.nn.Parameter(row.clone()) for row in start]
    ours, theirs = make([table], **params), [torchs([p], **torch_params) for p in rows]
    for t, (touched, values) in enumerate(steps_of(rng, 12), start=1):
        table.grad = sparse_gradient(touched, values, device=device)
        before = table.detach().clone()
        ours.step()
        for row, optimizer in zip(rows, theirs, strict=True):
            row.grad = None
            if make is LazyAdam and optimizer.state:
                # Adam counts the parameter's steps, not the row's.
                optimizer.state[row]["step"] = torch.tensor(t - 1.0)
        for row, value in zip(touched, values, strict=True):
            if make is LazyAdam and not theirs[row].state:
                theirs[row].state[rows[row]] = {
                    "step": torch.tensor(t - 1.0),
                    "exp_avg": torch.zeros_like(rows[row]),
                    "exp_avg_sq": torch.zeros_like(rows[row]),
                }
            rows[row].grad = torch.from_numpy(value).to(device)
            theirs[row].step()
        torch.testing.assert_close(
            table.detach(), torch.stack([row.detach() for row in rows])
        )
        others = np.setdiff1d(np.arange(N_ROWS), touched)
        assert torch.equal(table.detach()[others], before[others])


@pytest.mark.parametrize("shape", [(), (4,), (4, 3), (4, 3, 2)])
@pytest.mark.parametrize("kind", KINDS)
def test_dense_gradients_give_what_torch_gives(kind, shape):
    make, params, torchs, torch_params = KINDS[kind]
    rng = np.random.default_rng(1)
    start = torch.from_numpy(np.asarray(rng.normal(size=shape)))
    own, other = (torch.nn.Parameter(start.clone()) for _ in range(2))
    ours, theirs = make([own], **params), torchs([other], **torch_params)
    for _ in range(5):
        gradient = torch.from_numpy(np.asarray(rng.normal(size=shape)))
        own.grad, other.grad = gradient.clone(), gradient.clone()
        ours.step()
        theirs.step()
        torch.testing.assert_close(own.detach(), other.detach())
        assert torch.equal(own.grad, gradient)


def rowwise_adagrad_oracle(table, state, touched, values, params):
    """A loop over rows in numpy."""
    for row, value in zip(touched, values, strict=True):
        value = value + params.get("weight_decay", 0) * table[row]
        state[row] += np.mean(value**2)
        eps = params.get("eps", 1e-10)
        table[row] -= params["lr"] * value / (np.sqrt(state[row]) + eps)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("shape", [(N_ROWS,), (N_ROWS, 1), (N_ROWS, 3), (N_ROWS, 3, 2)])
@pytest.mark.parametrize("params", ADAGRAD)
def test_rowwise_adagrad_equals_a_loop_over_rows(params, shape, device):
    rng = np.random.default_rng(2)
    want = rng.normal(size=shape)
    state = np.full(N_ROWS, params.get("initial_accumulator_value", 0.0))
    table = torch.nn.Parameter(torch.from_numpy(want.copy()).to(device))
    optimizer = RowWiseAdagrad([table], **params)
    for touched, values in steps_of(rng, 12, shape):
        table.grad = sparse_gradient(touched, values, device=device)
        optimizer.step()
        rowwise_adagrad_oracle(want, state, touched, values, params)
        np.testing.assert_allclose(table.detach().cpu(), want, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(optimizer.state[table]["sum"].cpu(), state)


def test_rowwise_adagrad_of_dense_gradients():
    rng = np.random.default_rng(3)
    start = rng.normal(size=(N_ROWS, WIDTH))
    sparse, dense = (
        torch.nn.Parameter(torch.from_numpy(start.copy())) for _ in range(2)
    )
    ours, other = (RowWiseAdagrad([p], lr=0.1) for p in (sparse, dense))
    for touched, values in steps_of(rng, 8):
        sparse.grad = sparse_gradient(touched, values)
        dense.grad = sparse.grad.to_dense()
        ours.step()
        other.step()
        torch.testing.assert_close(sparse.detach(), dense.detach())


def test_rowwise_adagrad_of_one_axis_is_torchs_adagrad():
    rng = np.random.default_rng(4)
    start = torch.from_numpy(rng.normal(size=5))
    own, other = (torch.nn.Parameter(start.clone()) for _ in range(2))
    params = {"lr": 0.1, "weight_decay": 0.2, "initial_accumulator_value": 0.1}
    ours, theirs = (
        RowWiseAdagrad([own], **params),
        torch.optim.Adagrad([other], **params),
    )
    for _ in range(5):
        gradient = torch.from_numpy(rng.normal(size=5))
        own.grad, other.grad = gradient.clone(), gradient.clone()
        ours.step()
        theirs.step()
        torch.testing.assert_close(own.detach(), other.detach())


def test_lazy_adam_is_torchs_sparse_adam_but_for_epsilon():
    rng = np.random.default_rng(5)
    start = torch.from_numpy(rng.normal(size=(N_ROWS, WIDTH)))
    own, other = (torch.nn.Parameter(start.clone()) for _ in range(2))
    ours = LazyAdam([own], lr=0.1, eps=1e-12)
    theirs = torch.optim.SparseAdam([other], lr=0.1, eps=1e-12)
    for touched, values in steps_of(rng, 8):
        own.grad = sparse_gradient(touched, values, is_coalesced=True)
        other.grad = sparse_gradient(touched, values, is_coalesced=True)
        ours.step()
        theirs.step()
        torch.testing.assert_close(own.detach(), other.detach(), rtol=1e-5, atol=1e-7)


MAKERS = {
    "sgd": lambda p: SparseSGD(p, lr=0.1),
    "momentum": lambda p: SparseSGD(p, lr=0.1, momentum=0.9, weight_decay=0.1),
    "adagrad": lambda p: RowWiseAdagrad(p, lr=0.1),
    "adam": lambda p: LazyAdam(p, lr=0.1),
}


@pytest.mark.parametrize("kind", MAKERS)
def test_rows_named_twice_or_out_of_order_count_once_in_sum(kind):
    rng = np.random.default_rng(6)
    start = torch.from_numpy(rng.normal(size=(N_ROWS, WIDTH)))
    first, second = (torch.nn.Parameter(start.clone()) for _ in range(2))
    rows, values = np.array([7, 2, 7, 0]), rng.normal(size=(4, WIDTH))
    first.grad = sparse_gradient(rows, values)
    summed = np.stack([values[3], values[1], values[0] + values[2]])
    second.grad = sparse_gradient(np.array([0, 2, 7]), summed)
    MAKERS[kind]([first]).step()
    MAKERS[kind]([second]).step()
    torch.testing.assert_close(first.detach(), second.detach())
    assert not torch.equal(first.detach(), start)


@pytest.mark.parametrize("kind", MAKERS)
def test_a_bag_and_a_linear_layer_train_together(kind):
    torch.manual_seed(0)
    rng = np.random.default_rng(7)
    table = torch.nn.Parameter(torch.randn(20, 4) * 0.1)
    layer = torch.nn.Linear(4, 2)
    idle = torch.nn.Parameter(torch.ones(3))
    before = table.detach().clone()
    optimizer = MAKERS[kind]([table, *layer.parameters(), idle])
    indices = torch.from_numpy(rng.integers(0, 12, 60))
    offsets, weights = torch.arange(0, 60, 3), torch.ones(60)
    goal = (indices.view(20, 3) < 6).any(1).long()

    def loss():
        optimizer.zero_grad()
        bags = embedding_bag(table, indices, offsets, weights)
        value = torch.nn.functional.cross_entropy(layer(bags), goal)
        value.backward()
        return value

    losses = [optimizer.step(loss).item() for _ in range(30)]
    assert losses[-1] < 0.8 * losses[0]
    assert torch.equal(table.detach()[12:], before[12:])
    assert torch.equal(idle.detach(), torch.ones(3))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("kind", MAKERS)
def test_state_dict_goes_on_where_it_was(kind, dtype):
    rng = np.random.default_rng(8)
    start = torch.from_numpy(rng.normal(size=(N_ROWS, WIDTH))).to(dtype)
    table = torch.nn.Parameter(start.clone())
    optimizer = MAKERS[kind]([table])
    steps = steps_of(rng, 8)

    def step(table, optimizer, touched, values):
        gradient = sparse_gradient(touched, values)
        table.grad = gradient.to(dtype)
        optimizer.step()

    for touched, values in steps[:4]:
        step(table, optimizer, touched, values)
    file = io.BytesIO()
    torch.save(optimizer.state_dict(), file)
    other = torch.nn.Parameter(table.detach().clone())
    resumed = MAKERS[kind]([other])
    resumed.param_groups[0]["lr"] = 123.0
    loaded = torch.load(io.BytesIO(file.getvalue()))
    resumed.load_state_dict(loaded)
    third = torch.nn.Parameter(table.detach().clone())
    pickled = pickle.loads(pickle.dumps(optimizer))
    pickled_table = pickled.param_groups[0]["params"][0]
    for touched, values in steps[4:]:
        step(table, optimizer, touched, values)
        step(other, resumed, touched, values)
        step(pickled_table, pickled, touched, values)
    assert torch.equal(table, other)
    assert torch.equal(table, pickled_table)
    assert not torch.equal(table, third)
    for value in optimizer.state[table].values():
        if torch.is_tensor(value):
            assert value.dtype == torch.promote_types(dtype, torch.float32)
    # The state that was loaded is a copy: going on did not change it.
    again = torch.load(io.BytesIO(file.getvalue()))
    for name, value in again["state"].get(0, {}).items():
        if torch.is_tensor(value):
            assert torch.equal(loaded["state"][0][name], value)


@pytest.mark.parametrize("kind", MAKERS)
def test_bfloat16_rows_follow_those_of_float32(kind):
    rng = np.random.default_rng(9)
    start = torch.from_numpy(rng.normal(size=(N_ROWS, WIDTH))).bfloat16()
    low, high = torch.nn.Parameter(start), torch.nn.Parameter(start.float())
    ours, other = MAKERS[kind]([low]), MAKERS[kind]([high])
    for touched, values in steps_of(rng, 6):
        values = torch.from_numpy(values).bfloat16()
        low.grad = sparse_gradient(touched, values)
        high.grad = sparse_gradient(touched, values.float())
        ours.step()
        other.step()
    torch.testing.assert_close(low.detach().float(), high.detach(), rtol=0.05, atol=0.1)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: SparseSGD(p, lr=-1), r"`lr` accepts numbers from 0; got -1\."),
        (lambda p: SparseSGD(p, momentum=-0.1), r"`momentum` accepts numbers from 0; "),
        (lambda p: SparseSGD(p, weight_decay=-1), "`weight_decay` accepts numbers fro"),
        (lambda p: SparseSGD(p, nesterov=True), "`nesterov` accepts True with a `mom"),
        (lambda p: RowWiseAdagrad(p, eps=float("nan")), "`eps` accepts numbers from 0"),
        (
            lambda p: RowWiseAdagrad(p, initial_accumulator_value=-1),
            "`initial_accumulator_value` accepts numbers from 0; got -1",
        ),
        (lambda p: LazyAdam(p, betas=(0.9, 1.0)), r"`betas` accepts numbers from 0 to"),
    ],
)
def test_numbers_out_of_range_raise(make, message):
    with pytest.raises(ValueError, match=message):
        make([torch.nn.Parameter(torch.ones(2))])


def test_gradients_of_two_sparse_axes_raise():
    table = torch.nn.Parameter(torch.ones(3, 2))
    table.grad = torch.ones(3, 2).to_sparse()
    with pytest.raises(ValueError, match="must name rows, one axis; got one of 2 spa"):
        SparseSGD([table]).step()


# Through the classifier


class Bag(torch.nn.Module):
    """A module of one's own that hands over sparse gradients."""

    def __init__(self, n_features, n_labels, sparse=True):
        super().__init__()
        self.sparse = sparse
        self.table = torch.nn.Parameter(torch.randn(n_features, 4) * 0.1)
        self.layer = torch.nn.Linear(4, n_labels)

    def forward(self, indices, offsets, weights):
        bags = embedding_bag(self.table, indices, offsets, weights, self.sparse)
        return self.layer(bags)


@pytest.fixture(scope="module")
def texts():
    rng = np.random.default_rng(10)
    X = random_csr(rng, 200, 40, 0.2).astype(np.float32)
    y = (X[:, :3].toarray() > 0).astype(float)
    y[rng.random(y.shape) < 0.5] = np.nan
    return X, MaskedLabels.from_dense(y)


@pytest.mark.parametrize("module", [None, Bag])
@pytest.mark.parametrize("optimizer", [SparseSGD, RowWiseAdagrad, LazyAdam])
def test_classifiers_train_and_pickle_with_it(optimizer, module, texts):
    X, labels = texts
    model = MaskedMultiLabelClassifier(
        module=module,
        optimizer=optimizer,
        lr=0.3,
        max_epochs=8,
        batch_size=32,
        random_state=0,
        net_params={"optimizer__weight_decay": 1e-4},
    ).fit(X, labels)
    assert isinstance(model.net_.optimizer_, optimizer)
    assert model.net_.optimizer_.param_groups[0]["weight_decay"] == 1e-4
    losses = [row["train_loss"] for row in model.history_]
    assert losses[-1] < losses[0]
    again = pickle.loads(pickle.dumps(model))
    assert np.array_equal(again.decision_function(X), model.decision_function(X))
    one, other = (copy.deepcopy(m).partial_fit(X, labels) for m in (model, again))
    assert np.array_equal(one.decision_function(X), other.decision_function(X))


@pytest.mark.parametrize(
    "params",
    [
        {"optimizer": torch.optim.Adam},
        {"optimizer": torch.optim.SGD, "net_params": {"optimizer__momentum": 0.9}},
        {"optimizer": torch.optim.AdamW},
        {"optimizer": torch.optim.SGD, "module": Bag, "lr": 0.5},
        {"optimizer": torch.optim.Adagrad, "module": Bag},
        {
            "optimizer": torch.optim.Adam,
            "module": Bag,
            "net_params": {"module__sparse": False},
        },
    ],
)
# Of torch's own Adagrad, which makes its sparse tensors without saying so.
@pytest.mark.filterwarnings("ignore:Sparse invariant checks are implicitly disabled")
def test_torchs_own_optimizers_still_train(params, texts):
    X, labels = texts
    params = {"lr": 0.05, "max_epochs": 5, "random_state": 0, **params}
    model = MaskedMultiLabelClassifier(**params).fit(X, labels)
    losses = [row["train_loss"] for row in model.history_]
    assert losses[-1] < losses[0]


class SeesGradients(skorch.callbacks.Callback):
    """Looks at gradients, so that they must be there."""

    def __init__(self):
        self.kinds = set()

    def on_grad_computed(self, net, named_parameters, **kwargs):
        grad = dict(named_parameters)["embedding"].grad
        self.kinds.add("none" if grad is None else str(grad.layout))


@pytest.mark.parametrize(
    ("optimizer", "callbacks", "kind"),
    [
        (RowWiseAdagrad, None, "blocks"),
        (RowWiseAdagrad, [SeesGradients()], True),
        (torch.optim.Adam, None, False),
    ],
)
def test_the_default_module_gives_the_gradients_that_the_optimizer_takes(
    optimizer, callbacks, kind, texts
):
    X, labels = texts
    model = MaskedMultiLabelClassifier(
        optimizer=optimizer, callbacks=callbacks, max_epochs=1, random_state=0
    ).fit(X, labels)
    net = model.net_
    assert net.module_.sparse_gradients == kind
    if callbacks:
        assert dict(net.callbacks_)["SeesGradients"].kinds == {"torch.sparse_coo"}
    module, inputs = net.module_, bag_inputs(X[:4])
    with torch.no_grad():  # the output starts from 0, and no gradient passes it
        module.output.fill_(1)
    before = module.embedding.detach().clone()
    net.optimizer_.zero_grad()
    module(**inputs).sum().backward()
    net.optimizer_.step()
    moved = (module.embedding.detach() != before).any(1).nonzero()[:, 0]
    known = module.embedding_row[inputs["indices"].long()]
    if optimizer is RowWiseAdagrad:
        assert set(moved.tolist()) <= set(known.tolist())
    assert len(moved)


def test_sparse_and_dense_gradients_train_the_same_module(texts):
    X, labels = texts
    models = [
        MaskedMultiLabelClassifier(
            module=Bag,
            optimizer=RowWiseAdagrad,
            lr=0.1,
            random_state=0,
            net_params={"module__sparse": sparse},
        ).fit(X, labels)
        for sparse in (True, False, "blocks")
    ]
    one, *others = (model.decision_function(X) for model in models)
    for other in others:
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4)
        assert abs(one).max() > 0.5


# Gradients that are multiplied out block by block


def random_bags(rng, n=30, m=20):
    return bag_inputs(random_csr(rng, n, m, 0.3))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("block", [1, 12, 1 << 18])
@pytest.mark.parametrize("kind", MAKERS)
def test_blocks_update_as_the_whole_gradient_does(kind, block, device, monkeypatch):
    monkeypatch.setattr(sparse_module, "_BLOCK_NUMBERS", block)
    rng = np.random.default_rng(11)
    start = torch.from_numpy(rng.normal(size=(20, WIDTH))).to(device)
    whole, blocks = (torch.nn.Parameter(start.clone()) for _ in range(2))
    one, other = MAKERS[kind]([whole]), MAKERS[kind]([blocks])
    for _ in range(6):
        inputs = {k: v.to(device) for k, v in random_bags(rng).items()}
        for table, optimizer, how in ((whole, one, True), (blocks, other, "blocks")):
            optimizer.zero_grad()
            embedding_bag(table, **inputs, sparse=how).square().sum().backward()
            optimizer.step()
        assert blocks.grad is None
        torch.testing.assert_close(whole.detach(), blocks.detach())
    assert not torch.equal(blocks.detach(), start)


@pytest.mark.parametrize("n_columns", [20, 5000])
def test_few_and_many_columns_transpose_alike(n_columns):
    rng = np.random.default_rng(16)
    X = random_csr(rng, 12, 20, 0.4)
    # Spread over many columns, they are made compact first.
    X = sp.csr_matrix(
        (X.data, X.indices * (n_columns // 20), X.indptr), (12, n_columns)
    )
    columns, rows, starts, weights = transpose_batch(**bag_inputs(X))
    csc = X.tocsc()
    assert columns.tolist() == np.flatnonzero(np.diff(csc.indptr)).tolist()
    assert starts.tolist() == csc.indptr[columns].tolist()
    assert rows.tolist() == csc.indices.tolist()
    assert weights.tolist() == csc.data.tolist()


def test_blocks_of_two_bags_and_a_dense_gradient_add_up():
    rng = np.random.default_rng(12)
    start = torch.from_numpy(rng.normal(size=(20, WIDTH)))
    bags = random_bags(rng), random_bags(rng)
    tables = [torch.nn.Parameter(start.clone()) for _ in range(2)]
    for table, how in zip(tables, (False, "blocks"), strict=True):
        optimizer = LazyAdam([table], lr=0.1)
        for dense in (False, True):
            optimizer.zero_grad()
            total = sum(
                embedding_bag(table, **bag, sparse=how).square().sum() for bag in bags
            )
            (total + (table.square().sum() if dense else 0)).backward()
            optimizer.step()
            if not dense:  # rows without a gradient stand still, and Adam's do not
                touched = np.unique(np.concatenate([b["indices"] for b in bags]))
                assert len(touched) == 20
    torch.testing.assert_close(*(table.detach() for table in tables))


def test_zero_grad_forgets_blocks_and_a_step_uses_them_up():
    table = torch.nn.Parameter(torch.ones(20, WIDTH, dtype=torch.float64))
    optimizer = SparseSGD([table], lr=0.1)
    inputs = random_bags(np.random.default_rng(13))
    embedding_bag(table, **inputs, sparse="blocks").sum().backward()
    optimizer.zero_grad()
    optimizer.step()
    assert (table == 1).all()
    embedding_bag(table, **inputs, sparse="blocks").sum().backward()
    optimizer.step()
    moved = table.detach().clone()
    optimizer.step()
    assert (moved != 1).any()
    assert torch.equal(table.detach(), moved)


def test_blocks_of_nothing_change_nothing():
    table = torch.nn.Parameter(torch.ones(5, 2))
    optimizer = RowWiseAdagrad([table], lr=0.1)
    inputs = bag_inputs(sp.csr_matrix((3, 5), dtype=np.float32))
    embedding_bag(table, **inputs, sparse="blocks").sum().backward()
    optimizer.step()
    assert (table == 1).all()


def test_blocks_of_a_computed_table_raise():
    table = torch.ones(5, 2, requires_grad=True)
    inputs = random_bags(np.random.default_rng(14), m=5)
    with pytest.raises(ValueError, match="'blocks' for a table that is a parameter al"):
        embedding_bag(table * 2, **inputs, sparse="blocks")


# Batches that keep their members


def batches_of(iterator):
    return [
        (tuple(inputs["weights"].tolist()), tuple(target.cols.tolist()))
        for inputs, target in iterator
    ]


def test_fixed_batches_keep_their_members_and_change_their_order(texts):
    X, labels = texts
    data = CellDataset(X, make_targets(labels, None))
    iterator = BatchIterator(
        data, 16, shuffle=True, generator=np.random.default_rng(0), fixed=True
    )
    first, second, third = (batches_of(iterator) for _ in range(3))
    assert sorted(first) == sorted(second) == sorted(third)
    assert first != second
    plain = BatchIterator(data, 16, shuffle=True, generator=np.random.default_rng(0))
    one, other = (batches_of(plain) for _ in range(2))
    assert sorted(one) != sorted(other)
    # Each labeled row once, whatever the order.
    for passed in (first, third, one, other):
        assert sorted(c for _, cols in passed for c in cols) == sorted(
            labels.cells().cols.tolist()
        )
    still = BatchIterator(data, 16, fixed=True)
    assert batches_of(still) == batches_of(still) == batches_of(BatchIterator(data, 16))


def test_a_kept_transpose_is_used_for_its_own_batch_alone(monkeypatch):
    rng = np.random.default_rng(15)
    inputs = random_bags(rng)
    table = torch.randn(20, WIDTH, dtype=torch.float64, requires_grad=True)

    def gradient(weights):
        bags = embedding_bag(table, inputs["indices"], inputs["offsets"], weights)
        return torch.autograd.grad(bags.square().sum(), table)[0].to_dense()

    fresh = gradient(inputs["weights"])
    doubled = gradient(inputs["weights"] * 2)
    keep_transpose(inputs)
    assert torch.equal(gradient(inputs["weights"]), fresh)
    calls = []
    transpose = sparse_module.transpose_batch
    monkeypatch.setattr(
        sparse_module, "transpose_batch", lambda *a: calls.append(a) or transpose(*a)
    )
    assert torch.equal(gradient(inputs["weights"]), fresh)
    assert calls == []
    assert torch.equal(gradient(inputs["weights"] * 2), doubled)
    assert len(calls) == 1
    assert torch.equal(gradient(inputs["weights"]), fresh)


def test_classifiers_train_on_fixed_batches(texts):
    X, labels = texts
    losses = []
    for fixed in (False, True):
        model = MaskedMultiLabelClassifier(
            module=Bag,
            optimizer=RowWiseAdagrad,
            lr=0.1,
            batch_size=32,
            max_epochs=6,
            random_state=0,
            net_params={"iterator_train__fixed": fixed},
        ).fit(X, labels)
        losses.append([row["train_loss"] for row in model.history_])
    assert losses[0][-1] < losses[0][0]
    assert losses[1][-1] < losses[1][0]
    assert losses[0] != losses[1]
    np.testing.assert_allclose(*losses, rtol=0.2)


# A parameter that grows

GROWING = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9),
    "adam": lambda p: torch.optim.Adam(p, lr=0.1, amsgrad=True),
    "adamw": lambda p: torch.optim.AdamW(p, lr=0.1),
    "adagrad": lambda p: torch.optim.Adagrad(p, 0.1, initial_accumulator_value=0.3),
    "rmsprop": lambda p: torch.optim.RMSprop(p, lr=0.1, momentum=0.5, centered=True),
    "rprop": lambda p: torch.optim.Rprop(p, lr=0.1),
    "adadelta": lambda p: torch.optim.Adadelta(p),
    "adamax": lambda p: torch.optim.Adamax(p, lr=0.1),
    "nadam": lambda p: torch.optim.NAdam(p, lr=0.1),
    "radam": lambda p: torch.optim.RAdam(p, lr=0.1),
    "asgd": lambda p: torch.optim.ASGD(p, lr=0.1),
    "own sgd": lambda p: SparseSGD(p, lr=0.1, momentum=0.9),
    "own adagrad": lambda p: RowWiseAdagrad(p, 0.1, initial_accumulator_value=0.3),
    "own adam": lambda p: LazyAdam(p, lr=0.1),
}


@pytest.mark.parametrize("name", GROWING)
def test_optimizer_of_a_parameter_that_grows_is_that_of_one_that_was_there(name):
    """Until now, the gradients of what is new were 0."""
    rng = np.random.default_rng(0)
    kept = torch.tensor([0, 2, 3])
    small = torch.nn.Parameter(torch.tensor([1.0, -2.0, 3.0]))
    large = torch.nn.Parameter(torch.zeros(5).index_copy(0, kept, small.detach()))
    other = torch.nn.Parameter(torch.ones(2))
    growing = GROWING[name]([other, small])
    wanted = GROWING[name]([large])
    steps = torch.from_numpy(rng.normal(size=(8, 5)).astype(np.float32))
    for step in steps[:4]:
        small.grad = step[kept].clone()
        large.grad = torch.zeros(5).index_copy(0, kept, step[kept])
        growing.step()
        wanted.step()
    grown = torch.nn.Parameter(torch.zeros(5).index_copy(0, kept, small.detach()))
    replace_parameter(growing, small, grown, kept)
    assert small not in growing.state
    for step in steps[4:]:
        grown.grad, large.grad = step.clone(), step.clone()
        growing.step()
        wanted.step()
    torch.testing.assert_close(grown, large)
    assert not torch.equal(other, grown[:2])
