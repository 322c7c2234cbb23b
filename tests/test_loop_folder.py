"""The folder of a loop: what it is about, who may enter, and what is refused."""

import errno
import json
import os
import signal
import stat
import subprocess
import sys
import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from builders import content

from sklearn_masked import _files
from sklearn_masked.annotation import LabelingLoop
from sklearn_masked.annotation.loop import _lock, _settings
from sklearn_masked.exceptions import (
    FolderInUseError,
    SamplesSetAsideWarning,
)

TEXTS = [f"text {i}" for i in range(6)]
NAMES = ["war", "crime"]
IDS = [f"id{i}" for i in range(6)]


def make(folder, X=TEXTS, **options):
    options = {"label_names": NAMES, "random_state": 0, **options}
    return LabelingLoop(None, X, folder=folder, **options)


def with_answers(folder, X=TEXTS, **options):
    with make(folder, X, **options) as loop:
        loop.answer([0, 1], ["war", "crime"], [1, 0])
        loop.next_batch(3)
    return content(folder)


DENSE = np.arange(18.0).reshape(6, 3)
OTHER = DENSE.copy()
OTHER[4, 1] = -1
WIDE = [np.arange(3000.0) for _ in range(6)]  # numpy prints a few of so many
POOLS = {
    "texts": (TEXTS, TEXTS[:4] + ["text"] + TEXTS[5:]),
    "object array": (np.array(TEXTS, object), np.array(TEXTS[::-1], object)),
    "Series": (pd.Series(TEXTS), pd.Series(TEXTS[1:] + TEXTS[:1])),
    "dense": (DENSE, OTHER),
    "float32": (DENSE, DENSE.astype(np.float32)),
    "sparse": (sp.csr_array(DENSE), sp.csr_array(OTHER)),
    "DataFrame": (pd.DataFrame(DENSE), pd.DataFrame(OTHER)),
    "3-D": (DENSE.reshape(6, 3, 1), OTHER.reshape(6, 3, 1)),
    "strings": (np.array(TEXTS), np.array(TEXTS[:5] + ["text"])),
    "wide rows": (WIDE, [row + 0.001 * (np.arange(3000) == 2000) for row in WIDE]),
    "objects": (pd.DataFrame({"a": TEXTS, "b": 1}), pd.DataFrame({"a": TEXTS, "b": 2})),
    "dicts": ([{"a": i} for i in range(6)], [{"a": -i} for i in range(6)]),
}


@pytest.mark.parametrize("kind", POOLS)
def test_another_pool_is_refused_and_nothing_changes(tmp_path, kind):
    mine, other = POOLS[kind]
    before = with_answers(tmp_path, mine)
    take = (lambda X: X.iloc[:5]) if hasattr(mine, "iloc") else (lambda X: X[:5])
    for changed in (other, take(mine)):
        with pytest.raises(ValueError) as raised:
            make(tmp_path, changed)
        n = 5 if changed is not other else 6
        assert str(raised.value) == (
            f"`X` must begin with the 6 samples of the folder {tmp_path}, in their "
            f"order (more may follow); got {n} samples that are others. Another pool "
            "needs another folder; with `sample_ids` order and other samples do not "
            "matter."
        )
    assert content(tmp_path) == before
    with make(tmp_path, mine) as loop:
        assert loop.labels.n_cells == 2


@pytest.mark.parametrize("ids", [range(6), [f"other {i}" for i in range(6)]])
def test_ids_of_another_pool_are_refused(tmp_path, ids):
    before = with_answers(tmp_path, sample_ids=IDS)
    with pytest.raises(ValueError) as raised:
        make(tmp_path, sample_ids=ids)
    assert str(raised.value) == (
        f"`sample_ids` must have a sample with an answer in the folder {tmp_path}, "
        "such as 'id0'; got none of 2. Another pool needs another folder."
    )
    with pytest.raises(ValueError, match="was made with `sample_ids`, and is opened w"):
        make(tmp_path)
    assert content(tmp_path) == before


def test_with_ids_the_order_does_not_matter(tmp_path):
    with_answers(tmp_path, sample_ids=IDS)
    with make(tmp_path, sample_ids=IDS) as loop:
        waiting = loop.next_batch()
        before = loop.labels.to_dense()
    order = [4, 0, 5, 2, 1, 3]
    texts, ids = [TEXTS[i] for i in order], [IDS[i] for i in order]
    with make(tmp_path, ["new", *texts], sample_ids=["x", *ids]) as loop:
        np.testing.assert_array_equal(loop.labels.to_dense()[1:], before[order])
        assert np.isnan(loop.labels.to_dense()[0]).all()
        assert loop.set_aside == []
        again = loop.next_batch()
        assert [(["x", *ids])[row] for row in again["sample"]] == [
            IDS[row] for row in waiting["sample"]
        ]


def test_samples_that_were_removed_are_set_aside_and_come_back(tmp_path):
    with_answers(tmp_path, sample_ids=IDS)
    with make(tmp_path, sample_ids=IDS) as loop:
        before = loop.labels.to_dense()
    with pytest.warns(SamplesSetAsideWarning) as caught:
        loop = make(tmp_path, TEXTS[1:], sample_ids=IDS[1:])
    assert str(caught[0].message) == (
        f"The pool lacks 1 of the samples with answers in {tmp_path}, such as 'id0'. "
        "Their answers are set aside: the log keeps them, and they count again in a "
        "pool that has these ids."
    )
    with loop:
        assert loop.set_aside == ["id0"]
        np.testing.assert_array_equal(loop.labels.to_dense(), before[1:])
        loop.answer("id3", "war", 0)
        assert "id0" not in {one.sample for one in loop.answers()}
        loop.next_batch()
    with make(tmp_path, sample_ids=IDS) as loop:
        assert loop.set_aside == [] and loop.labels.n_cells == 3
        assert loop.labels.to_dense()[0, 0] == before[0, 0]


def test_with_ids_the_rows_may_change(tmp_path):
    with_answers(tmp_path, sample_ids=np.array(IDS))
    with make(tmp_path, [text.upper() for text in TEXTS], sample_ids=IDS) as loop:
        assert [one.sample for one in loop.answers()] == ["id0", "id1"]


@pytest.mark.parametrize("ids", [None, IDS])
def test_more_samples_may_follow(tmp_path, ids):
    with_answers(tmp_path, sample_ids=ids)
    more = TEXTS + ["new", "newer"]
    options = {} if ids is None else {"sample_ids": IDS + ["x", "y"]}
    with make(tmp_path, more, **options) as loop:
        assert len(loop.next_batch()) == 3  # the batch of before
        loop.answer(7, "war", 1)
        assert loop.labels.shape == (8, 2)
    if ids is None:
        with pytest.raises(ValueError, match="must begin with the 8 samples"):
            make(tmp_path)
        return
    with pytest.warns(SamplesSetAsideWarning), make(tmp_path, sample_ids=ids) as loop:
        assert loop.set_aside == ["y"]


def test_longer_texts_may_follow_in_an_array_of_strings(tmp_path):
    with_answers(tmp_path, np.array(TEXTS))
    with make(tmp_path, np.array(TEXTS + ["a much longer text"])) as loop:
        assert loop.labels.shape == (7, 2)


def test_sparse_rows_with_duplicates_stay_as_they_are(tmp_path):
    X = sp.csr_array(
        (np.ones(7), np.array([1, 0, 0, 1, 1, 1, 0]), np.array([0, 2, 3, 4, 5, 6, 7])),
        shape=(6, 2),
    )
    parts = [X.data.copy(), X.indices.copy(), X.indptr.copy()]
    for rows in (X, sp.vstack([X, X]).tocsr()):
        with make(tmp_path, rows) as loop:
            assert len(loop.labels) == len(rows.indptr) - 1
    for before, after in zip(parts, (X.data, X.indices, X.indptr), strict=True):
        np.testing.assert_array_equal(before, after)
    X.sort_indices()
    make(tmp_path / "sorted", X).close()


def test_other_labels_are_refused(tmp_path):
    before = with_answers(tmp_path)
    for names in (["crime", "war"], ["war"], ["war", "sport", "crime"]):
        with pytest.raises(ValueError) as raised:
            make(tmp_path, label_names=names)
        assert str(raised.value) == (
            f"`label_names` must begin with those of the folder {tmp_path}, 'war', "
            f"'crime' (more may follow); got {', '.join(map(repr, names))}. Other "
            "labels need another folder; `LabelingLoop.rename_label` and `drop_label` "
            "change those of this one."
        )
    assert content(tmp_path) == before


def test_labels_may_follow(tmp_path):
    with make(tmp_path) as loop:
        for sample, value in enumerate([1, 0, 1, 0]):
            loop.answer(sample, "war", value)
            loop.answer(sample, "crime", 1 - value)
        loop.fit()
        loop.report(cv=2)
        before = loop.labels.to_dense()
    more = ["war", "crime", "sport"]
    with make(tmp_path, label_names=more) as loop:
        np.testing.assert_array_equal(loop.labels.to_dense()[:, :2], before)
        assert np.isnan(loop.labels.to_dense()[:, 2]).all()
        # The model of before does not know the label; it is asked for all the same.
        batch = loop.next_batch(10)
        assert "sport" in set(batch.label_names[batch["label"]])
        table = loop.report().labels
        assert np.isnan(table["roc_auc"][2]) and table["roc_auc"][0] >= 0
        loop.answer(0, "sport", 1)
        loop.answer(1, "sport", 0)
        assert loop.fit().model.predict_proba(TEXTS).shape == (len(TEXTS), 3)
    with pytest.raises(ValueError, match="must begin with"):
        make(tmp_path)
    with LabelingLoop.open(tmp_path, None, TEXTS) as loop:
        assert loop.label_names == more and loop.labels.n_cells == 10


@pytest.mark.parametrize(
    ("options", "error", "sentence"),
    [
        ({"label_names": []}, ValueError, "accepts one name or more; got none."),
        ({"label_names": "war"}, TypeError, "a sequence of names; got the string 'war"),
        ({"label_names": ["a", "a"]}, ValueError, "must all differ; got 'a' twice."),
        ({"label_names": ["a", 3]}, TypeError, "names that are text; got 3."),
        ({"sample_ids": IDS[:5]}, ValueError, "the 6 rows of X; got 5 ids."),
        ({"sample_ids": ["a"] * 6}, ValueError, "got 'a' for rows 0 and 5."),
        ({"sample_ids": [1.5] * 6}, TypeError, "got 1.5 for row 0."),
        ({"strategy": "best"}, ValueError, "`strategy`"),
        ({"on_disagreement": "vote"}, ValueError, "and \"raise\"; got 'vote'."),
        ({"random_state": -1}, ValueError, "None or an integer from 0, .* got -1."),
    ],
)
def test_what_cannot_be_makes_no_folder(tmp_path, options, error, sentence):
    with pytest.raises(error, match=sentence):
        make(tmp_path / "new", **options)
    assert not (tmp_path / "new").exists()


def test_open_goes_on_with_the_settings_of_the_folder(tmp_path):
    options = {"on_disagreement": "last", "strategy": {"random": 1.0}}
    with_answers(tmp_path, **options, random_state=7)
    with LabelingLoop.open(tmp_path, None, TEXTS) as loop:
        assert loop.label_names == NAMES
        assert (loop.on_disagreement, loop.strategy) == ("last", {"random": 1.0})
        assert loop.random_state == 7
        assert loop.labels.n_cells == 2
    with pytest.raises(FileNotFoundError, match="must be that of a labeling loop; "):
        LabelingLoop.open(tmp_path / "none", None, TEXTS)
    assert not (tmp_path / "none").exists()


def test_a_drawn_random_state_is_kept(tmp_path):
    with make(tmp_path, random_state=None) as loop:
        drawn = loop.random_state
    with make(tmp_path, random_state=None) as loop:
        assert loop.random_state == drawn


def test_folders_that_are_no_loops(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError, match="file is a file."):
        make(tmp_path / "file")
    with pytest.raises(NotADirectoryError, match="file is a file."):
        make(tmp_path / "file" / "under")
    for text, sentence in [
        ("{", "is not the settings file of a labeling loop; nothing was changed."),
        ("[]", "is not the settings file"),
        ('{"format": 99}', "is of format 99, and this version reads 1; nothing was"),
    ]:
        (tmp_path / "settings.json").write_text(text)
        with pytest.raises(ValueError, match=sentence):
            make(tmp_path)
        assert (tmp_path / "settings.json").read_text() == text


def test_answers_without_settings_are_refused_unless_there_are_none(tmp_path):
    before = with_answers(tmp_path)
    (tmp_path / "settings.json").unlink()
    with pytest.raises(ValueError, match="answers.jsonl without settings.json: which"):
        make(tmp_path)
    assert (tmp_path / "answers.jsonl").read_bytes() == before["answers.jsonl"]
    # A crash while it was made.
    (tmp_path / "answers.jsonl").write_bytes(b"")
    (tmp_path / "answers.check").write_bytes(b"")
    with make(tmp_path) as loop:
        assert loop.answers() == []


def test_answers_about_cells_that_the_loop_lacks_are_refused(tmp_path):
    with_answers(tmp_path)
    settings = json.loads((tmp_path / "settings.json").read_text())
    settings["label_names"] = ["peace", "crime"]
    (tmp_path / "settings.json").write_text(json.dumps(settings))
    before = content(tmp_path)
    with pytest.raises(ValueError, match="line 1, speaks of sample 0, label 'war', wh"):
        make(tmp_path, label_names=["peace", "crime"], on_disagreement="last")
    assert content(tmp_path) == before


def test_a_full_disk_while_a_folder_is_made(tmp_path, monkeypatch):
    class FullDisk:
        def fsync(self, *_):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        def __getattr__(self, name):
            return getattr(os, name)

    with monkeypatch.context() as patch:
        patch.setattr(_files, "os", FullDisk())
        with pytest.raises(OSError, match="No space left on device"):
            make(tmp_path / "new")
    with make(tmp_path / "new") as loop:  # what was begun is gone on with
        loop.answer(0, "war", 1)


def test_a_disk_that_is_full_already_does_not_keep_anybody_from_reading(
    tmp_path, monkeypatch
):
    with_answers(tmp_path)

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(_settings, "write_atomically", full)
    with make(tmp_path) as loop:
        assert loop.labels.n_cells == 2
        assert len(loop.next_batch()) == 3


@pytest.mark.skipif(os.name == "nt", reason="no folder is synced there")
def test_a_share_on_a_network_that_syncs_no_folders(tmp_path, monkeypatch):
    class Share:
        number = errno.EINVAL

        def fsync(self, descriptor):
            if stat.S_ISDIR(os.fstat(descriptor).st_mode):
                raise OSError(self.number, os.strerror(self.number))
            os.fsync(descriptor)

        def __getattr__(self, name):
            return getattr(os, name)

    monkeypatch.setattr(_files, "os", Share())
    with make(tmp_path / "new") as loop:
        loop.answer(0, "war", 1)
    Share.number = errno.EIO
    with pytest.raises(OSError, match="Input/output error"):
        make(tmp_path / "newer")


def test_a_place_where_nothing_can_be_locked(tmp_path, monkeypatch):
    def refuse(_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(_lock, "_lock", refuse)
    with pytest.raises(
        OSError, match="where files can be locked, on a local disk; got"
    ):
        make(tmp_path)


def test_without_fcntl_a_byte_is_locked_as_on_windows(tmp_path, monkeypatch):
    class Msvcrt:
        LK_NBLCK = 2
        held = set()

        @classmethod
        def locking(cls, descriptor, mode, n_bytes):
            at = os.lseek(descriptor, 0, os.SEEK_CUR)
            here = os.fstat(descriptor).st_ino, at
            assert (mode, n_bytes) == (cls.LK_NBLCK, 1) and at > 1000
            if here in cls.held:
                raise OSError(errno.EACCES, os.strerror(errno.EACCES))
            cls.held.add(here)

    monkeypatch.setitem(sys.modules, "fcntl", None)
    monkeypatch.setitem(sys.modules, "msvcrt", Msvcrt)
    with make(tmp_path) as loop:
        with pytest.raises(FolderInUseError, match=rf"\(process {os.getpid()}\); clo"):
            make(tmp_path)
        loop.answer(0, "war", 1)
    assert (tmp_path / "lock").read_text() == f"{os.getpid()}\n"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no processes are forked here")
@pytest.mark.parametrize("forks", [False, True])
def test_the_lock_of_a_dead_process_is_no_lock(tmp_path, forks):
    """Also where a process that it forked, as a worker of a pool, lives longer."""
    code = (
        "import os, signal, sys\n"
        "from sklearn_masked.annotation import LabelingLoop\n"
        "loop = LabelingLoop(None, sys.argv[3:], folder=sys.argv[1], "
        "label_names=['war', 'crime'])\n"
        "loop.answer(0, 'war', 1)\n"
        "if sys.argv[2] == 'False' or os.fork() == 0:\n"
        "    print(os.getpid(), flush=True)\n"
        "signal.pause()\n"
    )
    command = [sys.executable, "-W", "ignore", "-c", code, str(tmp_path), str(forks)]
    with subprocess.Popen([*command, *TEXTS], stdout=subprocess.PIPE) as process:
        last = int(process.stdout.readline())
        with pytest.raises(FolderInUseError, match=rf"\(process {process.pid}\); clos"):
            make(tmp_path)
        process.send_signal(signal.SIGKILL)
    with make(tmp_path) as loop:
        assert loop.labels.n_cells == 1
    if forks:
        assert last != process.pid
        os.kill(last, signal.SIGKILL)  # it was alive until now


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no processes are forked here")
def test_a_forked_process_keeps_no_folder_and_frees_none(tmp_path):
    loop = make(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if not child:
        del loop  # as at the end of a process
        os.kill(os.getpid(), signal.SIGSTOP)
        os._exit(0)
    try:
        os.waitpid(child, os.WUNTRACED)  # it has come to the stop
        with pytest.raises(FolderInUseError):
            make(tmp_path)
        loop.close()
        make(tmp_path).close()
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def test_a_loop_that_is_thrown_away_holds_no_lock(tmp_path):
    loop = make(tmp_path)
    loop.answer(0, "war", 1)
    del loop
    with make(tmp_path) as loop:
        assert loop.labels.n_cells == 1
        loop.close()  # twice is fine
