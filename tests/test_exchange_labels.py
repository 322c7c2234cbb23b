"""Answers to labels: joined by id, settled by a stated policy, never guessed."""

import io
import json
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sklearn_masked.annotation import Annotations, read_annotations
from sklearn_masked.labels import MaskedLabels

NAN = np.nan


def read(*rows, fields="sample,label,value,annotator,timestamp,weight"):
    """Return answers of CSV whose rows may lack the last fields."""
    n = fields.count(",")
    text = "\n".join(row + "," * (n - row.count(",")) for row in rows)
    return read_annotations(io.StringIO(f"{fields}\n{text}\n"), "csv")


def raises(message, error=ValueError):
    return pytest.raises(error, match=f"^{re.escape(message)}$")


def test_join_is_by_id_and_never_by_order():
    answers = read("b,war,1", "a,war,0", "a,law,1")
    labels = answers.to_labels(["c", "a", "b"], ["law", "war"])
    assert isinstance(labels, MaskedLabels)
    assert labels.label_names.tolist() == ["law", "war"]
    np.testing.assert_array_equal(labels.to_dense(), [[NAN] * 2, [1, 0], [NAN, 1]])
    other = answers.to_labels(["a", "b", "c"], ["war", "law"])
    np.testing.assert_array_equal(other.to_dense(), [[0, 1], [1, NAN], [NAN] * 2])


def test_ids_and_names_are_compared_as_text():
    answers = read("17,2026,1", "018,war,0")
    labels = answers.to_labels(np.array([17, 18]).tolist() + ["018"], [2026, "war"])
    assert labels.label_names.tolist() == [2026, "war"]
    np.testing.assert_array_equal(labels.to_dense(), [[1, NAN], [NAN] * 2, [NAN, 0]])


def test_names_are_those_that_occur_if_none_are_given():
    answers = read("a,war,1", "a,Law,0")
    assert answers.to_labels(["a"]).label_names.tolist() == ["Law", "war"]
    with raises(
        "`label_names` is needed: no label occurs in these answers, so that there are "
        "no columns."
    ):
        read("a,,skip").to_labels(["a"])
    assert read("a,,skip").to_labels(["a"], ["war"]).n_cells == 0


def test_skips_count_for_nothing_and_take_nothing_back():
    answers = read("a,war,1,anna", "a,war,skip,ben", "a,war,skip,anna", "b,war,skip")
    for policy in ("raise", "last", "majority"):
        labels = answers.to_labels(["a", "b"], on_conflict=policy)
        np.testing.assert_array_equal(labels.to_dense(), [[1], [NAN]])


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (
            ("a,war,1,anna", "a,war,0,ben"),
            "several answers: yes by 'anna' (line 2) and no by 'ben' (line 3)",
        ),
        (
            ("a,war,1,anna", "b,war,0,ben", "a,war,0,anna"),
            "several answers by one annotator: yes by 'anna' (line 2) and no by 'anna' "
            "(line 4)",
        ),
        (
            ("a,war,0,anna", "a,war,0,anna"),
            "several answers by one annotator: no by 'anna' (line 2) and no by 'anna' "
            "(line 3)",
        ),
        (
            ("a,war,1", "a,war,1"),
            "several answers: yes (line 2) and yes (line 3)",
        ),
        (
            ("a,war,1,anna", "a,war,1,ben", "a,war,0,carl"),
            "several answers: yes by 'ben' (line 3) and no by 'carl' (line 4)",
        ),
    ],
    ids=["differ", "changed", "duplicated", "nameless", "third"],
)
def test_conflicts_and_duplicates_are_refused(rows, said):
    with raises(
        f"<source>: sample 'a', label 'war' has {said}. Pass "
        'on_conflict="last" or on_conflict="majority" to settle them, or take out what '
        "stands there twice."
    ):
        read(*rows).to_labels(["a", "b"])


def test_different_annotators_who_agree_are_no_conflict():
    answers = read("a,war,1,anna", "a,war,1,ben", "a,law,0,ben", "a,war,1,carl")
    labels = answers.to_labels(["a"])
    np.testing.assert_array_equal(labels.to_dense(), [[0, 1]])
    assert labels.cells().weights is None
    assert len(answers.disagreements()) == 0


@pytest.mark.parametrize(
    ("rows", "last", "majority"),
    [
        (("a,war,1,anna", "a,war,0,ben"), 0, NAN),
        (("a,war,1,anna", "a,war,0,ben", "a,war,1,carl"), 1, 1),
        # Someone's second answer replaces the first, and is no second vote.
        (("a,war,1,anna", "a,war,1,anna", "a,war,0,ben"), 0, NAN),
        (("a,war,1,anna", "a,war,0,ben", "a,war,0,anna"), 0, 0),
        # The nameless are each one of their own.
        (("a,war,1", "a,war,1", "a,war,0,ben"), 0, 1),
        # By time, not by order.
        (("a,war,1,anna,2026-03-02", "a,war,0,ben,2026-03-01"), 1, NAN),
        (
            (
                "a,war,1,anna,2026-03-02",
                "a,war,0,anna,2026-03-01",
                "a,war,1,ben,2026-03-01",
            ),
            1,
            1,
        ),
        # Only times of one cell are compared.
        (("a,law,1,anna,2026-03-02", "a,war,1,anna", "a,war,0,anna"), 0, 0),
    ],
)
def test_policies(rows, last, majority):
    answers = read(*rows)
    for policy, expected in [("last", last), ("majority", majority)]:
        labels = answers.to_labels(["b", "a"], ["war", "law"], on_conflict=policy)
        np.testing.assert_array_equal(labels.to_dense()[1, 0], expected)


def test_last_of_answers_with_and_without_a_time_is_refused():
    answers = read("a,war,1,anna,2026-03-02", "a,war,0,ben")
    with raises(
        "<source>, line 3: sample 'a', label 'war' has several answers, some with a "
        "time and this one without, so that there is no telling which is the last; "
        "pass annotations.without('timestamps') to go by their order."
    ):
        answers.to_labels(["a"], on_conflict="last")
    labels = answers.without("timestamps").to_labels(["a"], on_conflict="last")
    assert labels.to_dense().tolist() == [[0]]


def test_majority_counts_weights():
    answers = read("a,war,1,anna,,2", "a,war,0,ben,,0.5", "a,war,0,carl,,0.5")
    labels = answers.to_labels(["a"], on_conflict="majority")
    assert labels.to_dense().tolist() == [[1]]
    assert labels.cells().weights.tolist() == [2]


def test_unknown_samples():
    answers = read("a,war,1", "b,war,0", "c,war,0")
    with raises(
        "<source>, line 3: sample 'b' (and 1 more) is not in `sample_ids`. Add it "
        'there, or pass unknown_samples="drop" if X holds a part of the samples.'
    ):
        answers.to_labels(["a"])
    labels = answers.to_labels(["a", "z"], unknown_samples="drop")
    np.testing.assert_array_equal(labels.to_dense(), [[1], [NAN]])
    with raises("`unknown_samples` accepts one of ('raise', 'drop'); got 'ignore'."):
        answers.to_labels(["a"], unknown_samples="ignore")


def test_unknown_samples_of_answers_without_a_file():
    labels = MaskedLabels.from_dense(np.array([[1]]), label_names=["war"])
    answers = Annotations.from_labels(labels, ["a"])
    with pytest.raises(ValueError, match="^sample 'a' is not in `sample_ids`. Add it"):
        answers.to_labels(["b"])
    twice = Annotations.concat(answers, answers)
    message = "^sample 'a', label 'war' has several answers: yes and yes. Pass "
    with pytest.raises(ValueError, match=message):
        twice.to_labels(["a"])


def test_concat_keeps_all_that_is_known_of_an_answer():
    first = read("a,war,1,anna,2026-03-02,2", "a,law,,", "b,,skip,anna")
    second = read("c,law,no,,,", "c,war,skip,ben")
    both = Annotations.concat(first, second)
    assert repr(both) == (
        "Annotations(5 records: 1 yes, 1 no, 2 skipped, 1 not reviewed)"
    )
    assert both.to_records() == first.to_records() + [
        {**record, "weight": 1} for record in second.to_records()
    ]
    assert both.source is None and both.numbers is None


def test_unknown_labels():
    answers = read("a,war,1", "a,War,0", "x,wars,1")
    with raises(
        "<source>, line 3: label 'War' (and 1 more) is not in `label_names`. Add it "
        "there, or mend its name in the file."
    ):
        answers.to_labels(["a", "x"], ["war"])
    # A label of a sample that is not asked for does not matter.
    labels = answers.to_labels(["a"], ["war", "War"], unknown_samples="drop")
    assert labels.to_dense().tolist() == [[1, 0]]


def test_place_in_an_array_is_the_number_of_the_record():
    tasks = [
        {
            "data": {"sample_id": i, "asked_label": "war"},
            "annotations": [
                {"result": [{"from_name": "answer", "type": "choices", "value": v}]}
            ],
        }
        for i, v in enumerate([{"choices": ["yes"]}, {"choices": ["no"]}])
    ]
    answers = read_annotations(io.StringIO(json.dumps(tasks)), "label_studio")
    with raises(
        "<source>, record 2: sample '1' is not in `sample_ids`. Add it there, or pass "
        'unknown_samples="drop" if X holds a part of the samples.'
    ):
        answers.to_labels([0])


def test_arguments():
    answers = read("a,war,1")
    with raises("`sample_ids` must all differ as text; got '1' twice."):
        answers.to_labels(["1", 1])
    with raises("`label_names` must all differ as text; got 'war' twice."):
        answers.to_labels(["a"], ["war", "war"])
    with raises(
        "`sample_ids` accepts text and integers; got 1.5 at position 1.", TypeError
    ):
        answers.to_labels(["a", 1.5])
    with raises(
        "`sample_ids` accepts a sequence of ids; got the string 'a'.", TypeError
    ):
        answers.to_labels("a")
    with raises(
        "`on_conflict` accepts one of ('raise', 'last', 'majority'); got 'first'."
    ):
        answers.to_labels(["a"], on_conflict="first")
    with raises(
        "`without` accepts names among ('annotators', 'timestamps', 'weights', "
        "'skips'); got 'ids'."
    ):
        answers.without("ids")


# The law: whatever stands in a file, a cell is negative because someone said so.

LABELS = ["war", "law", "art"]
some_labels = st.lists(st.sampled_from(LABELS), unique=True)
verdicts = st.sampled_from(["submitted", "skipped", "untouched"])
choices = st.lists(st.tuples(verdicts, some_labels, some_labels), max_size=8)


def as_label_studio(i, verdict, chosen, guessed):
    def results(labels):
        value = {"choices": labels}
        return [{"from_name": "topic", "type": "choices", "value": value}]

    annotation = {
        "result": results(chosen) if chosen else [],
        "was_cancelled": verdict == "skipped",
    }
    return {
        "data": {"sample_id": i},
        "annotations": [] if verdict == "untouched" else [annotation],
        "predictions": [{"result": results(guessed)}],
        "drafts": [{"result": results(guessed)}],
    }


def as_prodigy(i, verdict, chosen, guessed):
    task = {"sample_id": i, "options": [{"id": name} for name in LABELS]}
    if verdict == "untouched":
        return {**task, "accept": guessed}
    answer = "accept" if verdict == "submitted" else ["reject", "ignore"][i % 2]
    return {**task, "accept": chosen, "answer": answer}


def as_doccano(i, verdict, chosen, guessed):
    done = verdict == "submitted"
    label = chosen if done else guessed
    return {"sample_id": i, "label": label, "is_confirmed": done}


def as_argilla_1(i, verdict, chosen, guessed):
    values = {"topic": {"value": chosen}}
    draft = {"user_id": "v", "values": {"topic": {"value": guessed}}, "status": "draft"}
    status = {"submitted": "submitted", "skipped": "discarded"}.get(verdict)
    mine = [{"user_id": "u", "values": values, "status": status}] if status else []
    return {
        "metadata": {"sample_id": i},
        "fields": {},
        "responses": [draft, *mine],
        "suggestions": [{"question_name": "topic", "value": guessed}],
    }


def as_argilla_2(i, verdict, chosen, guessed):
    status = {"submitted": "submitted", "skipped": "discarded"}.get(verdict, "draft")
    response = {"value": chosen, "user_id": "u", "status": status}
    return {
        "metadata": {"sample_id": i},
        "fields": {},
        "responses": {"topic": [response]},
        "suggestions": {"topic": {"value": guessed}},
    }


FORMS = {
    "label_studio": as_label_studio,
    "prodigy": as_prodigy,
    "doccano": as_doccano,
    "argilla_1": as_argilla_1,
    "argilla_2": as_argilla_2,
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("unselected", ["unlabeled", "negative"])
@settings(max_examples=40, deadline=None)
@given(choices)
def test_law_unselected_and_unreviewed_cells_are_negative_only_if_asked(
    form, unselected, samples
):
    expected = np.full((len(samples), 3), NAN)
    for i, (verdict, chosen, _) in enumerate(samples):
        if verdict == "submitted":
            if unselected == "negative":
                expected[i] = 0
            expected[i, [LABELS.index(name) for name in chosen]] = 1
    records = [FORMS[form](i, *sample) for i, sample in enumerate(samples)]
    answers = read_annotations(
        io.StringIO(json.dumps(records)),
        form.removesuffix("_1").removesuffix("_2"),
        unselected=unselected,
        **({} if form == "prodigy" else {"options": LABELS}),
    )
    labels = answers.to_labels(range(len(samples)), LABELS) if samples else None
    if samples:
        np.testing.assert_array_equal(labels.to_dense(), expected)
        assert answers.n_records == len(samples)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from("ab"),
            st.sampled_from(LABELS[:2]),
            st.sampled_from([1, 0, "skip"]),
            st.sampled_from(["", "anna", "ben"]),
            st.integers(1, 3),
        ),
        max_size=12,
    )
)
def test_policies_agree_with_a_slow_reading(rows):
    answers = read(*(",".join(map(str, (*row[:4], "", row[4]))) for row in rows))
    expected = {
        policy: np.full((2, 2), NAN) for policy in ("raise", "last", "majority")
    }
    refused = False
    for i, sample in enumerate("ab"):
        for j, label in enumerate(LABELS[:2]):
            cell = [r[2:] for r in rows if r[:2] == (sample, label) and r[2] != "skip"]
            if not cell:
                continue
            named = [who for _, who, _ in cell]
            refused |= len({value for value, _, _ in cell}) > 1
            refused |= len(set(named)) < len(named)
            expected["raise"][i, j] = expected["last"][i, j] = cell[-1][0]
            votes = {}
            for k, (value, who, weight) in enumerate(cell):
                votes[who or k] = value, weight
            sums = [sum(w for v, w in votes.values() if v == value) for value in (0, 1)]
            if sums[0] != sums[1]:
                expected["majority"][i, j] = sums[1] > sums[0]
    for policy in expected:
        if policy == "raise" and refused:
            with pytest.raises(ValueError, match="has several answers"):
                answers.to_labels("a b".split(), LABELS[:2])
        else:
            labels = answers.to_labels(["a", "b"], LABELS[:2], on_conflict=policy)
            np.testing.assert_array_equal(labels.to_dense(), expected[policy])
