"""Fitted models as parts of a file: which are known, and what their arrays are."""

from numbers import Integral

import numpy as np
import scipy.sparse as sp

from .._scripts import words_and_characters
from ..exceptions import UnservableModelError
from ._file import Part

_LINEAR = (
    "LinearSVC",
    "LogisticRegression",
    "LogisticRegressionCV",
    "Perceptron",
    "RidgeClassifier",
    "RidgeClassifierCV",
    "SGDClassifier",
)
_VECTORIZERS = "CountVectorizer", "TfidfVectorizer", "HashingVectorizer"


def part_of(model):
    """Return a fitted model or transformer as a part."""
    model = unwrapped(model)
    # Of exactly this class: what another one overrides, nobody knows.
    found = _PARTS.get(_class_of(model))
    if found is None:
        refuse(
            f"{'.'.join(_class_of(model))} is none of the models and transformers that "
            "a predictor computes, which are "
            f"{', '.join(sorted(name for _, name in _PARTS))}"
        )
    return found(model)


def unwrapped(model):
    """Return the fitted model by which a search, or the like, predicts."""
    while _class_of(model) in _WRAPPERS:
        model = getattr(model, _WRAPPERS[_class_of(model)])
    return model


def _class_of(model):
    """Return the package of a model's class, and its name."""
    return type(model).__module__.partition(".")[0], type(model).__qualname__


def refuse(why):
    """Raise the error of a model that cannot be exported."""
    raise UnservableModelError(f"`model` cannot be exported: {why}.")


def _vectorizer(model):
    """Return a vectorizer, its vocabulary in the order of the columns."""
    name = type(model).__name__
    params = model.get_params()
    if model.analyzer is words_and_characters:  # which takes a text as it is
        as_it_is = {"lowercase": False, "strip_accents": None, "preprocessor": None}
        params |= {"analyzer": words_and_characters.__name__, **as_it_is}
    for parameter in ("preprocessor", "tokenizer", "strip_accents", "analyzer"):
        if callable(params[parameter]):
            refuse(
                f"`{parameter}` of {name} is a function, and a file holds none; pass "
                "texts through it before, or choose a `token_pattern`"
            )
    if model.input != "content":
        refuse(f"`input` of {name} is {model.input!r}; a predictor takes texts")
    low, high = model.ngram_range
    if not (isinstance(low, Integral) and isinstance(high, Integral) and low >= 1):
        refuse(f"`ngram_range` of {name} is {model.ngram_range}, not of 1 and more")
    settings = {
        "encoding": model.encoding,
        "decode_error": model.decode_error,
        "lowercase": bool(params["lowercase"]),
        "strip_accents": params["strip_accents"] or None,
        "analyzer": params["analyzer"],
        "min_n": int(low),
        "max_n": int(high),
        "binary": bool(model.binary),
        "dtype": np.dtype(model.dtype).name,
    }
    part = Part(name, settings)
    if model.analyzer == "word":
        settings["token_pattern"] = model.token_pattern
        stop_words = model.get_stop_words()
        if stop_words is not None:
            part.lists["stop_words"] = sorted(stop_words)
    if name == "HashingVectorizer":
        settings["n_features"] = int(model.n_features)
        settings["alternate_sign"] = bool(model.alternate_sign)
        settings["norm"], settings["sublinear_tf"] = model.norm, False
    else:
        vocabulary = model.vocabulary_
        part.lists["vocabulary"] = sorted(vocabulary, key=vocabulary.get)
    if name == "TfidfVectorizer":
        _add_weighting(part, model)
    return part


def _add_weighting(part, model):
    part.settings["norm"] = model.norm
    part.settings["sublinear_tf"] = bool(model.sublinear_tf)
    if model.use_idf:
        part.arrays["idf"] = np.asarray(model.idf_)


def _tfidf(model):
    part = Part("TfidfTransformer", {"n_features": int(model.n_features_in_)})
    _add_weighting(part, model)
    return part


def _normalizer(model):
    settings = {"norm": model.norm, "n_features": int(model.n_features_in_)}
    return Part("Normalizer", settings)


def _scaler(model):
    """Return a scaler: x -> (x - shift) / divisor * factor + offset."""
    name = type(model).__name__
    names = {
        "StandardScaler": {"shift": "mean_", "divisor": "scale_"},
        "MaxAbsScaler": {"divisor": "scale_"},
        "MinMaxScaler": {"factor": "scale_", "offset": "min_"},
    }[name]
    part = Part("Scaler", {"n_features": int(model.n_features_in_)})
    kept = {"shift": getattr(model, "with_mean", True)}
    kept["divisor"] = getattr(model, "with_std", True)
    for array, attribute in names.items():
        if kept.get(array, True):
            part.arrays[array] = np.asarray(getattr(model, attribute), np.float64)
    if getattr(model, "clip", False):
        low, high = getattr(model, "feature_range", (-1, 1))
        part.settings |= {"low": float(low), "high": float(high)}
    return part


def _union(model):
    factors = model.transformer_weights or {}
    kept = [(name, one) for name, one in model.transformer_list if one != "drop"]
    factors = np.array([float(factors.get(name, 1)) for name, _ in kept])
    parts = [part_of(one) for _, one in kept]
    return Part("FeatureUnion", arrays={"factors": factors}, parts=parts)


def _pipeline(model):
    steps = [one for _, one in model.steps if one is not None and one != "passthrough"]
    return Part("Pipeline", parts=[part_of(one) for one in steps])


def _classifier(model):
    """Return the module of a MaskedMultiLabelClassifier."""
    module = model.net_.module_
    name = type(module).__name__
    if _class_of(module) not in {("sklearn_masked", known) for known in _MODULES}:
        refuse(
            f"its `module`, {name}, is one of your own; torch.export writes it, and a "
            "predictor computes the default module and 'embedding_bag'"
        )
    state = {
        name: tensor.detach().cpu().float().numpy()
        if tensor.is_floating_point()
        else tensor.cpu().numpy()
        for name, tensor in module.state_dict().items()
    }
    part = _MODULES[name](module, state, int(model.n_features_in_))
    absent = ~model._has_cells()
    if absent.any():
        constant = np.where(absent, model._pooled_logit(), np.nan)
        part.arrays["constant"] = constant.astype(np.float32)
    return part


def _embedding_bag(module, state, n_features):
    arrays = {
        "embedding": state["embedding"],
        "output": state["output.weight"].T,
        "bias": state["output.bias"],
    }
    settings = {"n_features": n_features, "mode": module.mode}
    return Part("EmbeddingBag", settings, arrays, weights=("embedding", "output"))


def _direct_shared(module, state, n_features):
    """Return the default module; what is one number is multiplied into the arrays."""
    dim = state["embedding"].shape[1]
    names = ("bias", "slope", "intercept", "feature_scale")
    arrays = {name: state[name] for name in names}
    arrays["embedding"] = state["embedding"]
    if np.array_equal(state["embedding_row"], np.arange(1, n_features + 1)):
        arrays["embedding"] = state["embedding"][1:]
    else:
        arrays["embedding_row"] = state["embedding_row"].astype(np.int32)
    arrays["output"] = (state["shared_weight"] * state["output"][:, :dim]).T
    for name, attribute in (
        ("shift", "feature_shift"),
        ("std", "feature_std"),
        ("common", "common_weight"),
    ):
        if len(state[attribute]):
            arrays[name] = state[attribute]
    if "direct.starts" in state:
        arrays["pair_starts"] = state["direct.starts"]
        arrays["pair_label"] = state["direct.labels"]
        arrays["pair_weight"] = state["direct.weight"]
    elif "direct.weight" in state:
        arrays["direct"] = state["direct.weight"]
    settings = {"n_features": n_features}
    if len(state["row_length_scale"]):
        mean, std = state["row_length_scale"].tolist()
        settings |= {"length_mean": mean, "length_std": std}
        arrays["length_weight"] = state["output"][:, dim]
    if "quadratic.weight" in state:
        if (paired := state["quadratic.weight"].shape[1]) < dim:
            settings["paired_dim"] = paired
        arrays["quadratic"] = _triangles(
            np.sqrt(state["interactions"]) * state["quadratic.weight"]
        )
    weights = ("embedding", "output", "direct", "pair_weight", "common", "quadratic")
    return Part("DirectShared", settings, arrays, weights=weights)


def _triangles(matrices):
    """Return the coefficient of each product of two dimensions, of each label."""
    rows, cols = np.triu_indices(matrices.shape[1])
    both = matrices[:, rows, cols] + matrices[:, cols, rows]
    return np.where(rows == cols, both / 2, both).astype(np.float32)


_MODULES = {"DirectSharedModule": _direct_shared, "EmbeddingBagModule": _embedding_bag}


def _multi_output(model):
    """Return the linear models of the labels, stacked."""
    n_features = getattr(model, "n_features_in_", None)
    if n_features is None:
        refuse("MaskedMultiOutputClassifier was fitted on texts; vectorize them before")
    rate = np.full(len(model.estimators_), np.nan)
    columns = []
    for label, estimator in enumerate(model.estimators_):
        if type(estimator).__name__ == "ConstantLabel":
            rate[label] = estimator.rate
            columns.append((np.zeros(n_features), estimator.decision_function([0])[0]))
        else:
            columns.append(_binary(estimator))
    part = _stacked(*zip(*columns, strict=True))
    if not np.isnan(rate).all():
        part.arrays["rate"] = rate
    return part


def _linear(model):
    return _stacked(*zip(_binary(model), strict=True))


def _stacked(coefs, intercepts):
    coef = np.array(coefs).T
    arrays = {"coef": coef, "intercept": np.array(intercepts, coef.dtype)}
    return Part("Linear", arrays=arrays, weights=("coef",))


def _binary(model):
    """Return coefficients and intercept of a binary classifier, scaler folded in."""
    home, name = _class_of(model)
    if (home, name) == ("sklearn", "Pipeline"):
        *scalers, last = [one for _, one in model.steps]
        coef, intercept = _binary(last)
        for part in reversed([part_of(one) for one in scalers]):
            if part.kind != "Scaler" or "low" in part.settings:
                refuse(f"a label's pipeline has a step {part.kind} of its own")
            get = part.arrays.get
            scale = get("factor", 1) / get("divisor", np.ones(len(coef)))
            intercept += coef @ (get("offset", 0) - get("shift", 0) * scale)
            coef = coef * scale
        return coef, intercept
    if home != "sklearn" or name not in _LINEAR:
        refuse(
            f"MaskedMultiOutputClassifier of {name} is not one of linear models, "
            f"{', '.join(_LINEAR)}, or of pipelines of scalers and one of these"
        )
    if len(model.classes_) != 2:
        refuse(f"{name} has {len(model.classes_)} classes, and no labels")
    # Of the linear models with probabilities, this one's need not be logistic.
    if getattr(model, "loss", None) == "modified_huber":
        refuse(f"the probabilities of {name}(loss={model.loss!r}) are not logistic")
    coef = model.coef_.toarray() if sp.issparse(model.coef_) else model.coef_
    return np.ravel(coef), float(np.ravel(model.intercept_)[0])


def _calibrated(model):
    """Return the models of a calibrator, and after them their maps."""
    pairs = model.calibrated_classifiers_
    has_decision = hasattr(pairs[0].estimator, "decision_function")
    settings = {"scores": "decision" if has_decision else "proba"}
    arrays = {"prior_shift": np.asarray(model.prior_shift_, np.float64)}
    parts = [part_of(pair.estimator) for pair in pairs]
    parts += [_maps(pair.calibrators) for pair in pairs]
    return Part("Calibrated", settings, arrays, parts=parts)


def _maps(maps):
    """Return the maps of all labels, which may share some."""
    name = type(maps[0]).__name__
    if name == "SigmoidMap":
        slope, intercept = np.array([(one.a_, one.b_) for one in maps]).T
        return Part(name, arrays={"slope": slope, "intercept": intercept})
    if name == "TemperatureMap":
        factor = np.array([one.beta_ for one in maps])
        settings = {"of_probabilities": bool(maps[0].of_probabilities)}
        return Part(name, settings, {"factor": factor})
    places = {id(one): one.regression_ for one in maps}
    order = {place: number for number, place in enumerate(places)}
    steps = [one.X_thresholds_ for one in places.values()]
    proba = [one.y_thresholds_ for one in places.values()]
    arrays = {
        "score": np.concatenate(steps).astype(np.float64),
        "proba": np.concatenate(proba).astype(np.float64),
        "starts": np.append(0, np.cumsum([len(one) for one in steps])),
        "map": np.array([order[id(one)] for one in maps], np.int32),
    }
    return Part(name, arrays=arrays)


def _tuned(model):
    """Return the models whose scores thresholds cut, and these."""
    members = getattr(model.estimator_, "estimators", None)
    is_folds = type(model.estimator_).__name__ == "FoldEstimators"
    members = members if is_folds else [model.estimator_]
    method = next(name for name in model._methods() if hasattr(members[0], name))
    settings = {
        "scores": "decision" if method == "decision_function" else "proba",
        "ties": model.scoring == "precision_at_recall",
    }
    arrays = {"thresholds": np.asarray(model.thresholds_, np.float64)}
    parts = [part_of(one) for one in members]
    return Part("Tuned", settings, arrays, parts=parts)


_PARTS = {
    **{("sklearn", name): _vectorizer for name in _VECTORIZERS},
    **{("sklearn", name): _linear for name in _LINEAR},
    ("sklearn", "TfidfTransformer"): _tfidf,
    ("sklearn", "Normalizer"): _normalizer,
    ("sklearn", "StandardScaler"): _scaler,
    ("sklearn", "MaxAbsScaler"): _scaler,
    ("sklearn", "MinMaxScaler"): _scaler,
    ("sklearn", "FeatureUnion"): _union,
    ("sklearn", "Pipeline"): _pipeline,
    ("sklearn_masked", "MaskedMultiLabelClassifier"): _classifier,
    ("sklearn_masked", "MaskedMultiOutputClassifier"): _multi_output,
    ("sklearn_masked", "MaskedCalibratedClassifierCV"): _calibrated,
    ("sklearn_masked", "MaskedTunedThresholdClassifierCV"): _tuned,
}
# Where the model is that they predict by.
_WRAPPERS = {
    ("sklearn", "FrozenEstimator"): "estimator",
    ("sklearn", "GridSearchCV"): "best_estimator_",
    ("sklearn", "RandomizedSearchCV"): "best_estimator_",
    ("sklearn", "HalvingGridSearchCV"): "best_estimator_",
    ("sklearn", "HalvingRandomSearchCV"): "best_estimator_",
    ("sklearn_masked", "DescribedLabelsClassifier"): "estimator_",
}
