"""
Sentence embeddings: arrays as X
================================

Vectors of a text encoder are features like any others. `TextEncoder` wraps an encoder
that you have loaded (sentence-transformers, model2vec, wordllama, a function), keeps
its vectors on disk by content, and centers them. No encoder is downloaded here: its
place is taken by a latent semantic analysis of unlabeled texts.
"""

import tempfile

from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from sklearn_masked import MaskedMultiLabelClassifier, MaskedMultiOutputClassifier
from sklearn_masked.datasets import make_masked_multilabel
from sklearn_masked.feature_extraction import TextEncoder
from sklearn_masked.metrics import masked_average_precision_score, masked_roc_auc_score

# %%
# 3,000 texts without labels teach the encoder; of 600 others one cell each is labeled.

texts, y, truth = make_masked_multilabel(
    5000, 8, words_per_text=20, return_full=True, random_state=0
)
unlabeled, train, test = texts[:3000], texts[3000:3600], texts[3600:]
y_train, y_test = y[3000:3600], truth[3600:].toarray()
print(y_train)

analysis = make_pipeline(
    TfidfVectorizer(sublinear_tf=True), TruncatedSVD(64, random_state=0)
).fit(unlabeled)


def encode(batch):
    """Return a vector per text; in earnest: `SentenceTransformer(...).encode`."""
    return analysis.transform(batch)


# %%
# Whatever head is trained next finds the vectors in the cache. By default the columns
# of an array are standardized (`std_power=1`), as suits measurements and most encoders.
# Where the scale of a dimension says how much it matters, as in this analysis, keep it:
# `std_power=None`. Compare both on your encoder, and with separate models.

with tempfile.TemporaryDirectory() as cache:
    for name, head in {
        "standardized": MaskedMultiLabelClassifier(random_state=0),
        "as they are": MaskedMultiLabelClassifier(std_power=None, random_state=0),
        "separate models": MaskedMultiOutputClassifier(LogisticRegression(C=10)),
    }.items():
        model = make_pipeline(TextEncoder(encode, cache=cache), head)
        scores = model.fit(train, y_train).predict_proba(test)
        auc = masked_roc_auc_score(y_test, scores)
        ap = masked_average_precision_score(y_test, scores)
        print(f"{name:17s}macro AUC {auc:.3f}  macro AP {ap:.3f}")

# %%
# Vectors that you have computed elsewhere need no `TextEncoder`:

vectors = encode(train)
model = MaskedMultiLabelClassifier(std_power=None, random_state=0)
model.fit(vectors, y_train)
print(vectors.shape, model.predict_proba(encode(test[:2])).round(1).tolist())
