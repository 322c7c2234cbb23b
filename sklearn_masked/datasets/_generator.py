"""Seeded texts with label matrices of which a part is labeled."""

from itertools import pairwise
from numbers import Integral, Real
from typing import Any, Literal

import numpy as np
import scipy.sparse as sp

from ..labels import MaskedLabels

# Words, or cells, drawn at a time, and texts spelled at a time.
_BLOCK, _TEXTS = 1 << 22, 1 << 14

# Where the words of a text come from: its labels, its topic, else the language.
_FROM_LABELS, _FROM_TOPIC = 0.3, 0.2
# How much of the labels of a text its topic decides.
_TOPIC_SHARE = 0.8
_WORDS_PER_LABEL, _WORDS_PER_TOPIC = 12, 100


def make_masked_multilabel(
    n_samples: int = 1000,
    n_labels: int = 20,
    *,
    vocabulary_size: int = 2000,
    words_per_text: float = 30,
    mean_labels: float = 2.0,
    n_topics: int | None = None,
    label_imbalance: float = 1.0,
    mask: Literal["one-sought", "random", "full-rows"] | None = "one-sought",
    cells_per_sample: float = 1.0,
    return_full: bool = False,
    as_text: bool = True,
    random_state: int | np.random.Generator | np.random.RandomState | None = None,
) -> tuple[Any, ...]:
    """Generate texts and labels of which only some cells are labeled.

    A text has a topic; its labels come mostly from those of the topic, so that labels
    occur together; its words come from its labels, its topic and the language. The
    mask then decides which cells of the label matrix are labeled; all others are
    unlabeled.

    Parameters
    ----------
    n_samples : int, default=1000
        Number of texts.
    n_labels : int, default=20
        Number of labels.
    vocabulary_size : int, default=2000
        Number of different words, of frequencies by Zipf's law.
    words_per_text : float, default=30
        Mean number of words of a text; each has one at least.
    mean_labels : float, default=2.0
        Mean number of labels drawn for a text. One drawn twice counts once, so that
        the texts have somewhat fewer; some have none.
    n_topics : int, default=None
        Number of topics; None is one for every five labels.
    label_imbalance : float, default=1.0
        Exponent of Zipf's law for the frequencies of the labels; 0 makes all alike.
    mask : {"one-sought", "random", "full-rows"} or None, default="one-sought"
        Which cells are labeled.

        - "one-sought": one a text, as by an annotator who confirms or denies one
          candidate: with probability 0.5, where the text has positives, a random one
          of them, else a uniformly random label.
        - "random": each cell with probability ``cells_per_sample / n_labels``.
        - "full-rows": all cells of some texts, as many as the same number of
          decisions affords, one text at least.
        - None: all.
    cells_per_sample : float, default=1.0
        Mean number of labeled cells a text, for "random" and "full-rows".
    return_full : bool, default=False
        Whether to return the full labels as well.
    as_text : bool, default=True
        Whether to return texts, or the counts of their words.
    random_state : int, Generator, RandomState or None, default=None
        The same int gives the same data.

    Returns
    -------
    X : list of str, or csr_matrix of shape (n_samples, vocabulary_size), float32
        The texts, or the counts of their words.
    y : MaskedLabels of shape (n_samples, n_labels)
        The labeled cells.
    full : csr_matrix of shape (n_samples, n_labels), int8
        1 where a label is true, also in unlabeled cells. Only with `return_full`.

    Raises
    ------
    ValueError
        If a parameter is out of its range.

    Examples
    --------
    >>> from sklearn_masked.datasets import make_masked_multilabel
    >>> texts, y = make_masked_multilabel(100, 5, random_state=0)
    >>> len(texts), y.shape, y.n_cells
    (100, (100, 5), 100)
    """
    _check_numbers(
        n_samples=n_samples,
        n_labels=n_labels,
        vocabulary_size=vocabulary_size,
        n_topics=1 if n_topics is None else n_topics,
    )
    _check_rates(
        words_per_text=words_per_text,
        mean_labels=mean_labels,
        label_imbalance=label_imbalance,
    )
    _check_mask(mask, cells_per_sample, n_labels)
    rng = _generator(random_state)
    n_topics = max(1, n_labels // 5) if n_topics is None else n_topics
    topics, full = _draw_labels(
        rng, n_samples, n_labels, n_topics, mean_labels, label_imbalance
    )
    X = _draw_texts(rng, topics, full, n_topics, vocabulary_size, words_per_text)
    y = _mask_labels(rng, full, mask, cells_per_sample)
    if as_text:
        X = _as_texts(X, vocabulary_size)
    else:
        X = _as_counts(X, vocabulary_size)
    return (X, y, full) if return_full else (X, y)


def _check_numbers(**numbers):
    for name, value in numbers.items():
        if not isinstance(value, Integral) or isinstance(value, bool) or value < 1:
            raise ValueError(f"`{name}` accepts integers from 1; got {value!r}.")


def _check_rates(**rates):
    for name, value in rates.items():
        if not isinstance(value, Real) or not 0 <= value < np.inf:
            raise ValueError(f"`{name}` accepts finite numbers from 0; got {value!r}.")


def _check_mask(mask, cells_per_sample, n_labels):
    masks = ("one-sought", "random", "full-rows", None)
    if mask not in masks:
        raise ValueError(
            f'`mask` accepts "one-sought", "random", "full-rows" or None; got {mask!r}.'
        )
    if not isinstance(cells_per_sample, Real) or not 0 < cells_per_sample <= n_labels:
        raise ValueError(
            "`cells_per_sample` accepts numbers above 0 and up to `n_labels`, "
            f"{n_labels}; got {cells_per_sample!r}."
        )
    if cells_per_sample != 1 and mask in ("one-sought", None):
        raise ValueError(
            '`cells_per_sample` goes with mask="random" and mask="full-rows"; got '
            f"{cells_per_sample!r} with mask={mask!r}."
        )


def _generator(random_state):
    """Return a Generator, of scikit-learn's kinds of `random_state` too."""
    if isinstance(random_state, np.random.RandomState):
        random_state = random_state.randint(2**31 - 1)
    return np.random.default_rng(random_state)


def _zipf(n, exponent):
    """Return frequencies of n things that fall with their rank, and sum to 1."""
    frequencies = np.arange(1, n + 1, dtype=float) ** -exponent
    return frequencies / frequencies.sum()


def _draw(rng, cumulative, size, low=0.0, high=None):
    """Draw positions by cumulative frequencies, between two of their bounds."""
    high = cumulative[-1] if high is None else high
    at = low + rng.random(size) * (high - low)
    drawn = np.searchsorted(cumulative, at, side="right")
    return np.minimum(drawn, len(cumulative) - 1)  # rounding may reach past the end


def _draw_labels(rng, n_samples, n_labels, n_topics, mean_labels, exponent):
    """Return topics of texts and their full labels, all drawn by label frequency."""
    frequency = _zipf(n_labels, exponent)
    topic_of_label = rng.integers(n_topics, size=n_labels)
    by_topic = np.argsort(topic_of_label, kind="stable")
    cumulative = np.cumsum(frequency[by_topic])
    ends = np.cumsum(np.bincount(topic_of_label, minlength=n_topics))
    bounds = np.append(0.0, cumulative)[np.append(0, ends)]
    topics = _draw(rng, bounds[1:], n_samples)
    rows = np.repeat(np.arange(n_samples), rng.poisson(mean_labels, n_samples))
    of_topic = rng.random(len(rows)) < _TOPIC_SHARE
    low = np.where(of_topic, bounds[topics[rows]], 0.0)
    high = np.where(of_topic, bounds[topics[rows] + 1], cumulative[-1])
    labels = by_topic[_draw(rng, cumulative, len(rows), low, high)]
    cells = np.unique(rows * n_labels + labels)
    rows, labels = np.divmod(cells, n_labels)
    indptr = np.append(0, np.cumsum(np.bincount(rows, minlength=n_samples)))
    ones = np.ones(len(cells), dtype=np.int8)
    return topics, sp.csr_matrix((ones, labels, indptr), shape=(n_samples, n_labels))


def _draw_texts(rng, topics, full, n_topics, vocabulary_size, words_per_text):
    """Return the words of all texts, one text after the other, and their bounds."""
    n_samples, n_labels = full.shape
    lengths = 1 + rng.poisson(max(words_per_text - 1, 0), n_samples)
    bounds = np.append(0, np.cumsum(lengths))
    language = np.cumsum(_zipf(vocabulary_size, 1.0))
    of_label = rng.integers(vocabulary_size, size=(n_labels, _WORDS_PER_LABEL))
    of_topic = rng.integers(vocabulary_size, size=(n_topics, _WORDS_PER_TOPIC))
    words = np.empty(bounds[-1], dtype=np.int32)
    n_own = np.diff(full.indptr)
    step = max(1, int(_BLOCK // (words_per_text + 1)))
    for start in range(0, n_samples, step):
        stop = min(start + step, n_samples)
        rows = np.repeat(np.arange(start, stop), lengths[start:stop])
        block = _draw(rng, language, len(rows))
        source = rng.random(len(rows))
        some = np.flatnonzero((source < _FROM_LABELS) & (n_own[rows] > 0))
        own = rng.integers(n_own[rows[some]]) + full.indptr[rows[some]]
        column = rng.integers(_WORDS_PER_LABEL, size=len(some))
        block[some] = of_label[full.indices[own], column]
        some = np.flatnonzero(
            (source >= _FROM_LABELS) & (source < _FROM_LABELS + _FROM_TOPIC)
        )
        column = rng.integers(_WORDS_PER_TOPIC, size=len(some))
        block[some] = of_topic[topics[rows[some]], column]
        words[bounds[start] : bounds[stop]] = block
    return words, bounds


def _as_counts(words_and_bounds, vocabulary_size):
    """Return the counts of the words of each text."""
    words, bounds = words_and_bounds
    shape = (len(bounds) - 1, vocabulary_size)
    counts = sp.csr_matrix((np.ones(len(words), np.float32), words, bounds), shape)
    counts.sum_duplicates()
    return counts


def _as_texts(words_and_bounds, vocabulary_size):
    """Return the texts as strings."""
    words, bounds = words_and_bounds
    vocabulary = _vocabulary(vocabulary_size)
    texts = []
    for start in range(0, len(bounds) - 1, _TEXTS):
        ends = bounds[start : start + _TEXTS + 1]
        spelled = vocabulary[words[ends[0] : ends[-1]]].tolist()
        at = (ends - ends[0]).tolist()
        texts += [" ".join(spelled[a:b]) for a, b in pairwise(at)]
    return texts


def _vocabulary(size):
    """Return different words of at least two syllables, which tokenizers keep."""
    syllables = [c + v for c in "bdfgklmnprstvz" for v in "aeiou"]
    words = np.empty(size, dtype=object)
    for number in range(size):
        rest = number + len(syllables)
        spelled = ""
        while rest:
            rest, digit = divmod(rest, len(syllables))
            spelled += syllables[digit]
        words[number] = spelled
    return words


def _mask_labels(rng, full, mask, cells_per_sample):
    """Return the labels of which the mask leaves some cells labeled."""
    n_samples, n_labels = full.shape
    if mask is None:
        return MaskedLabels.from_sparse(full, implicit="negative")
    if mask == "one-sought":
        rows, cols = np.arange(n_samples), _sought(rng, full)
    elif mask == "random":
        cells = _independent(rng, n_samples * n_labels, cells_per_sample / n_labels)
        rows, cols = np.divmod(cells, n_labels)
    else:
        n_rows = max(1, round(n_samples * cells_per_sample / n_labels))
        rows = np.sort(rng.choice(n_samples, n_rows, replace=False))
        rows, cols = np.repeat(rows, n_labels), np.tile(np.arange(n_labels), n_rows)
    values = _read(full, rows, cols)
    return MaskedLabels.from_cells(rows, cols, values, shape=full.shape)


def _sought(rng, full):
    """Return, for each text, the label that the annotator is asked about."""
    n_samples, n_labels = full.shape
    n_own = np.diff(full.indptr)
    sought = rng.integers(n_labels, size=n_samples)
    some = np.flatnonzero((rng.random(n_samples) < 0.5) & (n_own > 0))
    sought[some] = full.indices[rng.integers(n_own[some]) + full.indptr[some]]
    return sought


def _independent(rng, n_cells, probability):
    """Draw which of n_cells are labeled by the gaps between them, in sparse time."""
    parts, last = [], -1
    while last < n_cells:
        size = int(min(_BLOCK, (n_cells - last) * probability * 1.1 + 100))
        parts.append(last + np.cumsum(rng.geometric(probability, size)))
        last = parts[-1][-1]
    cells = np.concatenate(parts)
    return cells[cells < n_cells]


def _read(full, rows, cols):
    """Return the values of cells of a CSR matrix in canonical form."""
    n_labels = full.shape[1]
    stored_rows = np.repeat(np.arange(full.shape[0]), np.diff(full.indptr))
    stored = stored_rows * n_labels + full.indices
    wanted = rows * n_labels + cols
    at = np.minimum(np.searchsorted(stored, wanted), max(len(stored) - 1, 0))
    if not len(stored):
        return np.zeros(len(rows), dtype=np.int8)
    return (stored[at] == wanted).astype(np.int8)
