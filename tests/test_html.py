"""What notebooks show: tables, in which names are text and never markup."""

from html.parser import HTMLParser

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from sklearn_masked import (
    MaskedLabels,
    MaskedMultiOutputClassifier,
    MaskedTunedThresholdClassifierCV,
)
from sklearn_masked.annotation import query_cells
from sklearn_masked.inspection import audited_performance
from sklearn_masked.labels import aggregate_votes
from sklearn_masked.metrics import masked_classification_report, masked_report

EVIL = ["<script>alert(1)</script>", "a&b", "\"'<img src=x onerror=alert(1)>"]


class Read(HTMLParser):
    """The tags of a page, and its text."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.text = set(), []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        assert not any(name.startswith("on") for name, _ in attrs)

    def handle_data(self, data):
        self.text.append(data)


def problem(names=EVIL):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, len(names)))
    y = np.where(rng.random(X.shape) < 0.5, np.nan, X > 0)
    proba = np.clip(0.5 + 0.2 * X, 0.01, 0.99)
    return X, MaskedLabels.from_dense(y, label_names=names), proba


def report(name, names=EVIL):
    X, labels, proba = problem(names)
    if name == "labels":
        return labels
    if name == "report":
        return masked_report(labels, proba)
    if name == "classification report":
        return masked_classification_report(labels, (proba > 0.5).astype(float))
    if name == "audited performance":
        return audited_performance(labels, (proba > 0.5).astype(float))
    if name == "cells":
        return query_cells(proba, labels, n_cells=20)
    if name == "votes":
        return aggregate_votes({"ann": labels, "<b>bob</b>": labels})
    separate = MaskedMultiOutputClassifier(LogisticRegression())
    return MaskedTunedThresholdClassifierCV(separate, cv=2).fit(X, labels).report_


EVERY = [
    "labels",
    "report",
    "classification report",
    "audited performance",
    "cells",
    "votes",
    "thresholds",
]


@pytest.mark.parametrize("name", EVERY)
def test_names_that_look_like_markup_are_shown_as_text(name):
    page = Read(report(name)._repr_html_())
    assert page.tags <= {"table", "caption", "tr", "th", "td"}
    for evil in EVIL:
        assert evil in page.text


def test_a_table_has_its_numbers():
    found = report("report")
    page = Read(found._repr_html_())
    assert f"{found['auc'][0]:.4f}" in page.text
    assert str(found["labeled"][0]) in page.text
    assert "macro" in page.text and f"{found.macro['auc']:.4f}" in page.text


def test_of_many_labels_the_ends_are_shown():
    names = [f"label {i}" for i in range(200)]
    page = Read(report("report", names)._repr_html_())
    assert {"label 0", "label 199", "..."} <= set(page.text)
    assert "label 100" not in page.text


def test_labels_show_counts_per_label_and_no_cells():
    labels = MaskedLabels.from_dense([[1, np.nan], [0, 1]], label_names=["war", "art"])
    page = Read(labels._repr_html_())
    assert [text for text in page.text if text.strip()] == [
        "MaskedLabels(2 x 2, 3 labeled cells: 2 positive, 1 negative)",
        *("label", "positive", "negative", "unlabeled"),
        *("war", "1", "1", "0"),
        *("art", "1", "0", "1"),
    ]
