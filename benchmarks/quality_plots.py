"""Draw score against the number of labeled cells, from results of two programs.

    python benchmarks/quality.py curve --data FOLDER --out results.jsonl
    python benchmarks/words.py run --data FOLDER --out words.jsonl --whole \
        --sets arxiv_cs --models words
    python benchmarks/quality_plots.py --out results.jsonl --words words.jsonl \
        --image docs/images/labeling_cost.png

Lines are told apart by markers and dashes, so that they read in grey too.
"""

import argparse

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from _quality_tables import Results, interval, is_ours
from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator
from quality import read_lines

# Score of `quality.py`, score of `words.py`, title.
SCORES = (
    ("macro_auc", "auc", "macro ROC AUC"),
    ("macro_ap", "ap", "macro average precision"),
)
TICKS = (100, 300, 1000, 3000, 10_000)
# Where no labeled cell is drawn: a logarithmic axis has no 0.
AT_ZERO = 40


def points(results, name, mask, model, score):
    """Return cells, mean scores and half-widths of the intervals, by cells.

    All training rows are passed to ours; rivals use the labeled ones alone.
    """
    found = []
    for setting in results.at:
        by_seed = results.at[setting].get(model, {})
        rows = "all" if is_ours(model) else "labeled"
        if setting[:3] == (name, mask, rows) and by_seed:
            center, half = interval([line[score] for line in by_seed.values()])
            n_cells = np.mean([line["n_cells"] for line in by_seed.values()])
            found.append((n_cells, center, 0.0 if np.isnan(half) else half))
    return np.array(sorted(found)).reshape(-1, 3).T


def points_with_words(lines, name, score):
    """Return the same of the model with words, of the newest version in `lines`."""
    by_size = {}
    for line in lines:
        if (line["set"], line["model"]) == (name, "words") and line["size"] != "full":
            if line["version"] == lines[-1]["version"]:
                by_size.setdefault(int(line["size"]), []).append(line[score])
    found = []
    for size, scores in by_size.items():
        center, half = interval(scores)
        found.append((size or AT_ZERO, center, 0.0 if np.isnan(half) else half))
    return np.array(sorted(found)).reshape(-1, 3).T


def draw_line(axes, at, label, marker, color, dash):
    """Draw mean scores with their intervals."""
    cells, center, half = at
    axes.errorbar(
        cells,
        center,
        yerr=half,
        label=label,
        marker=marker,
        color=color,
        linestyle=dash,
        markerfacecolor=color if dash == "-" else "white",
        linewidth=2.0,
        markersize=6,
        capsize=2.5,
        elinewidth=0.8,
    )


def label_axes(axes, title, from_zero):
    """Write the numbers of cells, 0 among them where words alone are drawn."""
    ticks = (AT_ZERO, *TICKS) if from_zero else TICKS
    names = ["0" if tick == AT_ZERO else f"{tick:,}" for tick in ticks]
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_major_formatter(FixedFormatter(names))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_title(title)
    axes.set_xlabel("labeled cells")
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)


def draw(results, words, name, image, ours="ours", rival="separate"):
    """Write the picture."""
    figure, panels = plt.subplots(1, len(SCORES), figsize=(10, 4.3))
    for axes, (score, score_of_words, title) in zip(panels, SCORES, strict=True):
        if words:
            at = points_with_words(words, name, score_of_words)
            label = "one sought cell per row, and a line of words per label"
            draw_line(axes, at, label, "D", "#1b7837", "-")
        for mask, model, label, marker, color, dash in (
            ("one-sought", ours, "one sought cell per row", "o", "#b2182b", "-"),
            ("one-sought", rival, "the same, separate models", "o", "#b2182b", "--"),
            ("full-budget", ours, "fully labeled rows", "^", "#2166ac", "-"),
            ("full-budget", rival, "the same, separate models", "^", "#2166ac", "--"),
        ):
            at = points(results, name, mask, model, score)
            draw_line(axes, at, label, marker, color, dash)
        label_axes(axes, title, bool(words))
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="lower center", ncols=2, frameon=False)
    figure.tight_layout(rect=(0, 0.19, 1, 1))
    figure.savefig(image, dpi=110)
    plt.close(figure)


def main(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", required=True, help="JSON lines of quality.py")
    parser.add_argument("--words", help="JSON lines of words.py")
    parser.add_argument("--set", default="arxiv_cs")
    parser.add_argument("--rival", default="separate", help="its name in the results")
    parser.add_argument("--ours", default="ours", help="the name with its parameters")
    parser.add_argument("--image", default="labeling_cost.png")
    args = parser.parse_args(arguments)
    words = read_lines(args.words) if args.words else []
    results = Results(read_lines(args.out))
    draw(results, words, args.set, args.image, args.ours, args.rival)


if __name__ == "__main__":
    main()
