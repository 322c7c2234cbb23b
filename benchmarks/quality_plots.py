"""Draw score against the number of labeled cells, from the results of `quality.py`.

    python benchmarks/quality.py curve --data FOLDER --out results.jsonl
    python benchmarks/quality_plots.py --out results.jsonl --image FILE.png

Models are told apart by dashes, masks by markers, so that it reads in grey too.
"""

import argparse

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from _quality_tables import Results, interval, is_ours
from matplotlib.ticker import FuncFormatter, NullLocator
from quality import read_lines

TITLES = {
    "macro_auc": "macro ROC AUC",
    "macro_ap": "macro average precision",
    "micro_auc": "micro ROC AUC",
}
# Told apart by marker and dash, not by colour alone.
MASKS = {
    "one-sought": ("one cell a row, sought", "o", "#b2182b"),
    "random-cells": ("random cells", "s", "#4d4d4d"),
    "full-budget": ("fully labeled rows", "^", "#2166ac"),
}
OURS = "MaskedMultiLabelClassifier()"
RIVALS = {
    "separate": "logistic regressions, C searched",
    "separate:C=30": "logistic regressions, C=30",
    "separate:C=1": "logistic regressions, C=1",
}


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


def draw_score(axes, results, name, score, ours, rival):
    models = {ours: ("one model", "-", True), rival: ("separate", "--", False)}
    for mask, (mask_name, marker, color) in MASKS.items():
        for model, (model_name, dash, filled) in models.items():
            cells, center, half = points(results, name, mask, model, score)
            axes.errorbar(
                cells,
                center,
                yerr=half,
                label=f"{mask_name}, {model_name}",
                marker=marker,
                color=color,
                linestyle=dash,
                markerfacecolor=color if filled else "white",
                linewidth=1.8 if filled else 1.2,
                markersize=6,
                capsize=2.5,
                elinewidth=0.8,
            )
    ticks = [500, 1000, 2000, 5000, 10_000, 40_000]
    axes.set_xscale("log")
    axes.set_xticks(ticks)
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.0f}"))
    axes.tick_params(axis="x", labelrotation=35)
    axes.set_title(TITLES[score])
    axes.set_xlabel("labeled cells")
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)


def draw(lines, name, image, ours="ours", rival="separate"):
    """Write the picture."""
    results = Results(lines)
    figure, panels = plt.subplots(1, len(TITLES), figsize=(12, 4.9))
    for axes, score in zip(panels, TITLES, strict=True):
        draw_score(axes, results, name, score, ours, rival)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="lower center", ncols=3, frameon=False)
    figure.suptitle(
        f"What a labeled cell buys on {name}: means and 95 % intervals over seeds\n"
        f"one model (solid): {OURS}; separate (dashed): {RIVALS[rival]}",
        fontsize=11,
    )
    figure.tight_layout(rect=(0, 0.13, 1, 1))
    figure.savefig(image, dpi=110)
    plt.close(figure)


def main(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", required=True, help="the JSON lines")
    parser.add_argument("--set", default="arxiv_cs")
    parser.add_argument("--rival", choices=RIVALS, default="separate")
    parser.add_argument("--ours", default="ours", help="the name with its parameters")
    parser.add_argument("--image", default="labeling_cost.png")
    args = parser.parse_args(arguments)
    draw(read_lines(args.out), args.set, args.image, args.ours, args.rival)


if __name__ == "__main__":
    main()
