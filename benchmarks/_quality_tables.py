"""Tables in Markdown of what `quality.py` measured, and the bars it is held to."""

from collections import defaultdict

import numpy as np
from _quality_data import DEFAULT_SETS
from _quality_rivals import SEPARATE
from scipy import stats

SCORES = ("macro_auc", "macro_ap", "micro_auc", "micro_ap", "log_loss")
# What the averages are over; other masks and sizes stand in tables of their own.
MASKS = ("one-sought", "random-60", "full-budget")
SIZES = ("1000", "3000", "10000", "full")
FULL_SEEDS = 3


class Results:
    """The lines by (set, mask, size), then by model, then by seed."""

    def __init__(self, lines, version=None):
        versions = [line["version"] for line in lines if line["model"] == "ours"]
        self.version = version or (versions[-1] if versions else None)
        self.cells = defaultdict(lambda: defaultdict(dict))
        for line in lines:
            if line["model"] == "ours" and line["version"] != self.version:
                continue
            cell = line["set"], line["mask"], str(line["size"])
            self.cells[cell][line["model"]][line["seed"]] = line

    def seeds(self, cell, models):
        """Return the seeds that all the models were run with."""
        found = [set(self.cells[cell].get(model, ())) for model in models]
        return sorted(set.intersection(*found)) if found else []

    def mean(self, cell, model, name):
        """Return the mean over all seeds of the model, NaN where there is none."""
        by_seed = self.cells[cell].get(model, {}) if cell in self.cells else {}
        return np.mean([line[name] for line in by_seed.values()]) if by_seed else np.nan

    def differences(self, cell, rival, name):
        """Return ours minus the rival's by seed."""
        ours, theirs = (self.cells[cell].get(model, {}) for model in ("ours", rival))
        seeds = self.seeds(cell, ("ours", rival))
        return {seed: ours[seed][name] - theirs[seed][name] for seed in seeds}

    def strongest(self, cell, name, all_seeds=False):
        """Return the separate rival that is strongest against ours, and differences.

        `all_seeds` leaves out rivals that were run with fewer seeds than others.
        """
        sign = -1 if name == "log_loss" else 1
        found = {
            rival: differences
            for rival in SEPARATE
            if (differences := self.differences(cell, rival, name))
        }
        if not found:
            return None, {}
        if all_seeds:
            most = max(len(differences) for differences in found.values())
            found = {rival: d for rival, d in found.items() if len(d) == most}
        rival = min(found, key=lambda r: sign * np.mean(list(found[r].values())))
        return rival, found[rival]

    def ordered(self, masks=None):
        """Return the cells in the order of sets, masks and sizes."""

        def place(cell):
            name, mask, size = cell
            number = float("inf") if size == "full" else int(size)
            return name, MASKS.index(mask) if mask in MASKS else 9, mask, number

        cells = [cell for cell in self.cells if masks is None or cell[1] in masks]
        return sorted(cells, key=place)

    def averaged(self):
        """Return the cells that the averages are over."""
        return [
            cell
            for cell in self.ordered(MASKS)
            if cell[0] in DEFAULT_SETS and cell[2] in SIZES
        ]


def markdown(header, rows):
    """Return a Markdown table; numbers are formatted by whoever calls."""
    lines = [f"| {' | '.join(header)} |", f"| {' | '.join('---' for _ in header)} |"]
    return "\n".join(lines + [f"| {' | '.join(map(str, row))} |" for row in rows])


def interval(values):
    """Return the mean and half the width of its 95 % interval by Student's t."""
    values = np.asarray(values, float)
    if len(values) < 2:
        return float(np.mean(values)) if len(values) else np.nan, np.nan
    t = stats.t.ppf(0.975, len(values) - 1)
    return float(values.mean()), float(t * values.std(ddof=1) / len(values) ** 0.5)


def report(lines, version=None):
    """Return all tables."""
    results = Results(lines, version)
    parts = [
        f"Version of ours: {results.version}; {len(lines)} lines of results.",
        "### Scores, means over seeds",
        scores(results),
        "### Ours minus the separate rival that is strongest against it",
        per_mask(results),
        "### Averages over sets x masks x sizes",
        *(averages(results, rival) for rival in ("strongest", "separate")),
        "### One-sought minus full-budget, as many cells",
        gaps(results),
        "### Bars",
        bars(results),
    ]
    return "\n\n".join(parts)


def scores(results):
    """Return a row a set, mask, size and model."""
    header = ["set", "mask", "cells", "model", "seeds", *SCORES]
    header += ["labels scored", "fit, CPU s", "predict, CPU s", "MB"]
    rows = []
    for cell in results.ordered():
        for model, by_seed in sorted(results.cells[cell].items()):

            def mean(name, cell=cell, model=model):
                return results.mean(cell, model, name)

            size = cell[2] if cell[2] != "full" else f"full: {mean('n_cells'):.0f}"
            rows.append(
                [cell[0], cell[1], size, model, len(by_seed)]
                + [f"{mean(name):.4f}" for name in SCORES]
                + [f"{mean('labels_scored'):.0f}", f"{mean('fit_cpu_s'):.1f}"]
                + [f"{mean('predict_cpu_s'):.2f}", f"{mean('model_bytes') / 1e6:.2f}"]
            )
    return markdown(header, rows)


def by_mask(results, name):
    """Return {(set, mask): mean difference to the strongest over sizes and seeds}."""
    found = defaultdict(list)
    for cell in results.ordered((*MASKS, "natural")):
        if cell[2] in SIZES:
            _, differences = results.strongest(cell, name)
            if differences:
                found[cell[:2]].append(np.mean(list(differences.values())))
    return {pair: float(np.mean(values)) for pair, values in found.items()}


def per_mask(results):
    """Return the differences a set and mask, and a set, mask and size."""
    means = {name: by_mask(results, name) for name in SCORES}
    rows = []
    for pair in means["macro_auc"]:
        sizes = [c for c in results.ordered() if c[:2] == pair and c[2] in SIZES]
        rows.append([*pair, "mean"] + [f"{means[s][pair]:+.4f}" for s in SCORES])
        for cell in sizes:
            found = {name: results.strongest(cell, name) for name in SCORES}
            if found["macro_auc"][0]:
                numbers = [
                    f"{np.mean(list(d.values())):+.4f} ({rival}, {len(d)})"
                    for rival, d in found.values()
                ]
                rows.append([*cell, *numbers])
    return markdown(["set", "mask", "cells (rival, seeds)", *SCORES], rows)


def seed_means(results, rival, name, sets=None):
    """Return the mean over sets x masks x sizes of each seed, and how many cells.

    Only cells that have all the seeds that any has: the means are then paired.
    """
    found = []
    for cell in results.averaged():
        if sets is None or cell[0] in sets:
            if rival == "strongest":
                differences = results.strongest(cell, name, all_seeds=True)[1]
            else:
                differences = results.differences(cell, rival, name)
            found.append(differences)
    most = max((len(differences) for differences in found), default=0)
    kept = [d for d in found if len(d) == most and most]
    seeds = sorted(set.intersection(*map(set, kept))) if kept else []
    return [np.mean([d[seed] for d in kept]) for seed in seeds], len(kept)


FAMILIES = {
    "all sets": None,
    "texts": [name for name in DEFAULT_SETS if not name.startswith("tox21")],
    "molecules": [name for name in DEFAULT_SETS if name.startswith("tox21")],
}


def averages(results, rival):
    """Return the averaged paired differences with intervals over seeds."""
    rows = []
    for family, sets in FAMILIES.items():
        row = [rival, family]
        for name in SCORES:
            means, n_cells = seed_means(results, rival, name, sets)
            center, half = interval(means)
            row.append(f"{center:+.4f} ± {half:.4f}")
        rows.append([*row, len(means), n_cells])
    header = ["ours minus", "over", *SCORES, "seeds", "set-mask-sizes"]
    return markdown(header, rows)


def gaps(results):
    """Return the gap between the masks for ours and the separate models."""
    rows = []
    for cell in results.ordered(("one-sought",)):
        other = (cell[0], "full-budget", cell[2])
        for model in ("ours", "separate"):
            gap = [
                results.mean(cell, model, name) - results.mean(other, model, name)
                for name in SCORES
            ]
            if np.isfinite(gap).all():
                rows.append([cell[0], cell[2], model, *(f"{g:+.4f}" for g in gap)])
    return markdown(["set", "cells", "model", *SCORES], rows)


def bars(results):
    """Return each bar with what was measured, and whether it is met."""
    rows = [*_average_bars(results), *_worst_bars(results), *_named_bars(results)]
    shown = [
        [what, f"{least:+.4f}", f"{value:+.4f}", _verdict(value >= least, value, short)]
        for what, least, value, short in rows
    ]
    return markdown(["bar", "at least", "measured", "met"], shown) + _time(results)


def _verdict(met, value, short):
    if np.isnan(value):
        return "not run"
    return ("met" if met else "**not met**") + (" (not all seeds run)" if short else "")


def _average_bars(results):
    bars = {"macro_auc": 0.005, "macro_ap": 0.010, "micro_auc": 0.010}
    for name, least in bars.items():
        means, _ = seed_means(results, "strongest", name)
        value = np.mean(means) if means else np.nan
        yield f"average {name} above separate", least, value, len(means) < FULL_SEEDS


def _worst_bars(results):
    for name, least in {"macro_auc": -0.003, "macro_ap": -0.005}.items():
        means = by_mask(results, name)
        if not means:
            yield f"worst set and mask, {name}", least, np.nan, False
            continue
        worst = min(means, key=means.get)
        yield f"worst set and mask, {name}: {', '.join(worst)}", least, means[worst], 0


def _named_bars(results):
    arxiv = ("arxiv_cs", "one-sought", "full")
    for name, least in {
        "macro_auc": 0.945,
        "macro_ap": 0.410,
        "micro_auc": 0.955,
    }.items():
        yield _bar(results, arxiv, name, least)
    for kind in ("smiles", "ecfp"):
        for split, least in (("random", 0.840), ("scaffold", 0.760)):
            cell = (f"tox21_{kind}_{split}", "natural", "full")
            yield _bar(results, cell, "macro_auc", least)


def _bar(results, cell, name, least):
    n_seeds = len(results.cells[cell]["ours"]) if cell in results.cells else 0
    value = results.mean(cell, "ours", name)
    return f"{', '.join(cell)}: {name}", least, value, n_seeds < FULL_SEEDS


def _time(results):
    """Return the fit time on the largest one-sought set, and its ratio."""
    cell = ("arxiv_cs", "one-sought", "full")
    ours, theirs = (
        results.mean(cell, model, "fit_cpu_s") for model in ("ours", "separate")
    )
    if not np.isfinite(ours + theirs):
        return ""
    return (
        f"\n\nFit of ours on {', '.join(cell)}: {ours:.1f} s of CPU; separate models "
        f"with their search for C: {theirs:.1f} s, {theirs / ours:.1f} times as long."
    )


def losses(lines, models, seeds):
    """Return the loss parameters' scores minus those of the default."""
    versions = [line["version"] for line in lines if line["model"].startswith("ours")]
    found = defaultdict(dict)
    for line in lines:
        if line["version"] == versions[-1] and line["seed"] in seeds:
            cell = line["set"], line["mask"], str(line["size"])
            found[cell].setdefault(line["model"], []).append(line)
    rows = []
    for cell, by_model in found.items():
        for model in (m for m in models if m in by_model and "ours" in by_model):
            base, own = (
                {s: np.mean([line[s] for line in by_model[m]]) for s in SCORES}
                for m in ("ours", model)
            )
            mark = "" if model == "ours" else "+"
            off = {s: 0.0 if model == "ours" else base[s] for s in SCORES}
            rows.append(
                [*cell, model, *(f"{own[s] - off[s]:{mark}.4f}" for s in SCORES)]
            )
    return markdown(["set", "mask", "cells", "parameters", *SCORES], rows)
