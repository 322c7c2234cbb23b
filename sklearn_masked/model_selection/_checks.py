"""Checks of the arguments of splitters, and their warning of rare labels."""

import warnings
from numbers import Integral

import numpy as np
from sklearn.model_selection import ShuffleSplit

from .._rows import count_rows
from .._targets import is_binary, shown_labels
from ..exceptions import RareLabelWarning
from ..labels import check_binary_labels, check_labels
from ..labels.names import check_same_rows


def labels_of_rows(X, y, groups=None):
    """Return y, of any accepted form, as MaskedLabels of as many rows as X has."""
    if y is None:
        raise ValueError(
            "`y` accepts labels, 2-D or 1-D, by which the split is stratified; got "
            "None."
        )
    if X is None:
        raise ValueError("`X` accepts the rows, or their number; got None.")
    check_same_rows(X=X, y=y, groups=groups)
    n_samples = int(X) if isinstance(X, Integral) else count_rows(X)
    return read_labels(y, n_samples, "X", "y")


def read_labels(y, n_samples, *names):
    """Return labels of any form and check that they have n_samples rows."""
    labels = check_binary_labels(y)[0] if is_binary(y) else check_labels(y)
    if len(labels) != n_samples:
        raise ValueError(
            f"`{names[0]}` and `{names[1]}` must have the same number of rows; got "
            f"{n_samples} and {len(labels)}."
        )
    return labels


def encode_groups(groups, n_samples):
    """Return groups as positions from 0, in the order in which they appear."""
    if groups is None:
        raise ValueError(
            "`groups` accepts a group for each row, shape (n_samples,); got None."
        )
    if getattr(groups, "ndim", 1) != 1:
        raise ValueError(
            f"`groups` accepts a group for each row, shape (n_samples,); got shape "
            f"{groups.shape}."
        )
    groups = groups.tolist() if hasattr(groups, "tolist") else list(groups)
    if len(groups) != n_samples:
        raise ValueError(
            f"`X` and `groups` must have the same number of rows; got {n_samples} and "
            f"{len(groups)}."
        )
    position = {}
    try:
        codes = [position.setdefault(group, len(position)) for group in groups]
    except TypeError as error:
        raise TypeError(
            "`groups` accepts numbers, strings or other hashable values, one per row; "
            f"got {error}."
        ) from None
    for group, code in position.items():
        # NaN and NaT differ from themselves; pandas' NA does not say.
        if group is None or type(group).__name__ == "NAType" or group != group:
            raise ValueError(
                f"`groups` accepts a group for each row; got {group!r} at row "
                f"{codes.index(code)}."
            )
    return np.array(codes, dtype=np.intp)


def part_sizes(n_samples, test_size, train_size, default_test_size):
    """Return the sizes of train part, test part and, if there is any, the rest."""
    if test_size is None and train_size is None:
        test_size = default_test_size
    # The public way to scikit-learn's reading of the two, and to its messages.
    sizes = ShuffleSplit(
        1, test_size=test_size, train_size=train_size, random_state=0
    ).split(np.empty((n_samples, 0)))
    train, test = map(len, next(sizes))
    rest = n_samples - train - test
    return np.array([train, test, rest] if rest else [train, test])


def warn_rare_parts(stratifier, parts, labels, stacklevel):
    """Warn of labels without a positive or a negative in the train or test part."""
    warn_rare(
        stratifier.counts(parts, 2) == 0,
        labels.label_names,
        "a train and a test part: one of the two has none of them",
        stacklevel + 1,
    )


def warn_rare(missing, label_names, what, stacklevel):
    """Warn of labels some part lacks; `missing` is (n_parts, n_labels, 2)."""
    rare = missing.any(axis=(0, 2))
    if rare.any():
        warnings.warn(
            f"Label {shown_labels(rare, label_names)}: too few positive or too few "
            f"negative cells for {what}.",
            RareLabelWarning,
            stacklevel=stacklevel + 1,
        )


def warn_groups(splitter, groups):
    """Warn of groups given to a splitter that has no use for them."""
    if groups is not None:
        warnings.warn(
            f"`groups` is ignored by {type(splitter).__name__}; "
            "MaskedStratifiedGroupKFold keeps groups whole.",
            UserWarning,
            stacklevel=3,
        )
