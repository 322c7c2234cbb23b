"""How the pictures look: colors, dashes, axes, legends."""

import math
from numbers import Integral
from os.path import commonprefix

import numpy as np

# Okabe and Ito's colors, which color-blind readers tell apart; dashes and markers tell
# them apart in grey too.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
DASHES = ("-", (0, (5, 1.5)), (0, (1, 1)), (0, (5, 1, 1, 1)), (0, (9, 2)), (0, (3, 3)))
MARKERS = ("o", "s", "^", "D", "v", "X")
FEW = len(COLORS)  # labels that one picture can tell apart
BACKGROUND = "#A0A0A0"  # of labels that stand behind
AVERAGE = "black"
_MAX_NAME = 28


def pyplot():
    """Return matplotlib.pyplot, or say what to install."""
    try:
        import matplotlib.pyplot
    except ImportError as error:
        raise ImportError(
            "The displays draw with matplotlib: `pip install sklearn-masked[plot]`."
        ) from error
    return matplotlib.pyplot


def new_axes(ax, figsize):
    """Return axes, and whether they are in a figure of their own."""
    plt = pyplot()
    if ax is not None:
        return ax, False
    return plt.subplots(figsize=figsize, layout="constrained")[1], True


def panels(ax, n_panels, n_columns, panel_size, **options):
    """Return `n_panels` axes in a grid: in a new figure, in `ax`, or `ax` itself."""
    plt = pyplot()
    if ax is not None and not hasattr(ax, "get_subplotspec"):
        axes = np.ravel(np.asarray(ax, dtype=object))
        if len(axes) != n_panels:
            raise ValueError(
                f"`ax` accepts None, one axes or {n_panels} axes, one a panel; got "
                f"{len(axes)}."
            )
        return axes
    n_rows = math.ceil(n_panels / n_columns)
    if ax is None:
        size = (panel_size[0] * n_columns, panel_size[1] * n_rows)
        grid = plt.figure(figsize=size, layout="constrained").add_gridspec(
            n_rows, n_columns
        )
    else:
        ax.set_axis_off()
        grid = ax.get_subplotspec().subgridspec(n_rows, n_columns)
    axes = grid.subplots(squeeze=False, **options).ravel()
    for rest in axes[n_panels:]:
        rest.remove()
    # The last panel of a column has the tick labels that a removed one would have.
    for panel in axes[max(n_panels - n_columns, 0) : n_panels]:
        panel.tick_params(labelbottom=True)
    return axes[:n_panels]


def line_style(place):
    """Return color and dashes of one of a few lines."""
    return {"color": COLORS[place % FEW], "linestyle": DASHES[place % FEW]}


def label_names(names, n_labels):
    """Return the names of labels as text, of positions too."""
    names = range(n_labels) if names is None else names
    return [
        f"label {name}" if isinstance(name, Integral) else str(name) for name in names
    ]


def shorten(names):
    """Return names that a legend or a tick can hold, as distinct as they are.

    The end of a long name is left out; of names that begin alike, what is around the
    first difference stays. Where that does not help, names are as long as they are.
    """
    names = list(names)
    short = [
        name if len(name) <= _MAX_NAME else name[: _MAX_NAME - 3] + "..."
        for name in names
    ]
    for _ in range(4):  # apart from others, names may come to look like third ones
        for places in _alike(names, short):
            start = len(commonprefix([names[place] for place in places]))
            for place in places:
                short[place] = _around(names[place], start)
    for places in _alike(names, short):
        for place in places:
            short[place] = names[place]
    return short


def _alike(names, short):
    """Return the places of different names that are shortened to the same."""
    groups = {}
    for place, one in enumerate(short):
        groups.setdefault(one, []).append(place)
    return [some for some in groups.values() if len({names[at] for at in some}) > 1]


def _around(name, start):
    """Return the beginning of a long name and what is around a position."""
    if len(name) <= _MAX_NAME:
        return name
    head = _MAX_NAME // 4
    start = max(head, min(start - head, len(name) - 2 * head))
    end = start + 2 * head
    return f"{name[:head]}...{name[start:end]}{'...' if end < len(name) else ''}"


def with_interval(value, low, high):
    """Return a value and its interval as text."""
    if np.isnan(low) or np.isnan(high):
        return f"{value:.2f}"
    return f"{value:.2f} [{low:.2f}, {high:.2f}]"


def place_legend(ax, own, title=None):
    """Put the legend below axes in a figure of their own, else where there is room."""
    if own:
        below = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.12)}
        ax.legend(title=title, fontsize="small", **below)
    else:
        ax.legend(loc="best", title=title, fontsize="x-small", title_fontsize="small")


def unit_axes(ax, xlabel, ylabel):
    """Give axes two shares from 0 to 1."""
    ax.set(xlabel=xlabel, ylabel=ylabel, xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))
    ax.set_aspect("equal", anchor="N")
