"""
Search by Optuna, or without it
===============================

An objective is a cross-validated score of the labeled cells: `cross_val_score` takes
`MaskedLabels` and the package's scorers. Where Optuna is installed it suggests the
parameters; elsewhere the same objective is searched at random.
"""

import numpy as np
from sklearn.base import clone
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline

from sklearn_masked import MaskedMultiLabelClassifier
from sklearn_masked.datasets import make_masked_multilabel
from sklearn_masked.metrics import masked_roc_auc_score, masked_roc_auc_scorer
from sklearn_masked.model_selection import MaskedStratifiedKFold

N_TRIALS = 8

# %%
# One sought cell per text; the last 1,000 texts, with every cell known, are kept for
# the winner: of several candidates the best one is best by luck in part.

texts, y, truth = make_masked_multilabel(
    1600, 6, words_per_text=10, return_full=True, random_state=0
)
train, y_train = texts[:600], y[:600]
held_out, y_held_out = texts[600:], truth[600:].toarray()

model = make_pipeline(
    TfidfVectorizer(), MaskedMultiLabelClassifier(max_epochs=10, random_state=0)
)
folds = MaskedStratifiedKFold(3, shuffle=True, random_state=0)


def with_params(C, shared_weight):
    """Return an unfitted model with these parameters."""
    return clone(model).set_params(
        maskedmultilabelclassifier__C=C,
        maskedmultilabelclassifier__shared_weight=shared_weight,
        maskedmultilabelclassifier__label_correlation=0.0,
    )


def score(**params):
    """Return the mean AUC over folds, of the labeled cells left out."""
    found = cross_val_score(
        with_params(**params), train, y_train, scoring=masked_roc_auc_scorer, cv=folds
    )
    return found.mean()


# %%
# With Optuna an objective asks a trial for the parameters; without, a seeded generator
# draws them.


def search_by_optuna(optuna):
    """Return the best parameters and their score."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)

    def objective(trial):
        return score(
            C=trial.suggest_float("C", 0.1, 100, log=True),
            shared_weight=trial.suggest_float("shared_weight", 0.05, 1.0, log=True),
        )

    study = optuna.create_study(
        direction="maximize", sampler=optuna.samplers.TPESampler(seed=0)
    )
    study.optimize(objective, n_trials=N_TRIALS)
    return study.best_params, study.best_value


def search_at_random():
    """Return the best parameters and their score."""
    rng = np.random.default_rng(0)
    trials = []
    for _ in range(N_TRIALS):
        params = {
            "C": 10 ** rng.uniform(-1, 2),
            "shared_weight": 10 ** rng.uniform(-1.3, 0),
        }
        trials.append((score(**params), params))
    best, params = max(trials, key=lambda trial: trial[0])
    return params, best


try:
    import optuna
except ImportError:
    print("Optuna is not installed: a random search.")
    params, best = search_at_random()
else:
    params, best = search_by_optuna(optuna)

print({name: round(float(value), 2) for name, value in params.items()})
print(f"cross-validated AUC {best:.3f}")

# %%
# The winner against the defaults, on texts that the search has not seen.

for name, candidate in {"found": with_params(**params), "default": model}.items():
    scores = candidate.fit(train, y_train).predict_proba(held_out)
    print(f"{name:8s} AUC {masked_roc_auc_score(y_held_out, scores):.3f}")
