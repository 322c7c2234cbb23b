"""Converter of the classifiers whose logits are sums over features."""

import warnings

import numpy as np
import scipy.sparse as sp
from scipy.special import expit
from skl2onnx.common.data_types import (
    FloatTensorType,
    Int64TensorType,
    StringTensorType,
)

from ._graph import FLOAT, INT64, Graph

_LARGEST = float(np.finfo(np.float32).max)


def alias(kind):
    """Return the name of a class of classifiers in skl2onnx's registry."""
    return f"SklearnMasked{kind.__name__}"


def parse(scope, model, inputs, custom_parsers=None):
    """Declare a classifier's two outputs, label and probabilities."""
    operator = scope.declare_local_operator(alias(type(model)), model)
    operator.inputs = inputs
    is_text = model._one_dimensional and not _are_numbers(model.classes_)
    label = StringTensorType() if is_text else Int64TensorType()
    for name, kind in (("label", label), ("probabilities", FloatTensorType())):
        operator.outputs.append(scope.declare_local_variable(name, kind))
    return operator.outputs


def calculate_shapes(operator):
    """Set the shapes of the outputs: rows by labels, or those of a binary target."""
    model, rows = operator.raw_operator, operator.inputs[0].get_first_dimension()
    label, probabilities = operator.outputs
    if model._one_dimensional:
        label.type.shape, probabilities.type.shape = [rows], [rows, 2]
    else:
        label.type.shape = probabilities.type.shape = [rows, model.n_labels_]


def convert(scope, operator, container):
    """Write the graph of a classifier."""
    model, graph = operator.raw_operator, Graph(scope, container)
    _, parts = model._additive(None, np.arange(model.n_labels_))
    for estimator in getattr(model, "estimators_", ()):
        refuse_other_probabilities(estimator)
    X = graph.add("Cast", operator.inputs[0].full_name, to=FLOAT)
    logits = add_logits(graph, X, parts)
    _add_outputs(graph, logits, model, *(o.full_name for o in operator.outputs))


def refuse_other_probabilities(estimator):
    """Raise for a linear classifier whose probabilities are no logistic function."""
    if hasattr(estimator, "coef_"):
        is_logistic = hasattr(estimator, "predict_proba")
        if is_logistic:
            # Rows whose decision values are these.
            weight = np.ravel(_dense(estimator.coef_))
            values = np.array([-1.0, 0.5, 1.0]) - np.ravel(estimator.intercept_)
            rows = np.outer(values, weight) / max(weight @ weight, 1e-30)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # rows have no feature names
                proba = estimator.predict_proba(rows)[:, 1]
                wanted = expit(estimator.decision_function(rows))
            is_logistic = np.allclose(proba, wanted, rtol=0, atol=1e-6)
        if not is_logistic:
            raise TypeError(
                "`estimator` must have the logistic function of its decision values as "
                "probabilities for ONNX, as LogisticRegression has; got "
                f"{type(estimator).__name__}."
            )


def add_logits(graph, X, parts):
    """Add the sum over the parts of `AdditiveModel`; return the name of the logits."""
    rows = X
    if "shift" in parts:
        rows = graph.add("Sub", rows, parts["shift"])
        rows = graph.add("Clip", rows, np.array(-_LARGEST), np.array(_LARGEST))
    terms = []
    if "weight" in parts:
        terms.append(graph.add("MatMul", rows, _dense(parts["weight"])))
    if "output" in parts and parts["output"].shape[1]:
        embedded = _embedded(graph, rows, parts)
        terms.append(graph.add("MatMul", embedded, parts["output"].T))
        if "pairs" in parts:
            n_dims = parts["output"].shape[1]
            terms.append(_interactions(graph, embedded, parts["pairs"], n_dims))
    if "row_length" in parts:
        terms.append(_row_length(graph, X, parts))
    if not terms:  # constants, for each row
        signs = graph.add("Sign", graph.row_sums(X))
        terms.append(graph.add("Mul", signs, np.array(0.0)))
    logits = parts["base"][None]
    for term in terms:
        logits = graph.add("Add", term, logits)
    return logits


def _embedded(graph, rows, parts):
    """Add the embeddings of rows, divided by what the model divides them by."""
    embedding = parts["embedding"]
    if "embedding_row" in parts:
        embedding = embedding[parts["embedding_row"]]
    if parts["norm"] == "length":
        # Over their largest numbers first: squares of large ones would be infinite.
        rows = _over_largest(graph, rows)
        hidden = _over_largest(graph, graph.add("MatMul", rows, embedding))
        squares = graph.row_sums(graph.add("Mul", hidden, hidden))
        return graph.over(hidden, graph.add("Sqrt", squares))
    hidden = graph.add("MatMul", rows, embedding)
    if parts["norm"] == "sum":
        return graph.over(hidden, graph.row_sums(graph.add("Abs", rows)))
    return hidden


def _over_largest(graph, rows):
    size = graph.add("Abs", rows)
    return graph.over(rows, graph.add("ReduceMax", size, np.array([1]), keepdims=1))


def _interactions(graph, embedded, pairs, n_dims):
    """Add the products of pairs of an embedding's last dimensions."""
    n_labels, width, _ = pairs.shape
    if (n_left_out := n_dims - width) > 0:
        starts, ends = np.array([n_left_out]), np.array([n_dims])
        embedded = graph.add("Slice", embedded, starts, ends, np.array([1]))
        squares = graph.row_sums(graph.add("Mul", embedded, embedded))
        embedded = graph.over(embedded, graph.add("Sqrt", squares))
    flat = pairs.transpose(1, 0, 2).reshape(width, n_labels * width)
    left = graph.add("MatMul", embedded, flat)
    left = graph.add("Reshape", left, np.array([-1, n_labels, width]))
    right = graph.add("Unsqueeze", embedded, np.array([1]))
    products = graph.add("Mul", left, right)
    return graph.add("ReduceSum", products, np.array([2]), keepdims=0)


def _row_length(graph, X, parts):
    """Add what the number of a row's features adds."""
    mean, std, factor, bound = parts["row_length"]
    has_value = graph.add("Abs", graph.add("Sign", X))
    count = graph.add("Log", graph.add("Add", graph.row_sums(has_value), np.array(1.0)))
    count = graph.add("Div", graph.add("Sub", count, np.array(mean)), np.array(std))
    count = graph.add("Clip", count, np.array(-bound), np.array(bound))
    return graph.add("Mul", count, factor * parts["row_length_weight"][None])


def _add_outputs(graph, logits, model, label, probabilities):
    """Add decisions and probabilities, those of a binary target for 1-D y."""
    thresholds = getattr(model, "logit_thresholds_", None)
    if thresholds is None:
        positive = graph.add("Greater", logits, np.array(0.0))
    else:
        positive = graph.add("GreaterOrEqual", logits, thresholds[None])
    positive = graph.add("Cast", positive, to=INT64)
    if not model._one_dimensional:
        graph.add("Identity", positive, out=label)
        graph.add("Sigmoid", logits, out=probabilities)
        return
    classes = model.classes_
    if _are_numbers(classes):
        classes = classes.astype(np.int64)
    else:
        classes = np.array([str(value) for value in classes], dtype=object)
    place = graph.add("Reshape", positive, np.array([-1]))
    graph.add("Gather", classes, place, out=label, axis=0)
    both = graph.add("Concat", graph.add("Neg", logits), logits, axis=1)
    graph.add("Sigmoid", both, out=probabilities)


def _are_numbers(classes):
    return np.asarray(classes).dtype.kind in "biu"


def _dense(weight):
    return weight.toarray() if sp.issparse(weight) else weight
