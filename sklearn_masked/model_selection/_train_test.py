"""One split of arrays into a train and a test part."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_random_state

from .._rows import count_rows, take_rows
from .._typing import LabelsLike, RandomState
from ..labels.names import check_same_rows
from ._checks import encode_groups, part_sizes, read_labels, warn_rare_parts
from ._stratify import Stratifier


def masked_train_test_split(
    *arrays: Any,
    test_size: float | None = None,
    train_size: float | None = None,
    random_state: RandomState = None,
    shuffle: bool = True,
    stratify: LabelsLike = None,
    groups: ArrayLike | None = None,
) -> list[Any]:
    """Split arrays into a train and a test part that balance every label.

    What :func:`sklearn.model_selection.train_test_split` does with ``stratify=y`` for
    one target, for partly labeled ones: both parts get their share of the positive
    and of the negative labeled cells of every label. Unlabeled cells have no
    influence.

    Parameters
    ----------
    *arrays : sequence of arrays of n_samples rows
        What is to be split: arrays, sparse matrices, data frames, lists,
        MaskedLabels; usually ``X, y``, and weights, ids or groups after them.
    test_size : float or int, default=None
        Share of the rows, or their number, in the test part. None is what
        `train_size` leaves, or 0.25 where that is None too.
    train_size : float or int, default=None
        Share of the rows, or their number, in the train part. None is what the test
        part leaves.
    random_state : int, RandomState instance or None, default=None
        Seed of the shuffling.
    shuffle : bool, default=True
        Whether to shuffle. If False, each part keeps the order of the rows, and of
        rows with equal labels the last ones go to the test part.
    stratify : MaskedLabels or any other form of labels, default=None
        The labels to balance, of shape (n_samples, n_labels), or 1-D for a binary
        target. None takes the second of `arrays`.
    groups : array-like of shape (n_samples,), default=None
        Group of each row: groups stay whole, and the sizes and shares are met as
        nearly as that allows; no row is left out then, so `test_size` and
        `train_size` must not leave a rest.

    Returns
    -------
    list of length 2 * len(arrays)
        Train and test part of the first array, then of the second, and so on, each
        of the type that came in.

    Raises
    ------
    ValueError
        If there is nothing to stratify by, arrays have different numbers of rows, a
        part would be empty, or labels or groups are not accepted.

    Warns
    -----
    RareLabelWarning
        If a label has no positive, or no negative, in one of the parts.

    See Also
    --------
    MaskedStratifiedShuffleSplit : The same as a splitter, for many splits.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_masked.labels import MaskedLabels
    >>> from sklearn_masked.model_selection import masked_train_test_split
    >>> X = np.arange(8).reshape(8, 1)
    >>> y = MaskedLabels.from_dense([[1, None], [0, 1], [None, 1], [None, 0]] * 2)
    >>> X_train, X_test, y_train, y_test = masked_train_test_split(
    ...     X, y, test_size=0.5, random_state=0
    ... )
    >>> y_train.n_positive, y_test.n_positive
    (array([1, 2]), array([1, 2]))
    >>> y_train.n_negative, y_test.n_negative
    (array([1, 1]), array([1, 1]))
    """
    if not arrays:
        raise ValueError(
            "`masked_train_test_split` needs at least one array; got none."
        )
    n_samples = count_rows(arrays[0])
    for nth, array in enumerate(arrays):
        if count_rows(array) != n_samples:
            raise ValueError(
                "`arrays` must have the same number of rows; got "
                f"{n_samples} in array 0 and {count_rows(array)} in array {nth}."
            )
    given = {f"arrays[{nth}]": array for nth, array in enumerate(arrays)}
    check_same_rows(**given, stratify=stratify, groups=groups)
    labels = _labels(arrays, stratify, n_samples)
    sizes = part_sizes(n_samples, test_size, train_size, 0.25)
    rng = check_random_state(random_state) if shuffle else None
    stratifier = Stratifier(labels, _groups(groups, n_samples, sizes))
    parts = stratifier.parts(sizes, sizes / n_samples, rng)
    warn_rare_parts(stratifier, parts, labels, stacklevel=2)
    positions = [np.flatnonzero(parts == part) for part in range(2)]
    if shuffle:
        positions = [rng.permutation(some) for some in positions]
    return [take_rows(array, some) for array in arrays for some in positions]


def _labels(arrays, stratify, n_samples):
    """Return what to stratify by as MaskedLabels."""
    if stratify is not None:
        return read_labels(stratify, n_samples, "arrays", "stratify")
    if len(arrays) == 1:
        raise ValueError(
            "`stratify` accepts the labels to balance; got None and no second array. "
            "Pass `masked_train_test_split(X, y)` or `stratify=y`."
        )
    return read_labels(arrays[1], n_samples, "arrays", "y")


def _groups(groups, n_samples, sizes):
    """Return the groups as positions, or None."""
    if groups is None:
        return None
    if len(sizes) > 2:
        raise ValueError(
            "`test_size` and `train_size` must add up to all rows where `groups` are "
            f"given; got {sizes[0]} and {sizes[1]} of {n_samples}."
        )
    groups = encode_groups(groups, n_samples)
    if groups.max() == 0:
        raise ValueError("`groups` accepts two groups or more; got one.")
    return groups
