"""Words for labels, through the vectorizer of the texts."""

import pickle

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import TruncatedSVD
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_masked import (
    DescribedLabelsClassifier,
    MaskedCalibratedClassifierCV,
    MaskedLabels,
    MaskedMultiLabelClassifier,
    MaskedMultiOutputClassifier,
)
from sklearn_masked.metrics import (
    masked_log_loss,
    masked_roc_auc_score,
    masked_roc_auc_scorer,
)
from sklearn_masked.model_selection import cross_val_predict

TOPICS = {
    "war": ["troops", "border", "shelling", "army", "truce"],
    "sport": ["striker", "keeper", "penalty", "goal", "league"],
    "money": ["bank", "shares", "profit", "loan", "market"],
}
NAMES = list(TOPICS)
WORDS = {"war": "army troops", "sport": "goal keeper", "money": "bank market profit"}
OTHERS = "the a of they said near after today report people".split()


def make_texts(n=120, seed=0):
    """Return texts about one topic each, and what they are about."""
    rng = np.random.default_rng(seed)
    topic = rng.integers(0, 3, n)
    texts = [
        " ".join([*rng.choice(TOPICS[NAMES[t]], 2), *rng.choice(OTHERS, 4)])
        for t in topic
    ]
    return texts, np.eye(3)[topic]


def half(truth, seed=0, share=0.3):
    """Return the labels with some cells labeled."""
    kept = np.random.default_rng(seed).random(truth.shape) < share
    return MaskedLabels.from_dense(np.where(kept, truth, np.nan), label_names=NAMES)


TEXTS, TRUTH = make_texts()
Y = half(TRUTH)


def classifier(**params):
    settings = {"max_epochs": 4, "embedding_dim": 4, "random_state": 0}
    settings |= {"device": "cpu", "base_rates": 1 / 3}
    return MaskedMultiLabelClassifier(**{**settings, **params})


def described(*steps, words=WORDS, column=None, **params):
    steps = steps or (TfidfVectorizer(),)
    pipeline = make_pipeline(*steps, classifier(**params))
    return DescribedLabelsClassifier(pipeline, words, text_column=column)


def test_words_are_features_by_the_same_vectorizer():
    vectorizer = TfidfVectorizer().fit(TEXTS)
    features = vectorizer.transform(WORDS.values())
    by_hand = classifier(label_features=features).fit(vectorizer.transform(TEXTS), Y)
    clf = described().fit(TEXTS, Y)
    expected = by_hand.predict_proba(vectorizer.transform(TEXTS))
    np.testing.assert_array_equal(clf.predict_proba(TEXTS), expected)
    np.testing.assert_array_equal(clf.predict(TEXTS), expected > 0.5)
    assert list(clf.label_names_) == NAMES
    assert clf.n_labels_ == 3 and list(clf.classes_) == [0, 1, 2]
    as_list = described(words=list(WORDS.values())).fit(TEXTS, Y.to_dense())
    np.testing.assert_array_equal(as_list.predict_proba(TEXTS), expected)


STEPS = {
    "union": (
        FeatureUnion(
            [
                ("words", TfidfVectorizer()),
                ("characters", TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 4))),
            ]
        ),
    ),
    "dense": (TfidfVectorizer(), TruncatedSVD(8, random_state=0), StandardScaler()),
}


@pytest.mark.parametrize("steps", STEPS)
def test_words_alone_tell_labels_through_any_pipeline(steps):
    clf = described(*STEPS[steps]).fit(TEXTS, None)
    proba = clf.predict_proba(TEXTS)
    assert masked_roc_auc_score(TRUTH, proba) > 0.8
    np.testing.assert_allclose(proba.mean(axis=0), 1 / 3, atol=1e-4)
    assert list(clf.label_names_) == NAMES


def test_a_column_of_a_table_takes_the_words():
    table = pd.DataFrame({"text": TEXTS, "length": [len(t) for t in TEXTS]})
    table.index = table.index[::-1]
    steps = (
        ColumnTransformer(
            [("t", TfidfVectorizer(), "text"), ("n", StandardScaler(), ["length"])]
        ),
    )
    clf = described(*steps, column="text").fit(table, None)
    alone = described().fit(TEXTS, None)
    last = clf.estimator_[-1]
    assert sp.issparse(last.label_features)
    assert last.label_features.shape[1] == len(alone.estimator_[0].vocabulary_) + 1
    assert not last.label_features[:, [-1]].toarray().any()
    assert masked_roc_auc_score(TRUTH, clf.predict_proba(table)) > 0.8
    message = (
        "`text_column` accepts the name of a column of `X`, one of ['text', 'length']; "
        "got None."
    )
    with pytest.raises(ValueError) as caught:
        described(*steps).fit(table, None)
    assert str(caught.value) == message
    one = ColumnTransformer([("t", TfidfVectorizer(), "text")])
    only = described(one).fit(table[["text"]], None)
    np.testing.assert_allclose(
        only.predict_proba(table[["text"]]), alone.predict_proba(TEXTS), rtol=1e-5
    )


def test_blank_words_describe_nothing():
    words = {"war": "army troops", "sport": "  "}  # money is left out
    clf = described(TfidfVectorizer(), words=words).fit(TEXTS, Y)
    rows = clf.estimator_[-1].label_features.toarray()
    np.testing.assert_array_equal(rows.any(axis=1), [True, False, False])


def test_a_new_name_in_y_joins_by_its_words():
    names = ["war", "sport"]
    y = MaskedLabels.from_dense(Y.to_dense()[:, :2], label_names=names)
    first = described(words={name: WORDS[name] for name in names}).fit(TEXTS, y)
    more = np.column_stack([Y.to_dense()[:, :2], np.full(len(TEXTS), np.nan)])
    clf = clone(first).set_params(descriptions=WORDS)
    clf.fit(TEXTS, MaskedLabels.from_dense(more, label_names=NAMES))
    proba = clf.predict_proba(TEXTS)
    assert masked_roc_auc_score(TRUTH[:, 2:], proba[:, 2:]) > 0.8


def test_searches_clones_pickles_and_folds():
    search = GridSearchCV(
        described(),
        {"estimator__maskedmultilabelclassifier__C": [0.5, 5.0]},
        scoring=masked_roc_auc_scorer,
        cv=3,
        error_score="raise",
    )
    search.fit(TEXTS, Y)
    assert search.best_score_ > 0.8
    clf = search.best_estimator_
    again = pickle.loads(pickle.dumps(clf))
    np.testing.assert_array_equal(again.predict_proba(TEXTS), clf.predict_proba(TEXTS))
    assert clf.score(TEXTS, Y) > 0.8
    held_out = cross_val_predict(described(), TEXTS, Y, method="predict_proba")
    assert masked_roc_auc_score(TRUTH, held_out) > 0.8


def test_a_calibrator_takes_it():
    clf = MaskedCalibratedClassifierCV(described(), cv=3, ensemble=False)
    clf.fit(TEXTS, half(TRUTH, share=0.6))
    assert masked_roc_auc_score(TRUTH, clf.predict_proba(TEXTS)) > 0.8


def test_partial_fit_goes_on_from_the_words():
    clf = described()
    nothing = MaskedLabels.from_dense(np.full((120, 3), np.nan), label_names=NAMES)
    clf.partial_fit(TEXTS, nothing)
    before = clf.predict_proba(TEXTS)
    vocabulary = clf.estimator_[0].vocabulary_
    other, truth = make_texts(seed=1)
    kept = pickle.dumps(clf)
    clf.partial_fit(other, half(truth, seed=1))
    assert clf.estimator_[0].vocabulary_ is vocabulary
    after = clf.predict_proba(TEXTS)
    assert masked_log_loss(TRUTH, after) < masked_log_loss(TRUTH, before)
    first = pickle.loads(kept)
    with pytest.raises(ValueError, match="number of rows"):
        first.partial_fit(other[:5], half(truth))
    np.testing.assert_array_equal(first.predict_proba(TEXTS), before)


def test_one_dimensional_labels():
    flat = np.where(np.isnan(Y.to_dense()[:, 0]), np.nan, Y.to_dense()[:, 0])
    clf = described(words=[WORDS["war"]]).fit(TEXTS, flat)
    assert clf.predict_proba(TEXTS).shape == (120, 2)
    assert clf.score(TEXTS, TRUTH[:, 0]) > 0.8


def test_before_fit_nothing_is_predicted():
    with pytest.raises(NotFittedError):
        described().predict(TEXTS)


BAD = {
    "an unknown name": (
        {**WORDS, "peace": "truce"},
        Y,
        ValueError,
        "`descriptions` must name labels of `y`; 'peace' is none of them. A label "
        "without any labeled cell must have its name in `y` too.",
    ),
    "names against positions": (
        WORDS,
        Y.to_dense(),
        ValueError,
        "`descriptions` accepts a mapping where the labels of `y` have names; they "
        "have none. Pass a sequence of words in the order of the labels.",
    ),
    "too few": (
        ["army"],
        Y,
        ValueError,
        "`descriptions` accepts a mapping from label names to words, or a sequence of "
        "words for each of the 3 labels; got 1 entries.",
    ),
    "one string": (
        "war",
        Y,
        ValueError,
        "`descriptions` accepts a mapping from label names to words, or a sequence of "
        "words for each of the 3 labels; got 'war'.",
    ),
    "no text": (
        {"war": 3},
        Y,
        TypeError,
        "`descriptions` accepts words as a str for each label; got int for label "
        "'war'.",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_descriptions_raise_one_sentence(case):
    words, y, kind, message = BAD[case]
    clf = described(words=words)
    with pytest.raises(kind) as caught:
        clf.fit(TEXTS, y)
    assert str(caught.value) == message
    assert not hasattr(clf, "estimator_")


@pytest.mark.parametrize(
    "estimator",
    [
        classifier(),
        make_pipeline(classifier()),
        make_pipeline(
            TfidfVectorizer(), MaskedMultiOutputClassifier(LogisticRegression())
        ),
    ],
)
def test_estimators_without_texts_or_label_features_are_refused(estimator):
    with pytest.raises(ValueError, match="`estimator` accepts a Pipeline of transform"):
        DescribedLabelsClassifier(estimator, WORDS).fit(TEXTS, Y)
