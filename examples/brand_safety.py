"""Brand safety: from one decision an article to a model file that is used elsewhere.

Each snippet of the training corpus has ONE decision, a category confirmed or denied;
the test snippets have all ten. The program searches for parameters, reports, writes
the model, and has another process load it and judge a new text.

    python examples/brand_safety.py
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import joblib
import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from sklearn_masked import MaskedMultiLabelClassifier, MaskedMultiOutputClassifier
from sklearn_masked.datasets import load_brand_safety_snippets
from sklearn_masked.metrics import (
    masked_average_precision_score,
    masked_report,
    masked_roc_auc_score,
    masked_roc_auc_scorer,
)

NEW_TEXT = "Police arrested two men after a robbery at a jewelry shop on Tuesday."

# What another program needs: the file, and scikit-learn's words.
ELSEWHERE = """
import sys, joblib
model = joblib.load(sys.argv[1])
proba = model.predict_proba([sys.argv[2]])[0]
names = model[-1].label_names_
for j in proba.argsort()[::-1][:3]:
    print(f"  {names[j]:24s}{proba[j]:.2f}")
"""


def vectorizer():
    return TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2), dtype=np.float32)


def search(texts, labels):
    """Choose how much is shared, by masked AUC on held-out decisions."""
    pipeline = make_pipeline(vectorizer(), MaskedMultiLabelClassifier(random_state=0))
    grid = {
        "maskedmultilabelclassifier__sharing": [0.1, 0.3, 1.0],
        "maskedmultilabelclassifier__C": [1.0, 10.0],
    }
    search = GridSearchCV(
        pipeline, grid, scoring=masked_roc_auc_scorer, cv=5, error_score="raise"
    )
    return search.fit(texts, labels)


def main():
    train = load_brand_safety_snippets()
    test = load_brand_safety_snippets(subset="test")
    print(train.target)
    found = search(train.data, train.target)
    model = found.best_estimator_
    print(
        f"chosen: {found.best_params_}, masked AUC {found.best_score_:.3f} in 5 folds"
    )
    print(
        "(Folds hold sought candidates, half of them denied: hard ones. Most test "
        "snippets are\nfar from a category, and easier; probabilities still follow "
        "those halves, until\nMaskedCalibratedClassifierCV.correct_prior is told.)"
    )

    proba = model.predict_proba(test.data)
    print(f"\nOn {len(test.data)} test snippets, of which every cell is known:")
    print(masked_report(test.target, proba))

    separate = make_pipeline(
        vectorizer(), MaskedMultiOutputClassifier(LogisticRegression(C=30))
    ).fit(train.data, train.target)
    print(f"\n{'':24s}macro AUC   macro AP")
    for name, scores in {
        "shared model": proba,
        "ten separate models": separate.predict_proba(test.data),
    }.items():
        auc = masked_roc_auc_score(test.target, scores)
        ap = masked_average_precision_score(test.target, scores)
        print(f"{name:24s}{auc:9.3f}  {ap:9.3f}")

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "brand_safety.joblib"
        joblib.dump(model, file)
        print(f"\nmodel file: {file.stat().st_size / 1e6:.1f} MB")
        print(f"another process reads {NEW_TEXT!r}:", flush=True)
        subprocess.run([sys.executable, "-c", ELSEWHERE, file, NEW_TEXT], check=True)


if __name__ == "__main__":
    main()
