"""The small corpus of news-like snippets that the examples use."""

import csv
from importlib.resources import files
from typing import Any, Literal

import numpy as np
from sklearn.utils import Bunch

from ..labels import MaskedLabels

_CATEGORIES = {
    "violence_crime": "violent acts and other crimes, arrests and trials for them",
    "armed_conflict": "wars, military operations, truces, people fleeing from them",
    "terrorism": "attacks and plots of extremist groups, and the defense against them",
    "disasters_accidents": "natural disasters and serious accidents",
    "drugs_alcohol": "illegal drugs, drinking, smoking, doping and their harm",
    "gambling": "bets, casinos, lotteries, and addiction to them",
    "adult_content": "the sex industry, nudity and explicit material, soberly told",
    "hate_discrimination": "hatred of groups of people, and unequal treatment of them",
    "political_controversy": "disputed elections, laws and parties, political scandals",
    "health_misinformation": "false or unproven claims about health, and their effects",
}

_DESCR = """\
Brand-safety snippets
---------------------

Short news-like texts, each with a decision on whether it belongs to a category that
advertisers may want to avoid. Written by hand for this project and made for
demonstration: all persons, places and events are invented, positives are as frequent
as negatives, and many negatives use the words of the category in another sense (a
battle of chess, a storm of applause). Scores on these texts tell nothing about real
traffic.

:train: 490 snippets, each with ONE decision: a category confirmed (1) or denied (0).
    The other nine categories of the snippet are unlabeled; they may well apply.
:test: 118 snippets with all ten categories decided, some with several categories and
    some with none.

Categories:

{categories}
"""


def load_brand_safety_snippets(*, subset: Literal["train", "test"] = "train") -> Any:
    """Load short news-like texts with decisions on brand-safety categories.

    Made for demonstration: the texts were written for this project, about invented
    persons and events, and tell nothing about real traffic. In the training part each
    text has one labeled cell, a category that was confirmed or denied; its other nine
    are unlabeled. The test part is fully labeled, for honest evaluation.

    Parameters
    ----------
    subset : {"train", "test"}, default="train"
        Which part.

    Returns
    -------
    Bunch
        With these attributes.

        data : list of str
            The texts.
        target : MaskedLabels of shape (n_samples, 10)
            The decisions; `label_names` are the categories.
        target_names : list of str
            The ten categories.
        ids : list of str
            An identifier of each text.
        DESCR : str
            What the corpus is and what each category means.

    Raises
    ------
    ValueError
        If `subset` is another.

    Examples
    --------
    >>> from sklearn_masked.datasets import load_brand_safety_snippets
    >>> snippets = load_brand_safety_snippets()
    >>> len(snippets.data), snippets.target.shape, snippets.target.n_cells
    (490, (490, 10), 490)
    >>> load_brand_safety_snippets(subset="test").target.n_cells
    1180
    """
    if subset not in ("train", "test"):
        raise ValueError(f'`subset` accepts "train" and "test"; got {subset!r}.')
    names = list(_CATEGORIES)
    if subset == "train":
        records = _read("brand_safety.csv")
        columns = [[record[name] for record in records] for name in records[0]]
        ids, _, categories, values = columns
        target = MaskedLabels.from_cells(
            ids,
            categories,
            [int(value) for value in values],
            sample_ids=ids,
            label_names=names,
        )
    else:
        records = _read("brand_safety_test.csv")
        dense = [[int(record[name]) for name in names] for record in records]
        target = MaskedLabels.from_dense(np.array(dense), label_names=names)
    meanings = "\n".join(f"- {name}: {text}" for name, text in _CATEGORIES.items())
    return Bunch(
        data=[record["text"] for record in records],
        target=target,
        target_names=names,
        ids=[record["id"] for record in records],
        DESCR=_DESCR.format(categories=meanings),
    )


def _read(name):
    """Return the records of a file of the package."""
    path = files(__package__) / "data" / name
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
