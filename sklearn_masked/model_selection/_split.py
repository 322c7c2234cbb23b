"""Splitters that balance the positives and the negatives of every label."""

from collections.abc import Iterator
from numbers import Integral

import numpy as np
from numpy.typing import ArrayLike
from sklearn.model_selection import BaseCrossValidator, BaseShuffleSplit
from sklearn.utils import check_random_state

from .._typing import LabelsLike, MatrixLike, RandomState
from ._checks import (
    encode_groups,
    labels_of_rows,
    part_sizes,
    warn_groups,
    warn_rare,
    warn_rare_parts,
)
from ._stratify import Stratifier


class _MaskedKFold(BaseCrossValidator):
    """Base of both k-fold splitters."""

    def __init__(
        self,
        n_splits: int = 5,
        *,
        shuffle: bool = False,
        random_state: RandomState = None,
    ) -> None:
        _check_n_splits(n_splits, 2)
        if not isinstance(shuffle, bool):
            raise TypeError(f"`shuffle` accepts True or False; got {shuffle!r}.")
        if not shuffle and random_state is not None:
            raise ValueError(
                "`random_state` accepts None unless `shuffle=True`: without shuffling "
                f"nothing is random; got {random_state!r}."
            )
        self.n_splits: int = int(n_splits)
        self.shuffle = shuffle
        self.random_state = random_state

    def get_n_splits(
        self,
        X: MatrixLike = None,
        y: LabelsLike = None,
        groups: ArrayLike | None = None,
    ) -> int:
        """Return the number of folds.

        Parameters
        ----------
        X, y, groups : object
            Ignored, exist for compatibility.

        Returns
        -------
        int
        """
        return self.n_splits

    def _split(self, labels, groups, stacklevel):
        """Return an iterator over the splits of checked labels."""
        rng = check_random_state(self.random_state) if self.shuffle else None
        n_splits = self.n_splits
        if n_splits > len(labels):
            raise ValueError(
                "`n_splits` accepts at most as many folds as there are samples; got "
                f"{n_splits} folds for {len(labels)} samples."
            )
        stratifier = Stratifier(labels, groups)
        if n_splits > stratifier.n_items:
            raise ValueError(
                "`n_splits` accepts at most as many folds as there are groups; got "
                f"{n_splits} folds for {stratifier.n_items} groups."
            )
        sizes = np.full(n_splits, len(labels) // n_splits)
        sizes[: len(labels) % n_splits] += 1
        folds = stratifier.parts(sizes, np.full(n_splits, 1 / n_splits), rng)
        warn_rare(
            stratifier.counts(folds, n_splits) == 0,
            labels.label_names,
            f"{n_splits} folds: some fold has none of them in its test part",
            stacklevel + 1,
        )
        return _as_splits(folds, n_splits)


class MaskedStratifiedKFold(_MaskedKFold):
    """K-fold splitter that balances positives and negatives of every label.

    Each fold gets its share of the positive and of the negative labeled cells of
    every label, of the rows without a labeled cell, and of the rows: fold sizes
    differ by one at most, as in scikit-learn's `KFold`. Unlabeled cells have no
    influence.

    Parameters
    ----------
    n_splits : int, default=5
        Number of folds, 2 or above.
    shuffle : bool, default=False
        Whether to shuffle rows that are alike before they are dealt to folds. If
        False, rows of equal labels stay together in blocks, which keeps neighbors in
        one fold as far as the balance allows.
    random_state : int, RandomState instance or None, default=None
        Seed of the shuffling; None if `shuffle` is False.

    See Also
    --------
    MaskedStratifiedGroupKFold : Keeps groups of rows whole.
    sklearn.model_selection.StratifiedKFold : For one fully labeled target; without
        shuffling the folds are the same there.

    Notes
    -----
    Rows are sorted by what they have that is rarest, then next rarest, and dealt in
    turn; then pairs of rows of two folds are swapped as long as that lowers the sum
    of squared deviations from the ideal counts. With one labeled cell a row every
    count is its ideal, rounded down or up. Time is nearly linear in the number of
    labeled cells. The aim is that of [1]_, for both values of each label.

    A stateful `random_state` gives other folds in every call, an integer the same.

    References
    ----------
    .. [1] K. Sechidis, G. Tsoumakas, I. Vlahavas, "On the Stratification of
       Multi-Label Data", ECML PKDD 2011.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_masked.model_selection import MaskedStratifiedKFold
    >>> nan = np.nan
    >>> y = np.array([[1, nan], [1, nan], [0, 1], [0, 1], [nan, 0], [nan, 0]])
    >>> cv = MaskedStratifiedKFold(n_splits=2)
    >>> for train, test in cv.split(np.zeros((6, 1)), y):
    ...     print(train, test)
    [1 3 5] [0 2 4]
    [0 2 4] [1 3 5]
    """

    def split(
        self, X: ArrayLike, y: LabelsLike, groups: None = None
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Return the splits.

        Parameters
        ----------
        X : array-like of length n_samples
            The rows; only their number counts, so that ``np.zeros(n_samples)``, or
            the number itself, will do.
        y : MaskedLabels, array-like or sparse matrix of shape (n_samples, n_labels)
            Labels in any form that :func:`sklearn_masked.check_labels` takes; or 1-D,
            a binary target, whose entries may be unlabeled. Weights of cells do not
            count.
        groups : None
            Ignored with a warning: see `MaskedStratifiedGroupKFold`.

        Returns
        -------
        iterator of (train, test)
            Positions of rows as integer arrays, increasing.

        Raises
        ------
        ValueError
            If y is None or not accepted, has another number of rows than X, or there
            are fewer rows than folds.

        Warns
        -----
        RareLabelWarning
            If a label has no positive, or no negative, in the test part of some fold;
            once a call.
        """
        warn_groups(self, groups)
        return self._split(labels_of_rows(X, y), None, stacklevel=2)


class MaskedStratifiedGroupKFold(_MaskedKFold):
    """K-fold splitter that balances every label and keeps groups of rows whole.

    For near-duplicates, articles of one source or of one day: no group has rows in
    the train and the test part of a split. As far as whole groups allow, each fold
    gets its share of the positive and negative labeled cells of every label, and of
    the rows.

    Parameters
    ----------
    n_splits : int, default=5
        Number of folds, 2 or above, and at most the number of groups.
    shuffle : bool, default=False
        Whether to shuffle groups that are equally large before they are dealt to
        folds.
    random_state : int, RandomState instance or None, default=None
        Seed of the shuffling; None if `shuffle` is False.

    See Also
    --------
    MaskedStratifiedKFold : Without groups, and then better balanced.
    sklearn.model_selection.StratifiedGroupKFold : For one fully labeled target.

    Notes
    -----
    Groups go to folds from the largest to the smallest, each where it is needed most;
    then groups move, or change places, as long as that lowers the sum of squared
    deviations from the ideal counts, each divided by the total of its kind.

    With metadata routing enabled, `groups` is requested by default.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_masked.model_selection import MaskedStratifiedGroupKFold
    >>> nan = np.nan
    >>> y = np.array([[1, nan], [0, nan], [nan, 1], [nan, 0]] * 2)
    >>> day = np.repeat(["mon", "tue", "wed", "thu"], 2)
    >>> cv = MaskedStratifiedGroupKFold(n_splits=2)
    >>> for train, test in cv.split(np.zeros((8, 1)), y, groups=day):
    ...     print(test, day[test], (y[test] == 1).sum(0), (y[test] == 0).sum(0))
    [0 1 6 7] ['mon' 'mon' 'thu' 'thu'] [1 1] [1 1]
    [2 3 4 5] ['tue' 'tue' 'wed' 'wed'] [1 1] [1 1]
    """

    # As scikit-learn's own splitters with groups, which ask for them by default.
    __metadata_request__split = {"groups": True}

    def split(
        self, X: ArrayLike, y: LabelsLike, groups: ArrayLike | None = None
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Return the splits.

        Parameters
        ----------
        X : array-like of length n_samples
            The rows; only their number counts.
        y : MaskedLabels, array-like or sparse matrix of shape (n_samples, n_labels)
            Labels in any form, as for :class:`MaskedStratifiedKFold`.
        groups : array-like of shape (n_samples,)
            The group of each row: numbers, strings or other values.

        Returns
        -------
        iterator of (train, test)
            Positions of rows as integer arrays, increasing.

        Raises
        ------
        ValueError
            If y or groups is None or not accepted, their number of rows is not that
            of X, a group is missing, or there are fewer groups than folds.

        Warns
        -----
        RareLabelWarning
            If a label has no positive, or no negative, in the test part of some fold;
            once a call.
        """
        labels = labels_of_rows(X, y, groups)
        return self._split(labels, encode_groups(groups, len(labels)), stacklevel=2)


class MaskedStratifiedShuffleSplit(BaseShuffleSplit):
    """Random train and test parts that balance every label.

    Each split gives the train and the test part their shares of the positive and of
    the negative labeled cells of every label, and of the rows without a labeled cell.
    The sizes are exactly those of scikit-learn's `ShuffleSplit`.

    Parameters
    ----------
    n_splits : int, default=10
        Number of splits, independent of each other.
    test_size : float or int, default=None
        Share of the rows, or their number, in the test part. None is what
        `train_size` leaves, or 0.1 where that is None too.
    train_size : float or int, default=None
        Share of the rows, or their number, in the train part. None is what the test
        part leaves.
    random_state : int, RandomState instance or None, default=None
        Seed. An integer gives the same splits in every call.

    See Also
    --------
    masked_train_test_split : One such split, of arrays.
    MaskedStratifiedKFold : Test parts that together are all rows.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_masked.model_selection import MaskedStratifiedShuffleSplit
    >>> y = np.full((40, 2), np.nan)
    >>> y[:20, 0] = [1, 0, 0, 0] * 5
    >>> y[20:, 1] = [1, 1, 0, 0] * 5
    >>> cv = MaskedStratifiedShuffleSplit(n_splits=1, test_size=0.2, random_state=0)
    >>> for train, test in cv.split(np.zeros((40, 1)), y):
    ...     print(len(train), len(test), (y[test] == 1).sum(0), (y[test] == 0).sum(0))
    32 8 [1 2] [3 2]
    """

    def __init__(
        self,
        n_splits: int = 10,
        *,
        test_size: float | None = None,
        train_size: float | None = None,
        random_state: RandomState = None,
    ) -> None:
        _check_n_splits(n_splits, 1)
        super().__init__(
            n_splits=n_splits,
            test_size=test_size,
            train_size=train_size,
            random_state=random_state,
        )
        self._default_test_size = 0.1

    def split(
        self, X: ArrayLike, y: LabelsLike, groups: None = None
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Return the splits.

        Parameters
        ----------
        X : array-like of length n_samples
            The rows; only their number counts.
        y : MaskedLabels, array-like or sparse matrix of shape (n_samples, n_labels)
            Labels in any form, as for :class:`MaskedStratifiedKFold`.
        groups : None
            Ignored with a warning.

        Returns
        -------
        iterator of (train, test)
            Positions of rows as integer arrays, in random order.

        Raises
        ------
        ValueError
            If y is None or not accepted, has another number of rows than X, or a
            part would be empty.

        Warns
        -----
        RareLabelWarning
            If a label has no positive, or no negative, in a part of the first split;
            once a call.
        """
        warn_groups(self, groups)
        labels = labels_of_rows(X, y)
        sizes = part_sizes(
            len(labels), self.test_size, self.train_size, self._default_test_size
        )
        return self._iter_indices(Stratifier(labels), labels, sizes)

    def _iter_indices(self, stratifier, labels, sizes):
        rng = check_random_state(self.random_state)
        for nth in range(self.n_splits):
            parts = stratifier.parts(sizes, sizes / len(labels), rng)
            if nth == 0:
                warn_rare_parts(stratifier, parts, labels, stacklevel=2)
            train, test = (np.flatnonzero(parts == part) for part in range(2))
            yield rng.permutation(train), rng.permutation(test)


def _check_n_splits(n_splits, least):
    is_integer = isinstance(n_splits, Integral) and not isinstance(n_splits, bool)
    if not is_integer or n_splits < least:
        raise (ValueError if is_integer else TypeError)(
            f"`n_splits` accepts an integer, {least} or above; got {n_splits!r}."
        )


def _as_splits(folds, n_splits):
    for fold in range(n_splits):
        test = folds == fold
        yield np.flatnonzero(~test), np.flatnonzero(test)
