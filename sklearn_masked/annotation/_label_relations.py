"""Hierarchy and exclusive groups of labels: what one answer says of other labels."""

from collections.abc import Sequence
from typing import Any


class LabelRelations:
    """Labels that imply or exclude each other.

    Parameters
    ----------
    label_names : list of str
        All labels.
    parents : dict of str to str, default=None
        The parent of each label that has one: what has the label has its parent.
    exclusive : list of lists of str, default=None
        Groups of labels of which at most one applies.

    Raises
    ------
    TypeError
        If they are of another form.
    ValueError
        If they name another label, a label is its own ancestor, or a label excludes
        itself or its ancestor.
    """

    def __init__(
        self, label_names: Sequence[Any], parents: Any = None, exclusive: Any = None
    ) -> None:
        self.names: list[Any] = list(label_names)
        self._columns = {name: col for col, name in enumerate(self.names)}
        parents, exclusive = parents or {}, exclusive or []
        if not isinstance(parents, dict):
            raise TypeError(
                "`label_parents` accepts a dict of label name to the name of its "
                f"parent; got {type(parents).__name__}."
            )
        if isinstance(exclusive, str) or any(isinstance(one, str) for one in exclusive):
            raise TypeError(
                "`exclusive_labels` accepts a list of lists of label names; got "
                f"{exclusive!r}."
            )
        self._parent = {
            self._column(child, "label_parents"): self._column(parent, "label_parents")
            for child, parent in parents.items()
        }
        self._ancestors = [self._up(col) for col in range(len(self.names))]
        self._descendants = [set() for _ in self.names]
        for col, above in enumerate(self._ancestors):
            for one in above:
                self._descendants[one].add(col)
        self._excludes = [set() for _ in self.names]
        for group in exclusive:
            self._exclude([self._column(name, "exclusive_labels") for name in group])

    def __bool__(self) -> bool:
        """Tell whether any label says something of another."""
        return bool(self._parent) or any(self._excludes)

    def implied(self, values: dict[int, int]) -> dict[int, int]:
        """Return what answers to some labels of a sample say of the others.

        Yes says yes of the ancestors, and no of what these and the label exclude; no
        says no of the descendants. Where answers contradict each other about a label,
        nothing is said of it.

        Parameters
        ----------
        values : dict of int to {1, 0}
            Answers by column.

        Returns
        -------
        dict of int to {1, 0}
            By column; none of those given.
        """
        yes = {col for col, value in values.items() if value == 1}
        yes = yes.union(*(self._ancestors[col] for col in yes))
        no = {col for col, value in values.items() if value == 0}
        no = no.union(*(self._excludes[col] for col in yes))
        no = no.union(*(self._descendants[col] for col in no))
        said = dict.fromkeys(sorted(yes - no), 1) | dict.fromkeys(sorted(no - yes), 0)
        return {col: value for col, value in said.items() if col not in values}

    def _column(self, name, parameter):
        if name not in self._columns:
            raise ValueError(
                f"`{parameter}` accepts names of labels, such as {self.names[0]!r}; "
                f"got {name!r}."
            )
        return self._columns[name]

    def _up(self, col):
        """Return the ancestors of a column, the nearest first."""
        above = []
        while col in self._parent:
            col = self._parent[col]
            if col in above:
                raise ValueError(
                    f"`label_parents` must have no circle; {self.names[col]!r} is "
                    "above itself."
                )
            above.append(col)
        return above

    def _exclude(self, group):
        for col in group:
            others = set(group) - {col}
            related = others & {*self._ancestors[col], *self._descendants[col]}
            if related or len(others) < len(group) - 1 or len(group) < 2:
                names = [self.names[one] for one in group]
                raise ValueError(
                    "`exclusive_labels` accepts groups of two labels or more that all "
                    f"differ, none above another; got {names}."
                )
            self._excludes[col] |= others
