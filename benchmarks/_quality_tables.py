"""Tables in Markdown of what `quality.py` measured.

Differences are paired: the same cells, model minus rival, draw by draw. The rival is,
score by score, the one with the best mean over the settings of the panel, so one for
all settings. Models of earlier versions are named "ours@VERSION".
"""

from collections import defaultdict
from typing import NamedTuple

import numpy as np
from scipy import stats

SCORES = ("macro_auc", "macro_ap", "micro_auc", "micro_ap", "log_loss")
# A setting is lost where a difference plus two standard errors is below minus this.
BARS = {"macro_auc": 0.003, "macro_ap": 0.005}


class Setting(NamedTuple):
    """What the draws of a mean have in common."""

    set: str
    mask: str
    rows: str
    size: str

    def place(self):
        """Return what settings are sorted by."""
        return *self[:3], np.inf if self.size == "full" else int(self.size)


class Results:
    """The lines by setting, then by model, then by seed."""

    def __init__(self, lines):
        versions = [line["version"] for line in lines if is_ours(line["model"])]
        self.version = versions[-1] if versions else None
        self.at = defaultdict(lambda: defaultdict(dict))
        self.again = defaultdict(dict)
        self.models = []
        for line in lines:
            model = line["model"]
            if is_ours(model) and line["version"] != self.version:
                model += f"@{line['version']}"
            if model not in self.models:
                self.models.append(model)
            setting = Setting(*(str(line[name]) for name in Setting._fields))
            self.again[setting, model, line["seed"]][line["run"]] = line
            if line["run"] == "plain":
                self.at[setting][model][line["seed"]] = line

    def by_seed(self, setting, model):
        """Return the lines of a model; rivals have them for the labeled rows alone."""
        found = self.at[setting].get(model)
        other = setting._replace(rows="labeled")
        return found or (self.at[other].get(model, {}) if other in self.at else {})

    def settings(self, model):
        """Return the settings of a model in order."""
        found = [setting for setting in list(self.at) if model in self.at[setting]]
        return sorted(found, key=Setting.place)

    def mean(self, setting, model, name):
        """Return the mean over all seeds of the model, NaN where there is none."""
        by_seed = self.by_seed(setting, model)
        return np.mean([line[name] for line in by_seed.values()]) if by_seed else np.nan

    def differences(self, setting, model, rival, name):
        """Return the model's score minus the rival's by seed."""
        ours, theirs = (self.by_seed(setting, one) for one in (model, rival))
        return {s: ours[s][name] - theirs[s][name] for s in sorted({*ours} & {*theirs})}

    def best_rival(self, models, name):
        """Return the rival with the best mean, of those that were run most widely."""
        rivals = [model for model in self.models if not is_ours(model)]
        # The settings of the models, without regard to the rows that were passed.
        asked = {s._replace(rows="labeled") for m in models for s in self.settings(m)}
        ran = {rival: asked.intersection(self.settings(rival)) for rival in rivals}
        most = max(map(len, ran.values()), default=0)
        sign = -1 if name == "log_loss" else 1
        widest = [rival for rival in rivals if len(ran[rival]) == most]

        def mean(rival):
            return sign * np.mean([self.mean(s, rival, name) for s in ran[rival]])

        return max(widest, key=mean) if most else None


def is_ours(model):
    """Return True for the default model and its variants."""
    return model.startswith("ours")


def markdown(header, rows):
    """Return a Markdown table; numbers are formatted by whoever calls."""
    lines = [f"| {' | '.join(header)} |", f"| {' | '.join('---' for _ in header)} |"]
    return "\n".join(lines + [f"| {' | '.join(map(str, row))} |" for row in rows])


def interval(values):
    """Return the mean and half the width of its 95 % interval by Student's t."""
    mean, error = mean_and_error(values)
    return mean, float(stats.t.ppf(0.975, max(len(values) - 1, 1)) * error)


def mean_and_error(values):
    """Return the mean and its standard error, NaN where there are too few values."""
    values = np.asarray(values, float)
    if len(values) < 2:
        return float(np.mean(values)) if len(values) else np.nan, np.nan
    return float(values.mean()), float(values.std(ddof=1) / len(values) ** 0.5)


def pooled(differences):
    """Return the mean over settings of the mean over draws, and its standard error.

    `differences` has a dict {seed: difference} per setting. The error is that of the
    draws' means over the settings that have the most draws; a setting with fewer, as
    all cells with one, adds to the mean alone.
    """
    found = [d for d in differences if d]
    if not found:
        return np.nan, np.nan
    most = max(map(len, found))
    whole = [d for d in found if len(d) == most]
    seeds = sorted(set.intersection(*map(set, whole)))
    _, error = mean_and_error([np.mean([d[s] for d in whole]) for s in seeds])
    mean = np.mean([np.mean(list(d.values())) for d in found])
    return float(mean), error * len(whole) / len(found)


def report(lines, models=None, rival=None):
    """Return all tables."""
    results = Results(lines)
    models = models or [m for m in results.models if is_ours(m) and "@" not in m]
    rivals = {name: rival or results.best_rival(models, name) for name in SCORES}
    parts = [f"Version of ours: {results.version}; {len(lines)} lines of results."]
    if all(rivals.values()):
        named = ", ".join(f"{name} {model}" for name, model in rivals.items())
        parts += [
            f"Compared with: {named}.",
            "### Means over all settings, minus the rival's, with standard errors",
            overview(results, models, rivals),
            "### Per set and mask: means over sizes, minus the rival's",
            per_mask(results, models, rivals),
            "### Settings that are lost by more than two standard errors",
            lost(results, models, rivals),
        ]
    parts += [
        "### CPU seconds of a fit",
        times(results, models),
        "### Scores, means over draws",
        scores(results, models),
    ]
    if spreads := spread(results, models):
        parts += ["### Spread over random states and orders of rows; noise", spreads]
    return "\n\n".join(parts)


def _groups(results, model):
    """Return the settings of a model by the rows that are passed, then set and mask."""
    groups = defaultdict(lambda: defaultdict(list))
    for setting in results.settings(model):
        groups[setting.rows][setting[:2]].append(setting)
    return groups


def _shown(results, settings, model, rivals):
    """Return the pooled difference of each score as text."""
    row = []
    for name in SCORES:
        found = [results.differences(s, model, rivals[name], name) for s in settings]
        row.append("{:+.4f} ± {:.4f}".format(*pooled(found)))
    return row


def overview(results, models, rivals):
    """Return a row per model and way to pass rows."""
    table = []
    for model in models:
        for rows, by_mask in _groups(results, model).items():
            settings = [s for group in by_mask.values() for s in group]
            row = [
                model,
                rows,
                len(settings),
                *_shown(results, settings, model, rivals),
            ]
            for name, bar in BARS.items():
                means = {
                    pair: pooled(
                        results.differences(s, model, rivals[name], name) for s in group
                    )[0]
                    for pair, group in by_mask.items()
                }
                worst = min(means, key=means.get)
                n_lost = len(_lost(results, settings, model, rivals, name, bar))
                row += [f"{means[worst]:+.4f} {' '.join(worst)}", n_lost]
            ratio = [
                results.mean(s, model, "fit_cpu_s")
                / results.mean(s, rivals["macro_ap"], "fit_cpu_s")
                for s in settings
            ]
            table.append([*row, f"{np.exp(np.nanmean(np.log(ratio))):.2f}"])
    header = ["model", "rows", "settings", *SCORES]
    header += [text for name in BARS for text in (f"worst mean, {name}", "lost")]
    return markdown([*header, "fit time, ratio (geometric mean)"], table)


def per_mask(results, models, rivals):
    """Return a row per set, mask, model and way to pass rows."""
    table = [
        [*pair, model, rows, *_shown(results, settings, model, rivals)]
        for model in models
        for rows, by_mask in _groups(results, model).items()
        for pair, settings in by_mask.items()
    ]
    table.sort(key=lambda row: row[:2])
    return markdown(["set", "mask", "model", "rows", *SCORES], table)


def _lost(results, settings, model, rivals, name, bar):
    """Return setting, mean difference and standard error where a setting is lost."""
    found = []
    for setting in settings:
        draws = results.differences(setting, model, rivals[name], name)
        mean, error = mean_and_error(list(draws.values()))
        if mean + 2 * error < -bar:  # never where one draw has no error
            found.append((setting, mean, error))
    return found


def lost(results, models, rivals):
    """Return a row per lost setting and score."""
    table = [
        [*setting, model, name, f"{mean:+.4f}", f"{error:.4f}"]
        for model in models
        for name, bar in BARS.items()
        for setting, mean, error in _lost(
            results, results.settings(model), model, rivals, name, bar
        )
    ]
    header = [*Setting._fields, "model", "score", "difference", "standard error"]
    return markdown(header, table) if table else "None."


def _columns(results, models):
    """Return the models and the rivals, and the settings that any of them has."""
    columns = [*models, *(m for m in results.models if not is_ours(m))]
    settings = {s for model in models for s in results.settings(model)}
    return columns, sorted(settings, key=Setting.place)


def times(results, models):
    """Return the mean CPU seconds of a fit, a column per model."""
    columns, settings = _columns(results, models)
    table = [
        [*s, *(f"{results.mean(s, model, 'fit_cpu_s'):.2f}" for model in columns)]
        for s in settings
    ]
    return markdown([*Setting._fields, *columns], table)


def scores(results, models):
    """Return a row per setting and model."""
    columns, settings = _columns(results, models)
    table = []
    for setting in settings:
        for model in columns:
            if by_seed := results.by_seed(setting, model):
                means = [results.mean(setting, model, name) for name in SCORES]
                seconds = results.mean(setting, model, "predict_cpu_s")
                shown = [*(f"{value:.4f}" for value in means), f"{seconds:.2f}"]
                table.append([*setting, model, len(by_seed), *shown])
    header = [*Setting._fields, "model", "draws", *SCORES, "predict, CPU s"]
    return markdown(header, table)


def spread(results, models):
    """Return what other random states, orders of rows and noise change, or nothing.

    Of the runs with an order: the standard deviation of the test scores. Of those with
    noise: the largest change.
    """
    table = []
    for (setting, model, seed), runs in results.again.items():
        orders, noises = (
            [run for run in runs if run.startswith(kind)] for kind in ("order", "noise")
        )
        if model not in models or not orders:
            continue
        row = [*setting, model, seed, len(orders)]
        for name in ("macro_auc", "macro_ap"):
            values = [runs[run][name] for run in orders]
            changes = [abs(runs[r][name] - runs["plain"][name]) for r in noises]
            low, high = min(values), max(values)
            row += [f"{np.std(values, ddof=1):.4f}", f"{low:.4f} to {high:.4f}"]
            row.append(f"{max(changes):.4f}" if changes else "")
        table.append(row)
    header = [*Setting._fields, "model", "draw", "runs"]
    for name in ("AUC", "AP"):
        header += [f"{name}, standard deviation", "range", "by noise"]
    return markdown(header, table) if table else ""
