"""
From zero labels: seek, query, audit
====================================

Find first cells, label the tricky ones, look for mistakes::

    python examples/labeling_loop.py
    python examples/labeling_loop.py --data FOLDER --cells 4000 --plot curves.png

A person answers one question at a time: does this text belong to this category? Here
the known labels answer. Phase 1 seeks texts like two examples of each category
(`seed_cells`); phase 2 asks a model which cells to label next (`query_cells`). Beside
it, the same number of cells chosen by chance. At the end, some answers are made wrong,
and `audit_cells` looks for them. Where people answer, `LabelingLoop` does the same and
keeps every answer in a folder: docs/labeling.md.

FOLDER holds `texts.csv.gz` (columns id, text, split), `labels.npz` (a scipy CSR matrix,
stored 1 = positive, everything else negative) and `label_names.txt`. Without `--data`,
texts come from the package's generator.
"""

import argparse
import csv
import gzip
import warnings
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from sklearn.feature_extraction.text import TfidfVectorizer

from sklearn_masked import MaskedLabels, MaskedMultiLabelClassifier
from sklearn_masked.annotation import (
    audit_cells,
    query_cells,
    seed_cells,
    weigh_chosen_negatives,
)
from sklearn_masked.datasets import make_masked_multilabel
from sklearn_masked.metrics import masked_average_precision_score, masked_roc_auc_score
from sklearn_masked.model_selection import cross_val_predict


def read_folder(folder):
    """Return texts, the full 0/1 CSR matrix, label names and True for test rows."""
    folder = Path(folder)
    with gzip.open(folder / "texts.csv.gz", "rt", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    names = (folder / "label_names.txt").read_text(encoding="utf-8").split()
    Y = sp.csr_matrix(sp.load_npz(folder / "labels.npz"))
    is_test = np.array([row["split"] == "test" for row in rows])
    return [row["text"] for row in rows], Y, names, is_test


def generate(seed):
    """Return the same four from the package's generator: no real texts needed."""
    texts, _, Y = make_masked_multilabel(
        n_samples=3000, n_labels=12, return_full=True, random_state=seed
    )
    names = [f"category {j}" for j in range(Y.shape[1])]
    return list(texts), sp.csr_matrix(Y), names, np.arange(len(texts)) >= 2000


class Person:
    """Who knows the labels, and tells those asked for."""

    def __init__(self, Y, names):
        self.Y, self.names = Y, names

    def answer(self, table):
        """Return the answers to a table of questions."""
        rows, cols = table["sample"], table["label"]
        values = np.asarray(self.Y[rows, cols]).ravel()
        return MaskedLabels.from_cells(
            rows, cols, values, shape=self.Y.shape, label_names=self.names
        )

    def examples(self, rng, n_examples=2):
        """Return examples of each category that the team knows already, as a table."""
        cells = []
        for col in range(len(self.names)):
            positives = self.Y[:, [col]].nonzero()[0]
            shown = rng.permutation(positives)[:n_examples]
            cells += [(row, col) for row in np.sort(shown)]
        return np.array(cells, dtype=[("sample", int), ("label", int)])


def loop(X, person, X_test, truth, labels, asked, strategy, n_cells, n_round, seed):
    """Label round by round; return all answers, and a record a round."""
    rounds = []
    while True:
        # Negatives that were chosen are hard ones, and no sample of the texts.
        to_fit = weigh_chosen_negatives(labels, asked)
        model = MaskedMultiLabelClassifier(random_state=0).fit(X, to_fit)
        proba = model.predict_proba(X_test)
        auc = masked_roc_auc_score(truth, proba)
        ap = masked_average_precision_score(truth, proba)
        rounds.append((labels.n_cells, labels.n_positive.sum(), auc, ap))
        n_next = min(n_round, n_cells - labels.n_cells)
        if n_next <= 0:
            return labels, rounds
        table = query_cells(
            model.predict_proba(X),
            labels,
            n_cells=n_next,
            strategy=strategy,
            random_state=seed,
        )
        labels = MaskedLabels.merge(labels, person.answer(table))
        asked = np.concatenate([asked, table])


def spoil(labels, share, rng):
    """Return the labels with some answers made wrong, and which cells these are."""
    cells = labels.cells()
    wrong = rng.choice(labels.n_cells, round(share * labels.n_cells), replace=False)
    values = cells.values.copy()
    values[wrong] = 1 - values[wrong]
    spoiled = MaskedLabels.from_cells(
        cells.rows,
        cells.cols,
        values,
        shape=labels.shape,
        label_names=labels.label_names,
    )
    where = zip(cells.rows[wrong], cells.cols[wrong], strict=True)
    return spoiled, {(int(row), int(col)) for row, col in where}


def look_for_mistakes(X, labels, rng):
    """Make 5 % of the answers wrong, and see how many an audit ranks first."""
    spoiled, wrong = spoil(labels, 0.05, rng)
    proba = cross_val_predict(
        MaskedMultiLabelClassifier(random_state=0),
        X,
        spoiled,
        cv=3,
        method="predict_proba",
    )
    audit = audit_cells(proba, spoiled)
    first = audit.table[: len(wrong)]
    found = sum((int(cell["sample"]), int(cell["label"])) in wrong for cell in first)
    print(f"\n{audit}")
    print(
        f"{len(wrong)} of {labels.n_cells} answers made wrong; {found} of them are "
        f"among the first {len(wrong)} ranked, {len(wrong) ** 2 / labels.n_cells:.1f} "
        "would be by chance."
    )


def draw(curves, file):
    """Draw average precision and ROC AUC against labeled cells."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    titles = ["macro average precision", "macro ROC AUC"]
    for ax, column, title in zip(figure.subplots(1, 2), (3, 2), titles, strict=True):
        for name, rounds in curves.items():
            rounds = np.array(rounds, float)
            ax.plot(rounds[:, 0], rounds[:, column], marker="o", label=name)
        ax.set(xlabel="labeled cells", ylabel=title)
        ax.spines[["top", "right"]].set_visible(False)
        ax.legend(frameon=False)
    figure.savefig(file, dpi=120)
    print(f"\ncurves: {file}")


def first_questions(X, person, n_round, rng, seed):
    """Return, of each way to start, the labels, the questions and what asks later."""
    blank = MaskedLabels.from_cells(
        [], [], [], shape=person.Y.shape, label_names=person.names
    )
    examples = person.examples(rng)
    known = person.answer(examples)  # they count as labeled cells
    queries = {
        person.names[col]: X[examples["sample"][examples["label"] == col]]
        for col in np.unique(examples["label"])
    }
    seeds = seed_cells(
        X,
        queries,
        known,
        n_cells=max(1, n_round - known.n_cells),
        random_share=0.25,
        random_state=seed,
    )
    by_chance = query_cells(
        None, blank, n_cells=n_round, strategy="random", random_state=seed
    )
    answered = MaskedLabels.merge(known, person.answer(seeds))
    return {
        "examples, then default": (answered, seeds, "default"),
        "chance": (person.answer(by_chance), by_chance, "random"),
    }


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", help="a folder as described above")
    parser.add_argument("--cells", type=int, default=900)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--plot", help="a PNG file to draw the curves to")
    args = parser.parse_args()
    warnings.simplefilter("ignore")  # labels without cells, in every early round

    read = read_folder(args.data) if args.data else generate(args.seed)
    texts, Y, names, is_test = read
    vectorizer = TfidfVectorizer(sublinear_tf=True, min_df=2, dtype=np.float32)
    X = vectorizer.fit_transform([texts[i] for i in np.flatnonzero(~is_test)])
    X_test = vectorizer.transform([texts[i] for i in np.flatnonzero(is_test)])
    truth = MaskedLabels.from_sparse(Y[is_test], implicit="negative")
    person = Person(Y[~is_test].tocsr(), names)

    n_round = max(1, args.cells // args.rounds)
    rng = np.random.default_rng(args.seed)
    starts = first_questions(X, person, n_round, rng, args.seed)
    seeds = starts["examples, then default"][1]
    print("The first questions:")
    print(seeds[seeds["reason"] == "similar"][:3].to_frame().to_string(index=False))

    curves = {}
    for name, (*first, strategy) in starts.items():
        labels, curves[name] = loop(
            X, person, X_test, truth, *first, strategy, args.cells, n_round, args.seed
        )
        print(f"\n{name}\n  cells  positive  macro AUC  macro AP")
        for n_cells, n_positive, auc, ap in curves[name]:
            print(f"{n_cells:7d} {n_positive:9d} {auc:10.3f} {ap:9.3f}")
        if strategy == "default":
            look_for_mistakes(X, labels, rng)
    if args.plot:
        draw(curves, args.plot)


if __name__ == "__main__":
    main()
