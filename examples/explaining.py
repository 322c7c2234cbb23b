"""
Explain a label, and a decision
===============================

Which words speak for a category, and what each word of a text added to its log-odds:
both are read from the fitted weights.
"""

from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline

from sklearn_masked import MaskedMultiLabelClassifier
from sklearn_masked.datasets import load_brand_safety_snippets
from sklearn_masked.inspection import explain, label_coefficients

corpus = load_brand_safety_snippets()
model = make_pipeline(
    TfidfVectorizer(sublinear_tf=True, stop_words="english"),
    MaskedMultiLabelClassifier(random_state=0),
).fit(corpus.data, corpus.target)

# %%
# The words that count most for and against two categories. Effects are in log-odds,
# over the rows given.

print(
    label_coefficients(
        model, corpus.data, labels=["gambling", "armed_conflict"], n_features=5
    )
)

# %%
# One text: what each of its words added to the category's log-odds.

text = "The casino paid the lottery winner after police searched the betting office."
found = explain(model, text, labels="gambling")
print(found)

# %%
# Nothing is left over: the contributions add up to the logit.

total = found.to_frame()["contribution"].sum()
gambling = corpus.target_names.index("gambling")
logit = model.decision_function([text])[0, gambling]
print(abs(total - logit) < 1e-5)
