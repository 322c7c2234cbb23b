"""The displays of coefficients and explanations hold the numbers that they draw."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from test_plotting import close_figures, draw  # noqa: F401

from sklearn_masked import MaskedLabels, MaskedMultiLabelClassifier
from sklearn_masked.inspection import explain, label_coefficients
from sklearn_masked.plotting import ExplanationDisplay, LabelCoefficientsDisplay

NAMES = ["first", "second", "third"]


@pytest.fixture(scope="module")
def fitted():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 14))
    y = np.where(rng.random((60, 3)) < 0.4, np.nan, X[:, :3] > 0.3)
    model = MaskedMultiLabelClassifier(
        4, interactions=0.3, max_epochs=5, random_state=0
    )
    return model.fit(X, MaskedLabels.from_dense(y, label_names=NAMES)), X


@pytest.mark.parametrize("order", ["effect", "coefficient"])
def test_bars_are_the_features_of_each_label(fitted, order):
    model, X = fitted
    display = LabelCoefficientsDisplay.from_estimator(
        model, X, labels=["third", "first"], n_features=3, order=order
    )
    found = label_coefficients(
        model, X, labels=["third", "first"], n_features=3, order=order
    )
    draw(display.figure_)
    for place, axes in enumerate(display.axes_):
        widths = [bar.get_width() for bar in axes.patches]
        np.testing.assert_allclose(widths, found.scores[place])
        ticks = [tick.get_text() for tick in axes.get_yticklabels()]
        assert ticks == found.features[place].tolist()
        assert axes.get_title() == ["third", "first"][place]
        # The feature most for a label is at the top.
        assert axes.get_ylim()[0] > axes.get_ylim()[1]
    unit = {"effect": "std. deviation", "coefficient": "unit"}[order]
    assert axes.get_xlabel() == f"log-odds per {unit}"


def test_bars_are_drawn_into_given_axes(fitted):
    model, X = fitted
    axes = plt.subplots(1, 3)[1]
    display = LabelCoefficientsDisplay.from_estimator(model, X, ax=axes)
    assert list(display.axes_) == list(axes)


def test_more_labels_than_a_picture_holds_are_refused(fitted):
    model, X = fitted
    found = label_coefficients(model, X, labels=[0] * 25)
    with pytest.raises(ValueError) as caught:
        LabelCoefficientsDisplay(coefficients=found).plot()
    assert str(caught.value) == (
        "`labels` accepts at most 24 labels to draw; got 25. Choose some."
    )
    assert not plt.get_fignums()


def test_label_without_features_has_an_empty_panel(fitted):
    model, X = fitted
    found = label_coefficients(model, X, labels=0)
    found.features[0], found.effects[0] = np.array([], object), np.array([])
    figure = LabelCoefficientsDisplay(coefficients=found).plot().figure_
    draw(figure)
    assert [len(ax.patches) for ax in figure.axes] == [0]


def test_terms_go_from_the_base_to_the_logit(fitted):
    model, X = fitted
    display = ExplanationDisplay.from_estimator(
        model, X[:4], sample=2, label="second", n_features=4
    )
    texts = draw(display.figure_)
    bars = display.ax_.patches
    found = explain(model, X[:4])
    logit = found.logits[2, 1]
    assert bars[0].get_width() == pytest.approx(found.base[1])
    for before, bar in zip(bars[:-2], bars[1:-1], strict=True):
        assert bar.get_x() == pytest.approx(before.get_x() + before.get_width())
    assert bars[-2].get_x() + bars[-2].get_width() == pytest.approx(logit)
    assert bars[-1].get_width() == pytest.approx(logit)
    probability = model.predict_proba(X[[2]])[0, 1]
    assert f"sum: probability {probability:.2f}" in texts
    assert {"base", "10 other features", "interactions", "second, row 2"} <= set(texts)
    assert f"{logit:+.2f}" in texts
    low, high = display.ax_.get_xlim()
    ends = [bar.get_x() + bar.get_width() for bar in bars]
    assert low < min(ends) and high > max(ends)


def test_the_likeliest_label_is_drawn_where_none_is_named(fitted):
    model, X = fitted
    place = int(np.argmax(model.decision_function(X[:1])[0]))
    display = ExplanationDisplay.from_estimator(model, X[:1])
    assert display.ax_.get_title() == f"{NAMES[place]}, row 0"
    with pytest.raises(ValueError, match="`label` accepts one of"):
        ExplanationDisplay.from_estimator(model, X[:1], label="fourth")
