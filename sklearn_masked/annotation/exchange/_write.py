"""Answers and questions out, in the form that each annotation tool loads."""

import io
import os
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from ..._files import write_atomically
from ..._typing import Names
from ...labels.names import check_same_names, check_same_rows
from ...metrics.cells import ScoredCells
from ._annotations import Annotations
from ._entries import id_texts, is_text, name_texts
from ._formats import form_of


def write_annotations(
    annotations: Annotations,
    target: Any,
    format: Literal["csv", "jsonl", "label_studio", "prodigy", "doccano", "argilla"],
    *,
    texts: Mapping[Any, str] | None = None,
) -> None:
    """Write answers in the form of a tool.

    :func:`read_annotations` reads the same answers back, in whatever order. A cell
    without an answer is not written.

    Parameters
    ----------
    annotations : Annotations
        What to write; see :meth:`Annotations.from_labels` for labels.
    target : path or open text file
        Where to. A file that is there is replaced, once all is written.
    format : {"csv", "jsonl", "label_studio", "prodigy", "doccano", "argilla"}
        Whose form; see :func:`read_annotations`. But for the long forms, each record
        is about one label.
    texts : mapping from id to str, default=None
        The texts of the samples, for people to read.

    Raises
    ------
    ValueError
        If the form cannot carry what the answers have, or a sample has no text.

    Examples
    --------
    >>> import io, numpy as np
    >>> from sklearn_masked.annotation import Annotations, write_annotations
    >>> from sklearn_masked.labels import MaskedLabels
    >>> labels = MaskedLabels.from_dense(np.array([[1, np.nan], [np.nan, 0]]))
    >>> answers = Annotations.from_labels(labels, ["a", "b"], ["sports", "war"])
    >>> file = io.StringIO()
    >>> write_annotations(answers, file, "jsonl")
    >>> print(file.getvalue().strip())
    {"sample": "a", "label": "sports", "value": "yes"}
    {"sample": "b", "label": "war", "value": "no"}
    """
    form = form_of(format)
    if not isinstance(annotations, Annotations):
        raise TypeError(
            "`annotations` accepts Annotations, as of read_annotations or "
            f"Annotations.from_labels; got {type(annotations).__name__}."
        )
    lacks = [name for name in sorted(form.lacks) if annotations._has(name)]
    if lacks:
        raise ValueError(
            f"format={format!r} has no place for the {' and '.join(lacks)} of these "
            f"answers; pass annotations.without({', '.join(map(repr, lacks))})."
        )
    if texts is not None:
        texts = _texts_by_id(texts)
        for sample in annotations._ids:
            if sample not in texts:
                raise ValueError(
                    f"`texts` must have the text of every sample; got none of "
                    f"{sample!r}."
                )
    _write(target, lambda file: form.write(annotations, file, texts))


def write_queries(
    cells: ScoredCells,
    target: Any,
    format: Literal["csv", "jsonl", "label_studio", "prodigy", "doccano", "argilla"],
    *,
    sample_ids: Names,
    label_names: Names = None,
    texts: Sequence[Any] | None = None,
) -> None:
    """Write cells to be labeled in the form that an annotation tool loads.

    A record a cell: does this label apply to this sample? :func:`read_annotations`
    reads the answers when they come back; a cell that nobody answered stays unlabeled.

    Parameters
    ----------
    cells : CellTable or structured array
        Cells as of :func:`query_cells` or :func:`seed_cells`: `sample` and `label` are
        positions. If `probability` is there, the tool shows it, or what it makes
        likely, as a prediction, never as an answer.
    target : path or open text file
        Where to. A file that is there is replaced, once all is written.
    format : {"csv", "jsonl", "label_studio", "prodigy", "doccano", "argilla"}
        Whose form.
    sample_ids : sequence of length n_samples
        Ids of the samples in the order of X, text or integers, all different.
    label_names : sequence of length n_labels, default=None
        Names of the labels; those of `cells` if None.
    texts : sequence of str of length n_samples, default=None
        The texts of the samples in the order of X, for people to read.

    Raises
    ------
    ValueError
        If a cell lies outside the samples or labels, or names are missing.

    Examples
    --------
    >>> import io, numpy as np
    >>> from sklearn_masked.annotation import query_cells, write_queries
    >>> labels = np.array([[1, np.nan], [np.nan, 0]])
    >>> cells = query_cells(
    ...     np.array([[0.9, 0.5], [0.25, 0.1]]), labels, n_cells=2,
    ...     strategy="uncertain",
    ... )
    >>> file = io.StringIO()
    >>> write_queries(
    ...     cells, file, "prodigy", sample_ids=["a", "b"],
    ...     label_names=["sports", "war"], texts=["Cup final", "Peace talks"],
    ... )
    >>> print(file.getvalue().splitlines()[0])
    {"text": "Cup final", "sample_id": "a", "label": "war", "meta": {"score": 0.5}}
    """
    form = form_of(format)
    names = cells.dtype.names if isinstance(cells, np.ndarray) else None
    if names is None or not {"sample", "label"} <= set(names):
        raise TypeError(
            "`cells` accepts a table of cells with 'sample' and 'label', as of "
            f"query_cells; got {type(cells).__name__}."
        )
    ids = id_texts(sample_ids)
    known = getattr(cells, "label_names", None)
    label_names = known if label_names is None else label_names
    if label_names is None:
        raise ValueError(
            "`label_names` is needed: these cells do not know the names of the labels."
        )
    label_names = name_texts(label_names, "label_names")
    if known is not None:
        check_same_names(
            label_names, name_texts(known, "cells"), "label_names", "`cells`"
        )
    check_same_rows(texts=texts, sample_ids=sample_ids)
    _check_positions(cells["sample"], len(ids), "sample", "sample_ids")
    _check_positions(cells["label"], len(label_names), "label", "label_names")
    if texts is not None:
        texts = list(texts)
        if len(texts) != len(ids):
            raise ValueError(
                f"`texts` must have a text for each of the {len(ids)} ids of "
                f"`sample_ids`; got {len(texts)}."
            )
        for row in cells["sample"].tolist():
            _check_text(texts[row], ids[row])
    records = _cells(cells, ids, label_names, texts)
    _write(target, lambda file: form.write_queries(records, file))


def _cells(cells, ids, label_names, texts):
    """Yield cells as dicts, of what is known."""
    has_proba = "probability" in cells.dtype.names
    proba = cells["probability"].tolist() if has_proba else [None] * len(cells)
    for row, col, p in zip(
        cells["sample"].tolist(), cells["label"].tolist(), proba, strict=True
    ):
        cell = {"sample": ids[row], "label": label_names[col]}
        if p is not None and p == p:
            cell["probability"] = p
        if texts is not None:
            cell["text"] = texts[row]
        yield cell


def _check_positions(positions, n, kind, parameter):
    if positions.dtype.kind not in "iu":
        raise TypeError(
            f"`cells` accepts positions in {kind!r}; got dtype {positions.dtype}."
        )
    for i in np.flatnonzero((positions < 0) | (positions >= n))[:1]:
        raise ValueError(
            f"`{parameter}` must name all that `cells` ask about; got {n}, and row {i} "
            f"asks about {kind} {positions[i]}."
        )


def _texts_by_id(texts):
    """Return texts under ids as text."""
    if not hasattr(texts, "items"):
        raise TypeError(
            "`texts` accepts a mapping from id to text; got "
            f"{type(texts).__name__}. Answers are joined by id, never by order."
        )
    ids, texts = zip(*texts.items(), strict=True) if len(texts) else ((), ())
    by_id = dict(zip(id_texts(ids, "texts"), texts, strict=True))
    for sample, text in by_id.items():
        _check_text(text, sample)
    return by_id


def _check_text(text, sample):
    if not is_text(text):
        raise TypeError(
            f"`texts` accepts text; got {type(text).__name__} for sample {sample!r}."
        )


def _write(target, write):
    """Let ``write(file)`` fill a file; a path gets what was written once all is."""
    if hasattr(target, "write"):
        write(target)
        return
    if not isinstance(target, str | os.PathLike):
        raise TypeError(
            f"`target` accepts a path or an open text file; got "
            f"{type(target).__name__}."
        )

    def encode(file):
        text = io.TextIOWrapper(file, encoding="utf-8", newline="")
        write(text)
        text.flush()
        text.detach()

    write_atomically(target, encode)
