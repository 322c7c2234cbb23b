"""The model of a loop, its report, and what is kept of them in the folder."""

import errno
import json
import os
import subprocess
import sys
import threading
import warnings

import joblib
import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB

from sklearn_masked import (
    MaskedMultiLabelClassifier,
    MaskedMultiOutputClassifier,
    _files,
)
from sklearn_masked.annotation import LabelingLoop
from sklearn_masked.exceptions import (
    ModelNotSavedWarning,
    UnreadableModelWarning,
)
from sklearn_masked.metrics import masked_average_precision_score, masked_roc_auc_score
from sklearn_masked.model_selection import MaskedStratifiedKFold, cross_val_predict

NAMES = ["war", "crime"]
TEXTS = ["the war goes on", "a thief in jail", "tanks at war", "the thief again"] * 5
X = np.random.default_rng(0).normal(size=(40, 3))
TRUTH = (X[:, :2] + X[:, 1:] > 0).astype(int)


def bayes():
    return MaskedMultiOutputClassifier(GaussianNB())


def make(folder, estimator=None, rows=X, **options):
    return LabelingLoop(
        estimator or bayes(),
        rows,
        folder=folder,
        label_names=NAMES,
        random_state=0,
        **options,
    )


def answer_some(loop, n=30):
    rows, cols = np.divmod(np.arange(n), 2)
    loop.answer(rows, cols, TRUTH[rows, cols])


def test_seeds_describe_the_labels_to_the_default_model(tmp_path):
    settings = {"folder": tmp_path, "random_state": 0}
    seeds = {"war": "tanks", "crime": ["jail", "the thief"]}
    names = [*NAMES, "sport"]
    with LabelingLoop(None, TEXTS, label_names=names, seeds=seeds, **settings) as loop:
        loop.answer([0, 1, 2], ["war"] * 3, ["yes", "no", "yes"])
        loop.fit()
        features = loop.model[-1].label_features
        vectorizer = loop.model[0]
        rows = vectorizer.transform(["tanks", "jail", "the thief"]).toarray()
        crime = (rows[1] + rows[2]) / np.linalg.norm(rows[1] + rows[2])
        expected = [rows[0], crime, np.zeros(len(crime))]  # no text has "sport"
        np.testing.assert_allclose(features.toarray(), expected, atol=1e-6)
        proba = loop.model.predict_proba(TEXTS[:4])
        # No answer is about crime: its words alone tell it.
        assert min(proba[1, 1], proba[3, 1]) > max(proba[0, 1], proba[2, 1])
        loop.report(cv=2)


def test_fit_trains_on_the_labeled_cells_and_survives_a_restart(tmp_path):
    with make(tmp_path) as loop:
        assert loop.model is None
        answer_some(loop)
        loop.answer(39, "war", "skip")
        assert loop.fit() is loop
        expected = bayes().fit(X, loop.labels).predict_proba(X)
        np.testing.assert_array_equal(loop.model.predict_proba(X), expected)
    with make(tmp_path) as loop:
        np.testing.assert_array_equal(loop.model.predict_proba(X), expected)
        assert loop.report().n_since_fit == 0
        loop.next_batch(3)
        loop.answer(38, "war", 1)
        loop.undo()
        assert loop.report().n_since_fit == 2  # a batch is no answer
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "answers.check",
        "answers.jsonl",
        "lock",
        "model.joblib",
        "model.json",
        "settings.json",
    ]
    np.testing.assert_array_equal(  # an ordinary model file
        joblib.load(tmp_path / "model.joblib").predict_proba(X), expected
    )


def test_fit_needs_a_labeled_cell(tmp_path):
    with make(tmp_path) as loop:
        loop.answer(0, "war", "skip")
        with pytest.raises(ValueError, match=r"fit\(\) needs one labeled cell or more"):
            loop.fit()
        for function in (loop.report, loop.review_batch):
            with pytest.raises(ValueError, match="Cross-validation needs one labeled"):
                function(cv=3)


@pytest.mark.parametrize("rows", [TEXTS, np.array(TEXTS, dtype=object), X])
def test_without_an_estimator_the_default_model_takes_texts_or_features(tmp_path, rows):
    with LabelingLoop(
        None, rows, folder=tmp_path, label_names=NAMES, random_state=3
    ) as loop:
        loop.answer([0, 1, 2, 3], [0, 0, 0, 0], [1, 0, 1, 0])
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # "crime" has no cell, as must be at first
            loop.fit()
        proba = loop.model.predict_proba(rows)
        assert proba.shape == (len(rows), 2)
        batch = loop.next_batch(6, strategy="uncertain")
        np.testing.assert_allclose(  # the pool is predicted by the same model
            batch["probability"],
            proba[batch["sample"], batch["label"]],
            rtol=1e-6,
        )
    with LabelingLoop.open(tmp_path, None, rows) as loop:
        np.testing.assert_allclose(loop.model.predict_proba(rows), proba, rtol=1e-6)
        last = loop.model[-1] if rows is not X else loop.model
        assert isinstance(last, MaskedMultiLabelClassifier)
        assert last.random_state == 3


def test_the_default_model_ranks_what_it_was_taught(tmp_path):
    with LabelingLoop(
        None, TEXTS, folder=tmp_path, label_names=NAMES, random_state=0
    ) as loop:
        loop.answer(np.arange(8), [0] * 8, [1, 0] * 4)
        proba = loop.fit().model.predict_proba(["a war", "a thief"])
        assert proba[0, 0] > 0.5 > proba[1, 0]


def test_the_package_loads_no_torch_before_the_default_model_is_fitted(tmp_path):
    code = (
        "import sys\n"
        "from sklearn_masked.annotation import LabelingLoop\n"
        "loop = LabelingLoop(None, ['war', 'peace', 'war'], folder=sys.argv[1], "
        "label_names=['a'])\n"
        "batch = loop.next_batch(2)\n"
        "loop.answer(batch['sample'], batch['label'], [1, 0])\n"
        "loop.report()\n"
        "print('torch' in sys.modules)\n"
        "loop.fit()\n"
        "print('torch' in sys.modules)\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.stdout.split() == ["False", "True"], done.stderr


def test_report_counts(tmp_path):
    with make(tmp_path) as loop:
        assert str(loop.report()) == (
            "label    yes     no  disputed  skipped\n"
            "war        0      0         0        0\n"
            "crime      0      0         0        0\n"
            "0 of 80 cells labeled, by 0 answers of 0 annotators\n"
            "no model yet"
        )
        loop.answer([0, 1, 2], ["war"] * 3, [1, 0, 1], annotator="ann")
        loop.answer([0, 1, 3, 4], ["war"] * 4, [0, 0, None, 1], annotator="bob")
        loop.answer(2, "war", None)
        loop.next_batch(2)
        report = loop.report()
        assert report.labels["label"].tolist() == NAMES
        assert report.labels["yes"].tolist() == [2, 0]
        assert report.labels["no"].tolist() == [1, 0]
        assert report.labels["disputed"].tolist() == [1, 0]
        assert report.labels["skipped"].tolist() == [1, 0]
        assert np.isnan(report.labels["roc_auc"]).all()
        assert report.n_answers == 6
        assert report.annotators == {"ann": 3, "bob": 4, None: 1}
        assert str(report).splitlines()[-3:] == [
            "3 of 80 cells labeled, by 6 answers of 3 annotators",
            "2 cells asked for and not yet answered",
            "no model yet",
        ]


def test_report_scores_by_cross_validation_and_remembers(tmp_path):
    estimator = MaskedMultiOutputClassifier(LogisticRegression())
    with make(tmp_path, estimator) as loop:
        answer_some(loop, 60)
        report = loop.report(cv=3)
        labels = loop.labels[:30]  # no other row has a labeled cell
        cv = MaskedStratifiedKFold(3, shuffle=True, random_state=0)
        proba = cross_val_predict(
            estimator, X[:30], labels, cv=cv, method="predict_proba"
        )
        for name, metric in (
            ("roc_auc", masked_roc_auc_score),
            ("average_precision", masked_average_precision_score),
        ):
            expected = metric(labels, proba, average=None)
            np.testing.assert_array_equal(report.labels[name], expected)
        assert report.scored_at == 60
        assert str(report).splitlines()[0].endswith("skipped  ROC AUC (95 %)       AP")
    with make(tmp_path, estimator) as loop:
        loop.answer(39, "war", 1)
        again = loop.report()
        np.testing.assert_array_equal(again.labels["roc_auc"], report.labels["roc_auc"])
        assert again.scored_at == 60
        assert "scores by cross-validation on 60 cells\nmean over" in str(again)
        assert "more answers" not in str(again) and "by chance" not in str(again)
        (tmp_path / "scores.json").write_text("{")
        assert loop.report().scored_at is None


def test_few_labeled_rows_in_a_large_pool_are_scored_and_reviewed(tmp_path):
    rows = np.repeat(X, 50, axis=0)
    with make(tmp_path, rows=rows) as loop:
        for row in (0, 1, 1000, 1001, 1950, 1999):
            loop.answer([row, row], [0, 1], TRUTH[row // 50])
        assert loop.report(cv=2).scored_at == 12
        assert len(loop.review_batch(3, cv=2)) == 3


def test_scores_of_a_label_without_cells_are_unknown(tmp_path):
    with make(tmp_path) as loop:
        loop.answer(np.arange(20), [0] * 20, TRUTH[:20, 0])
        report = loop.report(cv=2)
        assert report.labels["roc_auc"][0] > 0.5
        assert np.isnan(report.labels["roc_auc"][1])
    with make(tmp_path) as loop:
        assert np.isnan(loop.report().labels["roc_auc"][1])


class FullDisk:
    """The functions of `os` on a disk that is full when a file is to last."""

    def __init__(self, number=errno.ENOSPC):
        self.number = number

    def fsync(self, *_):
        raise OSError(self.number, os.strerror(self.number))

    def __getattr__(self, name):
        return getattr(os, name)


def test_a_model_that_cannot_be_saved_serves_on_and_the_old_file_stays(
    tmp_path, monkeypatch
):
    with make(tmp_path) as loop:
        answer_some(loop)
        old = loop.fit().model.predict_proba(X)
        loop.answer(39, "war", 1)
        loop.answer(38, "war", 0)
        with monkeypatch.context() as patch:
            patch.setattr(_files, "os", FullDisk())
            with pytest.warns(ModelNotSavedWarning) as caught:
                loop.fit()
        assert str(caught[0].message) == (
            f"The model could not be saved in {tmp_path} ([Errno 28] "
            f"{tmp_path / 'model.joblib'} could not be written (No space left on "
            "device); what was there is as it was): it serves this process, and is "
            "gone with it. The answers are safe; fit() again saves the model once that "
            "is mended."
        )
        assert caught[0].filename == __file__
        assert not np.array_equal(loop.model.predict_proba(X), old)
        assert loop.report().n_since_fit == 2  # of the model in the folder
        assert not list(tmp_path.glob("*.part"))
    with make(tmp_path) as loop:
        np.testing.assert_array_equal(loop.model.predict_proba(X), old)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            loop.fit()
        assert loop.report().n_since_fit == 0


class Unpicklable(BaseEstimator):
    def fit(self, X, y):
        self.secret_ = lambda: 0
        return self

    def predict_proba(self, X):
        return np.full((len(X), 2), 0.5)


def test_a_model_that_cannot_be_pickled_serves_the_process(tmp_path):
    with make(tmp_path, Unpicklable()) as loop:
        answer_some(loop, 4)
        with pytest.warns(ModelNotSavedWarning, match="it serves this process"):
            loop.fit()
        assert len(loop.next_batch(3)) == 3
        assert not (tmp_path / "model.joblib").exists()


def test_scores_that_cannot_be_saved(tmp_path, monkeypatch):
    with make(tmp_path) as loop:
        answer_some(loop)
        monkeypatch.setattr(_files, "os", FullDisk())
        with pytest.raises(OSError, match="scores.json could not be written .No space"):
            loop.report(cv=2)
        assert loop.report().scored_at is None


def test_an_unreadable_model_is_set_aside(tmp_path):
    with make(tmp_path) as loop:
        answer_some(loop)
        loop.fit()
    content = (tmp_path / "model.joblib").read_bytes()
    (tmp_path / "model.joblib").write_bytes(content[:100])
    with make(tmp_path) as loop:
        with pytest.warns(UnreadableModelWarning, match="is set aside as model.unread"):
            assert loop.model is None
        assert loop.labels.n_cells == 30
        assert loop.report().n_since_fit is None
        assert len(loop.next_batch(3)) == 3
        assert loop.fit().model is not None
    aside = tmp_path / "model.unreadable.joblib"
    assert aside.read_bytes() == content[:100]


def test_a_crash_between_the_files_of_a_model(tmp_path):
    with make(tmp_path) as loop:
        answer_some(loop, 10)
        loop.fit()
    (tmp_path / "model.json").unlink()
    with make(tmp_path) as loop:
        assert loop.model is not None
        assert loop.report().n_since_fit == 10  # at worst too many


def test_fit_in_a_thread_while_answers_come_in(tmp_path):
    began, go_on = threading.Event(), threading.Event()

    class Slow(GaussianNB):
        def fit(self, X, y):
            began.set()
            assert go_on.wait(60)
            return super().fit(X, y)

    with make(tmp_path, MaskedMultiOutputClassifier(Slow())) as loop:
        answer_some(loop, 10)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ModelNotSavedWarning)  # a local class
            thread = threading.Thread(target=loop.fit)
            thread.start()
            assert began.wait(60)
            loop.answer(20, "war", 1)  # does not wait
            assert loop.labels.n_cells == 11
            go_on.set()
            thread.join()
        assert loop.model is not None


def test_a_fit_that_ends_after_the_loop_is_closed_saves_nothing(tmp_path):
    class Closing(GaussianNB):
        def fit(self, X, y):
            loop.close()
            return super().fit(X, y)

    loop = make(tmp_path, MaskedMultiOutputClassifier(Closing()))
    answer_some(loop, 10)
    with pytest.raises(ValueError, match="The labeling loop is closed"):
        loop.fit()
    assert not (tmp_path / "model.joblib").exists()


def test_files_are_synced_before_they_take_their_place(tmp_path, monkeypatch):
    done = []

    class Recorder:
        def fsync(self, descriptor):
            kind = "folder" if os.path.isdir(f"/proc/self/fd/{descriptor}") else "file"
            done.append(f"sync {kind}")
            os.fsync(descriptor)

        def replace(self, part, path):
            done.append(f"{part.name} -> {path.name}")
            os.replace(part, path)

        def __getattr__(self, name):
            return getattr(os, name)

    monkeypatch.setattr(_files, "os", Recorder())
    _files.write_atomically(tmp_path / "a", lambda file: file.write(b"x"))
    if sys.platform == "linux":
        assert done == ["sync file", f"a.{os.getpid()}.part -> a", "sync folder"]
    assert (tmp_path / "a").read_bytes() == b"x"


def test_files_of_the_folder_are_plain_json(tmp_path):
    with make(tmp_path) as loop:
        answer_some(loop, 4)
        loop.next_batch(3)
        loop.fit()
    for line in (tmp_path / "answers.jsonl").read_text().splitlines():
        assert json.loads(line, parse_constant=pytest.fail)["time"].endswith("+00:00")
    for name in ("settings.json", "model.json"):
        json.loads((tmp_path / name).read_text())
