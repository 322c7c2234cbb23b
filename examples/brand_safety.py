"""
News: from decisions to a model file
====================================

Each snippet of the training corpus has ONE decision, a category confirmed or denied;
the test snippets have all ten. The program trains the default model, compares it with
separate models and with one that is told what each category means, writes it, and has
another process load it and judge a new text::

    python examples/brand_safety.py
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import joblib
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from sklearn_masked import (
    DescribedLabelsClassifier,
    MaskedMultiLabelClassifier,
    MaskedMultiOutputClassifier,
)
from sklearn_masked.datasets import load_brand_safety_snippets
from sklearn_masked.metrics import (
    masked_average_precision_score,
    masked_report,
    masked_roc_auc_score,
)

NEW_TEXT = "Police arrested two men after a robbery at a jewelry shop on Tuesday."

# What each category means, as one would tell an annotator.
WORDS = {
    "violence_crime": "violent crime: murder, assault, robbery, shooting, police",
    "armed_conflict": "war: troops, shelling, air strikes, the front, ceasefire",
    "terrorism": "terrorism: attack, bomb, extremists, hostages",
    "disasters_accidents": "disasters and accidents: earthquake, flood, fire, crash",
    "drugs_alcohol": "drugs and alcohol: cocaine, cannabis, overdose, beer, drunk",
    "gambling": "gambling: casino, betting, lottery, poker, slot machines",
    "adult_content": "adult content: pornography, sex, nudity, escorts",
    "hate_discrimination": "hate and discrimination: racism, slurs, minorities",
    "political_controversy": "politics: election, parliament, minister, protest",
    "health_misinformation": "health misinformation: vaccine, cure, miracle, remedy",
}

# What another program needs: the file, and scikit-learn's words.
ELSEWHERE = """
import sys, joblib
model = joblib.load(sys.argv[1])
proba = model.predict_proba([sys.argv[2]])[0]
names = model[-1].label_names_
for j in proba.argsort()[::-1][:3]:
    print(f"  {names[j]:24s}{proba[j]:.2f}")
"""


def main():
    train = load_brand_safety_snippets()
    test = load_brand_safety_snippets(subset="test")
    print(train.target)
    model = make_pipeline(TfidfVectorizer(), MaskedMultiLabelClassifier(random_state=0))
    proba = model.fit(train.data, train.target).predict_proba(test.data)
    print(f"\nOn {len(test.data)} test snippets, of which every cell is known:")
    print(masked_report(test.target, proba))
    print(
        "(The training cells were sought, half of them confirmed: probabilities follow "
        "those\nhalves until MaskedCalibratedClassifierCV.correct_prior is told of the "
        "traffic.)"
    )
    compare(train, test, proba)
    use_elsewhere(model)


def compare(train, test, proba):
    """Print the scores beside those of separate models, and with words for labels."""
    separate = make_pipeline(
        TfidfVectorizer(), MaskedMultiOutputClassifier(LogisticRegression(C=30))
    ).fit(train.data, train.target)
    rates = test.target.n_positive / test.target.n_labeled
    pipeline = make_pipeline(
        TfidfVectorizer(), MaskedMultiLabelClassifier(base_rates=rates, random_state=0)
    )
    words_alone = DescribedLabelsClassifier(pipeline, WORDS).fit(train.data, None)
    described = DescribedLabelsClassifier(pipeline, WORDS)
    described.fit(train.data, train.target)
    print(f"\n{'':30s}macro AUC   macro AP")
    for name, scores in {
        "one shared model": proba,
        "the same, with words": described.predict_proba(test.data),
        "words alone, no decision": words_alone.predict_proba(test.data),
        "ten separate models": separate.predict_proba(test.data),
    }.items():
        auc = masked_roc_auc_score(test.target, scores)
        ap = masked_average_precision_score(test.target, scores)
        print(f"{name:30s}{auc:9.3f}  {ap:9.3f}")


def use_elsewhere(model):
    """Write the model to a file, and let another process judge a text with it."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "brand_safety.joblib"
        joblib.dump(model, file)
        print(f"\nmodel file: {file.stat().st_size / 1e6:.1f} MB")
        print(f"another process reads {NEW_TEXT!r}:")
        command = [sys.executable, "-c", ELSEWHERE, file, NEW_TEXT]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        print(done.stdout, end="")


if __name__ == "__main__":
    main()
