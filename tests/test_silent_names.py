"""Where two things have names they agree, or it is said: nothing goes by position.

The tests find the public functions and methods by themselves, from `__all__`, and call
each with every pair of arguments that may have names. A new function is called with the
values of `VALUES`; for a parameter that is in none of the lists below, the first test
asks whether it can have names.
"""

import copy
import importlib
import inspect
import io
import itertools
import pickle
import re
from functools import cache, partial

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

import sklearn_masked
from sklearn_masked import (
    DescribedLabelsClassifier,
    MaskedCalibratedClassifierCV,
    MaskedLabels,
    MaskedMultiLabelClassifier,
    MaskedMultiOutputClassifier,
    annotation,
    calibration,
    inspection,
    metrics,
    model_selection,
    plotting,
)
from sklearn_masked import MaskedTunedThresholdClassifierCV as TUNED
from sklearn_masked.labels import (
    aggregate_votes,
    cell_weights,
    check_sample_weight,
    vote_agreement,
)

matplotlib.use("agg")

# The data: 60 rows, three labels, and a fourth that is no label of the model.

N = 60
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N, 4))
TRUTH = (X + 0.5 * RNG.normal(size=(N, 4)) > 0).astype(float)
Y = np.where(RNG.random((N, 4)) < 0.3, np.nan, TRUTH)
P = RNG.uniform(0.05, 0.95, size=(N, 4))
W = RNG.uniform(0.5, 2.0, size=(N, 4))
FEATURES = pd.DataFrame(X, columns=["f0", "f1", "f2", "f3"])
BASE, MOVED, OTHER = [0, 1, 2], [2, 1, 0], [0, 1, 3]

# What each parameter gets; `y_test` and its like are more of the same.
LABELS = {"y", "y_true", "y_test", "labels"}
VALUES = {
    **dict.fromkeys(LABELS, Y),
    **dict.fromkeys(("y_score", "y_score_a", "y_score_b", "y_proba", "proba"), P),
    **dict.fromkeys(("sample_weight", "weights"), W),
    "y_pred": (P > 0.5).astype(float),
    "propensities": P,
}
# Other parameters that may have names; each has a test of its own below.
BY_HAND = {
    "X": "test_rows_of_another_order_warn, test_features_of_another_order_raise",
    "base_rates": "test_series_by_label_agree",
    "descriptions": "test_descriptions_of_other_names_raise",
    "label_features": "test_label_features_of_other_names_raise",
    "votes": "test_votes_of_other_names_raise",
    "X_test": "test_simulate_warns_of_test_rows_in_another_order",
    "arrays": "test_rows_of_many_arrays_in_another_order_warn",
    "cells": "test_tables_of_cells_have_the_names_of_the_labels",
    "frame": "test_from_frame_takes_tables_of_every_kind",
    "groups": "test_rows_of_another_order_warn",
    "label_names": "test_names_given_twice_agree",
    "label_weight": "test_series_by_label_agree",
    "max_per_label": "test_series_by_label_agree",
    "prevalence": "test_series_by_label_agree",
    "pos_weight": "test_series_by_label_agree",
    "queries": "test_queries_of_other_names_raise",
    "shape": "test_checked_weights_have_the_names_of_the_labels",
    "sample_ids": "test_sample_ids_of_another_order_warn",
    "stratify": "test_rows_of_many_arrays_in_another_order_warn",
    "table": "test_tables_of_cells_have_the_names_of_the_labels",
    "target": "test_series_by_label_agree",
    "target_prevalence": "test_series_by_label_agree",
    "texts": "test_sample_ids_of_another_order_warn",
    "which": "test_tables_of_cells_have_the_names_of_the_labels",
}
# Parameters without names of labels or rows, and neither number nor switch.
PLAIN = set(
    """
    C action annotations annotator answer_id arguments average ax batch_size beta cache
    callbacks checkpoint classes clip cols columns confidence_level confirmed
    cost_matrix criterion curve cv delimiter device
    encode_params encoder encoder_id ensemble estimator
    fallback feature_blocks feature_names fit_params folder format highlight
    id_field idf_power implicit initial_types interactions
    exclusive_labels interval kwargs label label_correlation label_parents lr mask
    max_epochs max_labels max_per_sample
    method metric metrics model module n_cells n_jobs n_labels n_more_cells n_samples
    n_topics name net_params new on_conflict on_disagreement optimizer options params
    partial_fit_params
    parts place pre_dispatch query_params question random_state records reduction
    response_method rows sample samples score_func score_name scoring seeds
    shared_weight source std_power strategy subset test_size text_column train_size
    train_sizes
    dtype k path target_opset unknown_samples unselected value values voters weight
    zero_division
    """.split()
)
# `nn` takes tensors, which have no names.
MODULES = [name for name in sklearn_masked._MODULES if name != "nn"]


def public_callables():
    """Yield (qualified name, class or None, callable) of all that users call."""
    for module in MODULES:
        home = importlib.import_module(f"sklearn_masked.{module}")
        for name in home.__all__:
            public = getattr(home, name)
            if not inspect.isclass(public):
                if callable(public):
                    yield f"{module}.{name}", None, public
            elif not issubclass(public, Exception):
                yield from _of_class(f"{module}.{name}", name, public)


def _of_class(qualified, name, public):
    # Other classes are made by the package, of what it knows.
    if hasattr(public, "fit") or hasattr(public, "split"):
        yield qualified, public, public
    for method, _ in inspect.getmembers(public, callable):
        bound = getattr(public, method)
        home = getattr(bound, "__module__", None) or ""
        if not method.startswith("_") and home.startswith("sklearn_masked."):
            yield f"{qualified}.{method}", public, bound


def parameters(function):
    named = inspect.signature(function).parameters
    return [name for name in named if name != "self"]


# The tables: a function of values and of the columns to take.


def strings(columns):
    return [("war", "sport", "crime", "peace")[place] for place in columns]


def integers(columns):
    return [(30, 7, 12, 5)[place] for place in columns]


def mixed(columns):
    return [("war", 7, "crime", 5.5)[place] for place in columns]


def of_pandas(values, columns, names=strings, index=None):
    return pd.DataFrame(values[:, columns], columns=names(columns), index=index)


def of_polars(values, columns):
    return pl.DataFrame(values[:, columns], schema=strings(columns), nan_to_null=True)


def of_pyarrow(values, columns):
    given = np.where(np.isnan(values), None, values.astype(object))
    return pa.table(
        dict(zip(strings(columns), given[:, columns].T.tolist(), strict=True))
    )


TABLES = {
    "pandas": of_pandas,
    "integers": partial(of_pandas, names=integers),
    "mixed": partial(of_pandas, names=mixed),
    "polars": of_polars,
    "pyarrow": of_pyarrow,
}
NAMES = {"integers": integers, "mixed": mixed}


def table_of(table, parameter, columns, values=None):
    """Return the values of a parameter as a table; MaskedLabels where it takes them."""
    values = VALUES[parameter] if values is None else values
    if table == "MaskedLabels":
        return (as_masked if parameter in LABELS else of_pandas)(values, columns)
    return TABLES[table](values, columns)


def as_masked(values, columns):
    return MaskedLabels.from_dense(values[:, columns], label_names=strings(columns))


# The calls: each public callable with one argument at a time in another order.


@cache
def fitted(kind, table):
    """Return an estimator fitted on labels with the names of a table."""
    return unfitted(kind).fit(FEATURES, table_of(table, "y", BASE))


def unfitted(kind):
    base = MaskedMultiOutputClassifier(LogisticRegression())
    few = {"min_positive": 1, "min_negative": 1, "cv": 2}
    return {
        "MaskedMultiLabelClassifier": lambda: MaskedMultiLabelClassifier(
            shared_weight=0, label_correlation=0, interactions=0, C=1.0, random_state=0
        ),
        "MaskedMultiOutputClassifier": lambda: MaskedMultiOutputClassifier(
            SGDClassifier(loss="log_loss", random_state=0)
        ),
        "MaskedCalibratedClassifierCV": lambda: MaskedCalibratedClassifierCV(
            base, ensemble=False, **few
        ),
        "MaskedTunedThresholdClassifierCV": lambda: TUNED(base, **few),
        "DescribedLabelsClassifier": lambda: DescribedLabelsClassifier(
            make_pipeline(Numbers(), unfitted("MaskedMultiLabelClassifier")),
            ["war", "sport", "crime"],
            text_column="f0",
        ),
    }[kind]()


class Numbers(TransformerMixin, BaseEstimator):
    """Take numbers as they are, and the lengths of texts."""

    def fit(self, X, y=None):
        self.is_fitted_ = True
        return self

    def transform(self, X):
        return X.map(lambda one: len(one) if isinstance(one, str) else one).fillna(0)


KINDS = [
    "MaskedMultiLabelClassifier",
    "MaskedMultiOutputClassifier",
    "MaskedCalibratedClassifierCV",
    "MaskedTunedThresholdClassifierCV",
    "DescribedLabelsClassifier",
]
# These clone the estimator that they get, which has no labels yet.
CLONE = {
    "annotation.LabelingLoop",
    "annotation.LabelingLoop.open",
    "annotation.simulate",
    "inspection.learning_curve_by_cells",
    "model_selection.cross_val_predict",
    "plotting.LearningCurveByCellsDisplay.from_estimator",
}
# Called by hand below: records, whose columns are no labels, and what has to be made.
SKIPPED = {
    "annotation.CellAudit.fix",
    "annotation.LabelingLoop.next_batch",
    "feature_extraction.TextEncoder.fit",
    "feature_extraction.TextEncoder.fit_transform",
    "labels.MaskedLabels.from_cells",
    "labels.MaskedLabels.merge",
    "labels.aggregate_votes",
    "labels.cell_weights",
    "labels.check_sample_weight",
    "model_selection.masked_train_test_split",
}
QUICK = {
    "beta": 1.0,
    "cv": KFold(2),
    "metric": metrics.masked_roc_auc_score,
    "n_resamples": 5,
    "random_state": 0,
    "train_sizes": (0.8, 1.0),
}
IGNORE_GROUPS = {
    "model_selection.MaskedStratifiedKFold.split",
    "model_selection.MaskedStratifiedShuffleSplit.split",
}
EXTRA = {
    "model_selection.MaskedStratifiedGroupKFold.split": {"groups": np.arange(N) // 2},
    "annotation.query_cells": {"n_cells": 5},
    "annotation.query_samples": {"n_samples": 2},
    "metrics.masked_report": {"confidence_level": 0.9},
    "annotation.seed_cells": {"queries": np.eye(3, 4), "n_cells": 3},
    "annotation.seed_samples": {"queries": np.eye(3, 4), "n_samples": 2},
    "plotting.LearningCurveByCellsDisplay.from_estimator": {
        "cv": KFold(2),
        "random_state": 0,
        "train_sizes": (0.8, 1.0),
    },
    "annotation.simulate": {"n_cells": 12, "batch_cells": 6, "X_test": FEATURES},
}


class Call:
    """A public callable, and which of its arguments may have names."""

    def __init__(self, name, owner, function):
        self.name, self.function = name, function
        self.method = name.rpartition(".")[2]
        here = parameters(function)
        self.named = [p for p in here if p in VALUES]
        if {"y", "y_true", "model"} & set(here) and "labels" in here:
            self.named.remove("labels")  # which of them to draw or explain
        self.named.sort(key=lambda p: p not in LABELS)
        self.rows = [p for p in ("X", *self.named) if p in here and p != "y_test"]
        if "groups" in here and name not in IGNORE_GROUPS:
            self.rows.append("groups")
        self.takes_model = "estimator" in here and name not in CLONE
        self.owner = owner.__name__ if "self" in _signature(function) else None
        self.extra = {p: QUICK[p] for p in here if p in QUICK}
        if name in CLONE:
            self.extra["estimator"] = unfitted("MaskedMultiOutputClassifier")
        self.extra |= EXTRA.get(name, {})

    def moved(self):
        """Return the arguments whose names meet those of something else."""
        is_method = self.owner in KINDS and self.method != "fit"
        return self.named if is_method or self.takes_model else self.named[1:]

    def __call__(self, table, **arguments):
        values = {"y": TRUTH} if self.method == "simulate" else {}
        given = {p: table_of(table, p, BASE, values.get(p)) for p in self.named}
        given |= {"X": FEATURES} if "X" in self.rows else {}
        given |= self.extra | arguments
        if self.takes_model:
            given["estimator"] = fitted("MaskedMultiOutputClassifier", table)
        self._bound(table)(**given)
        plt.close("all")

    def _bound(self, table):
        if self.owner is None:
            return self.function
        if self.owner not in KINDS:
            return partial(_split, self.owner)
        if self.method == "fit":
            return unfitted(self.owner).fit
        # A copy: partial_fit and correct_prior change what they are called on.
        return getattr(copy.deepcopy(fitted(self.owner, table)), self.method)


def _signature(function):
    return inspect.signature(function).parameters


def _split(owner, **arguments):
    splitter = getattr(sklearn_masked.model_selection, owner)(n_splits=2)
    list(splitter.split(**arguments))


CALLS = {
    name: Call(name, owner, function)
    for name, owner, function in public_callables()
    if name not in SKIPPED
}
NAMED = [(name, moved) for name, call in CALLS.items() for moved in call.moved()]
# Every kind of table where labels are read; elsewhere the one that is most used.
FORMS = [*TABLES, "MaskedLabels"]
EVERY_FORM = {"partial_fit", "score", "from_dense", "masked_report", "query_cells"}
NAMED_FORMS = [
    (name, moved, table)
    for name, moved in NAMED
    for table in (FORMS if CALLS[name].method in EVERY_FORM else FORMS[:1])
]
ROWS = [
    (name, first, moved)
    for name, call in CALLS.items()
    for first, moved in itertools.pairwise(call.rows)
    if call.method != "get_n_splits"  # which looks at none of them
]


def test_every_parameter_of_every_callable_is_known():
    from sklearn_masked.labels.names import check_same_names  # which decides them all

    assert callable(check_same_names) and len(NAMED) > 60 and len(ROWS) > 60
    unknown = {
        f"{name}({parameter})"
        for name, _, function in public_callables()
        for parameter, one in inspect.signature(function).parameters.items()
        # A number, a switch and a word have no names; "auto" may stand for more.
        if (
            one.default == "auto"
            or not isinstance(one.default, bool | int | float | str)
        )
        and parameter not in PLAIN | BY_HAND.keys() | VALUES.keys() | {"self"}
    }
    assert not unknown, "can it have names? see VALUES, BY_HAND and PLAIN"
    here = globals()
    for tests in BY_HAND.values():
        assert all(test in here for test in tests.split(", "))


def difference(table, columns):
    """Return the end of the sentence that a table of these columns gets."""
    names = NAMES.get(table, strings)
    place = next(i for i in BASE if columns[i] != i)
    name, wanted = names(columns)[place], names(BASE)[place]
    found = f"in the same order; label {place} is {name!r} and must be {wanted!r}."
    if columns == OTHER:
        return f"{found} {name!r} is none of them."
    return f"{found} Select by name in that order, or pass arrays without names."


@pytest.mark.parametrize(("name", "moved", "table"), NAMED_FORMS)
def test_labels_of_another_order_or_set_raise(name, moved, table):
    call, values = CALLS[name], VALUES[moved]
    if table == "MaskedLabels" and "from_dense" in name:
        table = "pandas"
    for columns in (MOVED, OTHER):
        with pytest.raises(ValueError) as caught:
            call(table, **{moved: table_of(table, moved, columns)})
        said = str(caught.value)
        assert said.startswith(f"`{moved}` must have the labels of")
        assert said.endswith(difference(table, columns))
    call(table)
    call(table, **{moved: values[:, BASE]})  # without names, by position


# Rows: a warning, of the class that users can filter.

IDS = [f"row {i}" for i in range(N)]


def row_order_warning():
    from sklearn_masked.exceptions import RowOrderWarning

    return RowOrderWarning


def with_index(parameter, ids, whole=False):
    if parameter == "X":
        return FEATURES.set_axis(ids)
    if parameter == "groups":
        return pd.Series(np.arange(N) % 4, index=ids)
    return of_pandas(TRUTH if whole else VALUES[parameter], BASE, index=ids)


@pytest.mark.parametrize(("name", "first", "moved"), ROWS)
def test_rows_of_another_order_warn(name, first, moved):
    call = CALLS[name]
    whole = call.method == "simulate"
    given = {first: with_index(first, IDS, whole)}
    if moved == "groups" and "cv" in call.extra:
        given["cv"] = GroupKFold(2)
    with pytest.warns(row_order_warning()) as caught:
        call("pandas", **given, **{moved: with_index(moved, IDS[::-1], whole)})
    # Once for the user's line, however often the call looks at the pair.
    assert {warning.filename for warning in caught} == {__file__}
    assert len({str(warning.message) for warning in caught}) == 1
    # What is drawn was labels of an estimator before it is y_true.
    first = first.replace("y", "y(_true)?") if "Display" in name else first
    assert re.match(
        rf"`{first}` and `{moved}` have the same row index in another order \(row 0 is "
        rf"'row 0' and 'row {N - 1}'\), and rows are matched by position\.",
        str(caught[0].message),
    )
    for ids in (IDS, [f"other {row}" for row in range(N)]):
        call("pandas", **given, **{moved: with_index(moved, ids, whole)})


# The arguments that the walk cannot make.


@pytest.mark.parametrize("kind", KINDS[:4])  # words have three labels, a column
def test_rows_of_a_binary_target_in_another_order_warn(kind):
    x, y = FEATURES.set_axis(IDS), pd.Series(TRUTH[:, 0], index=IDS[::-1])
    with pytest.warns(row_order_warning(), match="`X` and `y` have the same row index"):
        model = unfitted(kind)
        if isinstance(model, MaskedCalibratedClassifierCV | TUNED):
            model.set_params(estimator=LogisticRegression())
        model.fit(x, y)
    with pytest.warns(row_order_warning(), match="`X` and `y` have the same row index"):
        model.score(x, y)
    model.score(x, y.set_axis(IDS))


def test_simulate_warns_of_test_rows_in_another_order():
    y = of_pandas(TRUTH, BASE, index=IDS[::-1])
    call = partial(annotation.simulate, unfitted(KINDS[1]), FEATURES, TRUTH[:, BASE])
    with pytest.warns(row_order_warning(), match="`X_test` and `y_test`"):
        call(FEATURES.set_axis(IDS), y, n_cells=12, batch_cells=6)


@pytest.mark.parametrize("moved", ["arrays[1]", "arrays[2]", "stratify", "groups"])
def test_rows_of_many_arrays_in_another_order_warn(moved):
    y, weight = of_pandas(Y, BASE, index=IDS), pd.Series(W[:, 0], index=IDS)
    given = {
        "arrays[1]": y,
        "arrays[2]": weight,
        "stratify": y,
        "groups": pd.Series(np.arange(N) // 2, index=IDS),
    }
    given[moved] = given[moved].set_axis(IDS[::-1])
    others = {name: given[name] for name in ("stratify", "groups")}
    if moved == "arrays[1]":
        others["stratify"] = None
    split = model_selection.masked_train_test_split
    with pytest.warns(row_order_warning()) as caught:
        split(FEATURES.set_axis(IDS), given["arrays[1]"], given["arrays[2]"], **others)
    assert f"`arrays[0]` and `{moved}`" in str(caught[0].message)


def test_rows_of_labels_made_from_a_frame_are_known():
    frame = of_pandas(Y, BASE, index=IDS)
    cells = np.argwhere(~np.isnan(Y[:, BASE]))
    records = MaskedLabels.from_cells(
        np.array(IDS)[cells[:, 0]],
        cells[:, 1],
        Y[tuple(cells.T)],
        sample_ids=IDS,
        label_names=strings(BASE),
    )
    model = MaskedMultiOutputClassifier(LogisticRegression())
    x = FEATURES.set_axis(IDS[::-1])
    for labels in (
        MaskedLabels.from_frame(frame),
        records,
        annotation.Annotations.from_labels(records, IDS).to_labels(IDS),
        pickle.loads(pickle.dumps(MaskedLabels.from_dense(frame))),
        records.without_weights().with_label_names(["a", "b", "c"]),
        MaskedLabels.merge(records, MaskedLabels.from_dense(frame)),
        calibration.inverse_propensity_weights(records, P[:, BASE]),
    ):
        with pytest.warns(row_order_warning(), match="`X` and `y` have the same row"):
            model.fit(x, labels)
        aligned = FEATURES.set_axis(IDS)[5:50]
        with pytest.warns(row_order_warning(), match="row 0 is 'row 49' and 'row 5'"):
            model.fit(aligned[::-1], labels[5:50])
        model.fit(aligned, labels[5:50])


def test_merged_labels_agree_in_names_and_rows():
    frame = of_pandas(Y, BASE, index=IDS)
    labels = MaskedLabels.from_dense(frame)
    # Labels are joined by name and samples by id, whatever their order.
    moved = labels[::-1, strings(MOVED)]
    assert MaskedLabels.merge(labels, moved) == labels
    # By position, where a third set has no ids, these must be in one order.
    nameless = MaskedLabels.from_dense(Y[:, BASE])
    with pytest.warns(row_order_warning(), match="`labels` and `others`"):
        MaskedLabels.merge(labels, labels[::-1], nameless, on_conflict="last")


def test_sample_ids_of_another_order_warn(tmp_path):
    other = IDS[::-1]
    x, labels = FEATURES.set_axis(other), as_masked(Y, BASE)
    named = MaskedLabels.from_frame(of_pandas(Y, BASE, index=other))
    table = annotation.query_cells(P[:, BASE], labels, n_cells=3)
    texts = pd.Series("text", index=other)
    loop = partial(annotation.LabelingLoop, folder=tmp_path, label_names=strings(BASE))
    for call in (
        lambda: loop(unfitted(KINDS[1]), x, sample_ids=IDS).close(),
        lambda: annotation.Annotations.from_labels(named, IDS),
        lambda: named.to_frame(sample_ids=IDS),
        lambda: annotation.write_queries(
            table, io.StringIO(), "jsonl", sample_ids=IDS, texts=texts
        ),
    ):
        with pytest.warns(row_order_warning(), match="and `sample_ids` have the same"):
            call()


# Names of features: what scikit-learn leaves out.


@pytest.mark.parametrize("kind", KINDS[:4])  # words have three labels, a column
def test_features_of_another_order_raise(kind):
    def frame(columns, places):
        return pd.DataFrame(X[:, places], columns=np.array(columns)[places])

    for columns in ([30, 7, 12, 5], [0, 1, 2, 3]):
        model = unfitted(kind).fit(frame(columns, [0, 1, 2, 3]), Y[:, BASE])
        proba = model.predict_proba(frame(columns, [0, 1, 2, 3]))
        np.testing.assert_allclose(model.predict_proba(X), proba)
        for method in ("predict", "predict_proba", "decision_function"):
            if hasattr(model, method):
                with pytest.raises(ValueError) as caught:
                    getattr(model, method)(frame(columns, [1, 0, 2, 3]))
                said = f"feature 0 is {columns[1]} and must be {columns[0]}."
                assert "`X` must have the features of the fitted" in str(caught.value)
                assert said in str(caught.value)


# Names that come in other ways.


@pytest.mark.parametrize("table", [table for table in TABLES if table != "pandas"])
@pytest.mark.parametrize("kind", KINDS)
def test_names_of_every_table_are_kept(kind, table):
    names = NAMES.get(table, strings)(BASE)
    assert fitted(kind, table).label_names_.tolist() == names
    assert [type(name) for name in fitted(kind, table).label_names_] == [
        type(name) for name in names
    ]


def test_from_frame_takes_tables_of_every_kind():
    for table, make in TABLES.items():
        names = NAMES.get(table, strings)
        wide = MaskedLabels.from_frame(make(Y, BASE), label_names=names(MOVED))
        assert wide.label_names.tolist() == names(MOVED)
        np.testing.assert_array_equal(wide.to_dense(), Y[:, MOVED])
    columns = {"id": ["b", "a"], "label": ["war", "crime"], "yes": [True, None]}
    ids = {"sample_ids": ["a", "b"], "label_names": ["crime", "war"]}
    for make in (pd.DataFrame, pl.DataFrame, pa.table):
        long = MaskedLabels.from_frame(
            make(columns), sample="id", label="label", value="yes", **ids
        )
        np.testing.assert_array_equal(long.to_dense(), [[np.nan] * 2, [np.nan, 1]])


def test_names_given_twice_agree(tmp_path):
    labels, names = as_masked(Y, BASE), strings(MOVED)
    table = annotation.query_cells(P[:, BASE], labels, n_cells=3)
    for call in (
        lambda names: MaskedLabels.from_dense(of_pandas(Y, BASE), label_names=names),
        lambda names: annotation.Annotations.from_labels(labels, IDS, names),
        lambda names: annotation.write_queries(
            table, io.StringIO(), "jsonl", sample_ids=IDS, label_names=names
        ),
    ):
        with pytest.raises(ValueError, match="in the same order; label 0 is"):
            call(names)
        call(strings(BASE))


def test_tables_of_cells_have_the_names_of_the_labels(tmp_path):
    labels, other = as_masked(Y, BASE), as_masked(Y, MOVED)
    table = annotation.query_cells(P[:, MOVED], other, n_cells=3)
    audit = annotation.audit_cells(P[:, BASE], labels)
    wrong = annotation.audit_cells(P[:, MOVED], other).table[:3]
    names = strings(BASE)
    loop = annotation.LabelingLoop(
        unfitted(KINDS[1]), X, folder=tmp_path, label_names=names
    )
    for call in (
        lambda: annotation.weigh_chosen_negatives(labels, table),
        lambda: audit.fix(wrong),
        lambda: loop.release(table),
    ):
        with pytest.raises(ValueError, match="label 0 is 'crime' and must be 'war'"):
            call()
    loop.close()


@pytest.mark.parametrize(
    ("kind", "parameter", "extra"),
    [
        (KINDS[0], "label_weight", {}),
        (KINDS[0], "pos_weight", {}),
        (KINDS[0], "base_rates", {}),
        (KINDS[2], "target_prevalence", {}),
        (KINDS[3], "target", {"scoring": "recall_at_precision", "confidence": None}),
        (None, "max_per_label", {}),
        (None, "prevalence", {}),
    ],
)
def test_series_by_label_agree(kind, parameter, extra):
    given = pd.Series([0.25, 0.5, 0.75], index=strings(BASE))
    labels = as_masked(Y, BASE)

    def call(value):
        if parameter == "prevalence":
            report = metrics.masked_classification_report
            return report(labels, P[:, BASE] > 0.5, prevalence=value)
        if kind is None:
            value = (4 * value).astype(int)
            options = {"max_per_label": value, "n_cells": 3}
            return annotation.query_cells(P[:, BASE], labels, **options)
        model = unfitted(kind).set_params(**{parameter: value}, **extra)
        return model.fit(FEATURES, labels)

    with pytest.raises(ValueError, match="label 0 is 'crime' and must be 'war'"):
        call(given[::-1])
    call(given)
    call(given.reset_index(drop=True))


@pytest.mark.parametrize("axis", ["label", "feature"])
def test_label_features_of_other_names_raise(axis):
    words = pd.DataFrame(np.eye(3, 4), index=strings(BASE), columns=FEATURES.columns)
    other = words[::-1] if axis == "label" else words[FEATURES.columns[::-1]]
    model = unfitted(KINDS[0])
    labels = as_masked(Y, BASE)
    model.set_params(label_features=words).fit(FEATURES, labels)
    with pytest.raises(ValueError, match=f"{axis} 0 is '(crime|f3)' and must be"):
        model.set_params(label_features=other).fit(FEATURES, labels)


def test_descriptions_of_other_names_raise():
    described = {"war": "troops", "sport": "goal", "peace": "truce"}
    model = unfitted("DescribedLabelsClassifier").set_params(descriptions=described)
    with pytest.raises(ValueError, match="peace"):
        model.fit(FEATURES, as_masked(Y, BASE))


def test_votes_of_other_names_raise():
    votes = {"a": as_masked(Y, BASE), "b": as_masked(Y, MOVED)}
    for aggregate in (MaskedLabels.from_votes, aggregate_votes, vote_agreement):
        with pytest.raises(ValueError, match="label 0 is 'crime' and must be 'war'"):
            aggregate(votes)
    proba = pd.DataFrame(np.full((N, 3), 0.5), columns=strings(MOVED))
    with pytest.raises(ValueError, match="`y_proba` .* is 'crime' and must be 'war'"):
        aggregate_votes({"a": votes["a"]}, y_proba=proba)
    moved = pd.DataFrame(np.full((N, 3), 0.5), columns=strings(BASE), index=IDS[::-1])
    with pytest.warns(row_order_warning()):
        aggregate_votes({"a": with_index("y", IDS)}, y_proba=moved)


def test_queries_of_other_names_raise():
    labels = MaskedLabels.from_dense(np.full((N, 3), np.nan), label_names=strings(BASE))
    queries = pd.DataFrame(np.eye(3, 4), index=strings(BASE), columns=FEATURES.columns)
    call = partial(annotation.seed_cells, FEATURES, labels=labels, n_cells=3)
    call(queries)
    with pytest.raises(ValueError, match="label 0 is 'crime' and must be 'war'"):
        call(queries[::-1])
    with pytest.raises(ValueError, match="feature 0 is 'f3' and must be 'f0'"):
        call(queries[["f3", "f1", "f2", "f0"]])
    with pytest.raises(ValueError, match="feature 0 is 'f3' and must be 'f0'"):
        call({"war": queries[["f3", "f1", "f2", "f0"]].iloc[:1]})


def test_checked_weights_have_the_names_of_the_labels():
    labels = as_masked(Y, BASE)
    for table in TABLES.values():
        for columns in (MOVED, OTHER):
            for call in (
                lambda weight: check_sample_weight(weight, labels),
                lambda weight: cell_weights(labels.cells(), weight, labels),
            ):
                with pytest.raises(ValueError, match="`sample_weight` must have the"):
                    call(table(W, columns))


def test_integer_names_are_names_and_no_positions():
    labels = MaskedLabels.from_dense(Y[:, BASE], label_names=[2, 1, 0])
    query = np.eye(1, 4)
    known = MaskedLabels.from_dense(np.full((N, 3), np.nan), label_names=[2, 1, 0])
    table = annotation.seed_cells(X, {2: query}, known, n_cells=3)
    assert set(table["label"]) == {0}
    display = plotting.MaskedRocCurveDisplay.from_predictions(
        labels, P[:, BASE], labels=[2], n_resamples=5
    )
    auc = metrics.masked_roc_auc_score(Y[:, :1], P[:, :1])
    assert display.curves[0].area == pytest.approx(auc)
    with pytest.raises(IndexError, match="accepts the names of labels"):
        plotting.MaskedRocCurveDisplay.from_predictions(
            labels, P[:, BASE], labels=[3], n_resamples=5
        )
    # The columns of a frame that got no names are positions, in whatever order.
    frame = pd.DataFrame(Y[:, BASE])
    model = MaskedMultiOutputClassifier(LogisticRegression()).fit(X, frame)
    assert model.label_names_ is None
    with pytest.raises(ValueError, match="label 0 is 2 and must be 0"):
        model.score(X, frame[[2, 1, 0]])


# Estimators inside others.


def wrapped(inner):
    """Return fitted estimators that have a fitted one inside."""
    model = MaskedMultiOutputClassifier(LogisticRegression())
    pipeline = make_pipeline(FunctionTransformer(), model)
    search = GridSearchCV(
        pipeline, {"maskedmultioutputclassifier__n_jobs": [1]}, cv=KFold(2)
    )
    return [
        pipeline.fit(X, inner),
        search.fit(X, inner),
        FrozenEstimator(pipeline),
        make_pipeline(FunctionTransformer(), search),
    ]


def test_names_are_seen_through_pipelines_searches_and_frozen_estimators():
    for model in wrapped(as_masked(Y, BASE)):
        for call in (
            metrics.masked_roc_auc_scorer,
            metrics.masked_f1_scorer,
            plotting.ThresholdCurveDisplay.from_estimator,
        ):
            with pytest.raises(
                ValueError, match="label 0 is 'crime' and must be 'war'"
            ):
                call(model, X, of_pandas(Y, MOVED))
            with pytest.raises(ValueError, match="the 3 labels that the model was"):
                call(model, X, Y[:, :2])


@pytest.mark.parametrize("owner", [MaskedCalibratedClassifierCV, TUNED])
def test_labels_of_a_frozen_estimator_are_those_of_the_fit_around_it(owner):
    inner = FrozenEstimator(fitted(KINDS[1], "pandas"))
    with pytest.raises(ValueError, match="label 0 is 'crime' and must be 'war'"):
        owner(inner).fit(FEATURES, of_pandas(Y, MOVED))


@pytest.mark.parametrize("kind", KINDS)
def test_score_of_fewer_labels_says_how_many_there_are(kind):
    with pytest.raises(ValueError) as caught:
        fitted(kind, "pandas").score(FEATURES, Y[:, :2])
    assert str(caught.value) == (
        "`y` must have the 3 labels that the model was fitted with; got 2."
    )


def test_probabilities_that_an_estimator_names_agree():
    class Named(MaskedMultiOutputClassifier):
        def predict_proba(self, X):
            proba = super().predict_proba(X)
            return pd.DataFrame(proba, columns=strings(MOVED))

    model = Named(LogisticRegression()).fit(X, Y[:, BASE])
    with pytest.raises(ValueError, match="label 0 is 'crime' and must be 'war'"):
        metrics.neg_masked_log_loss_scorer(model, X, as_masked(Y, BASE))


def test_scores_and_weights_agree_where_labels_have_no_names():
    y, names = Y[:, BASE], strings(BASE)
    score, weight = of_pandas(P, BASE), of_pandas(W, MOVED)
    model = fitted(KINDS[1], "pandas")
    for call in (
        lambda: metrics.masked_report(y, score, sample_weight=weight),
        lambda: model.score(FEATURES, y, sample_weight=weight),
        lambda: fitted(KINDS[0], "pandas").partial_fit(FEATURES, y, None, weight),
        lambda: inspection.paired_comparison(
            metrics.masked_roc_auc_score, y, score, of_pandas(P, MOVED)
        ),
    ):
        with pytest.raises(ValueError, match=f"'crime' and must be '{names[0]}'"):
            call()


def test_a_loop_compares_the_names_of_probabilities(tmp_path):
    loop = annotation.LabelingLoop(
        unfitted(KINDS[1]), X, folder=tmp_path, label_names=strings(BASE)
    )
    with pytest.raises(ValueError, match="label 0 is 'crime' and must be 'war'"):
        loop.next_batch(3, proba=of_pandas(P, MOVED))
    loop.close()


def test_missing_and_further_labels_are_named():
    y = as_masked(Y, BASE)
    for columns, said in (
        ([0, 1], "label 2, 'crime', is missing."),
        ([0, 1, 2, 3], "label 3, 'peace', is one more than the 3 there."),
    ):
        with pytest.raises(ValueError) as caught:
            metrics.masked_roc_auc_score(y, of_pandas(P, columns))
        assert str(caught.value).endswith(f"in the same order; {said}")


def test_a_column_name_that_is_nan_equals_itself():
    frame = pd.DataFrame(Y[:, BASE], columns=["war", float("nan"), "crime"])
    model = MaskedMultiOutputClassifier(LogisticRegression()).fit(X, frame)
    other = pd.DataFrame(Y[:, MOVED], columns=["crime", float("nan"), "war"])
    model.score(X, frame)
    with pytest.raises(ValueError, match="label 0 is 'crime' and must be 'war'"):
        model.score(X, other)
