"""Doccano: JSON lines of text classification in, examples out.

What its exporter writes. A line has `id`, doccano's own number, `text`, `label` (the
sorted list of the categories; in some projects `cats`, formerly `labels`), `Comments`,
and every field that was imported beside the text. It does not say whether anyone
looked: an example with an empty list was reviewed and found to have no label, or was
never opened. Only the export of approved documents, or a field like `is_confirmed` or
`annotation_approver` (in older exports: who approved, or null), tells them apart.
Where each annotator works alone, there is a file for each.

An example that asks about one label has `asked_label`, and its categories are "yes"
and "no": there an empty list is no answer.
"""

from ._choice import (
    ANSWERS,
    ASKED,
    asked_cell,
    choice_cells,
    chosen_names,
    nested,
    question_text,
)
from ._decode import iter_records as iter_json
from ._decode import write_line
from ._entries import ID_FIELD, record_id, short
from ._form import Form
from ._rows import iter_records

_LISTS = ("label", "labels", "cats")
_CONFIRMED = ("is_confirmed", "confirmed")
_APPROVER = "annotation_approver"


def _read(file, place, columns, reading):
    field = reading.id_field or "sample_id"
    unseen = set(reading.confirmed) if type(reading.confirmed) is frozenset else set()
    for example in iter_json(file, place):
        columns.n_records += 1
        sample = _sample(example, field, place)
        unseen.discard(sample)
        names = _names(example, place)
        cells = _cells(example, sample, names, place, reading)
        if cells is None:
            columns.n_not_reviewed += 1
            continue
        columns.answer(sample, cells, place.number, reading.annotator)
    if unseen:
        raise ValueError(
            f"{place.name}: `confirmed` accepts ids of samples that are in the file; "
            f"got {min(unseen)!r}, which is not."
        )


def _cells(example, sample, names, place, reading):
    """Return the cells that an example decides, None if nobody reviewed it."""
    confirmed = _confirmed(example, sample, place, reading)
    asked = example.get(ASKED)
    if asked is not None:
        # It was sent out without an answer: one that is there is a person's.
        if not names or confirmed is False:
            return None
        return asked_cell(asked, names, place)
    if confirmed is None:
        raise ValueError(
            f"{place()}: expected 'is_confirmed' or 'annotation_approver'; got "
            "neither, so that there is no telling whether anyone reviewed the example "
            "or its labels were imported. Pass confirmed=True if all examples of the "
            "file were reviewed (as in the export of approved documents alone), or "
            "confirmed= the ids of those that were."
        )
    if not confirmed:
        return None
    return choice_cells(names, reading.options, reading.unselected, place)


def _sample(example, field, place):
    if field == "sample_id" and field not in example and "id" in example:
        raise ValueError(
            f"{place()}: expected the sample's id in 'sample_id'; got none, and 'id' "
            "is doccano's own number. Pass id_field= to name the field of yours."
        )
    return record_id(nested(example, field), field, place, ID_FIELD)


def _names(example, place):
    found = [name for name in _LISTS if name in example]
    if len(found) != 1 or "answer" in example:
        if "annotations" in example:
            raise ValueError(
                f"{place()}: expected names of labels in 'label'; got 'annotations' "
                "of numbered labels. Export as JSONL with the labels' text."
            )
        raise ValueError(
            f"{place()}: expected an example of doccano with a list in 'label'; got "
            f"{short(list(example))}."
        )
    labels = example[found[0]]
    if type(labels) is not list:
        raise ValueError(
            f"{place()}: expected a list of labels in {found[0]!r}; got "
            f"{short(labels)}."
        )
    if any(type(label) is not str for label in labels):
        raise ValueError(
            f"{place()}: expected names of labels in {found[0]!r}; got "
            f"{short(labels)}, as in projects for spans or numbered labels."
        )
    return chosen_names(labels, repr(found[0]), place)


def _confirmed(example, sample, place, reading):
    """Return whether an example was reviewed; None if nothing says."""
    said = None
    for name in _CONFIRMED:
        if name in example:
            said = example[name]
            if type(said) is not bool:
                raise ValueError(
                    f"{place()}: expected true or false in {name!r}; got {short(said)}."
                )
            break
    if reading.confirmed is None:
        if said is None and _APPROVER in example:
            return example[_APPROVER] is not None
        return said
    vouched = reading.confirmed is True or sample in reading.confirmed
    if said is not None and said != vouched:
        raise ValueError(
            f"{place()}: expected {name!r} to agree with `confirmed`; got "
            f"{str(said).lower()} for sample {sample!r}. Leave out `confirmed` to go "
            "by the file."
        )
    return vouched


def _write(annotations, file, texts):
    names = {value: name for name, value in ANSWERS.items()}
    for record in iter_records(annotations):
        sample, label = record["sample"], record["label"]
        text = texts and texts[sample]
        write_line(file, _example(sample, label, text, [names[record["value"]]]))


def _write_queries(cells, file):
    cells = list(cells)
    # doccano reads a file into one table. A field that some examples lack, or where
    # it is null, becomes NaN there, and its database refuses the whole file.
    has_proba = all("probability" in cell for cell in cells)
    for cell in cells:
        example = _example(cell["sample"], cell["label"], cell.get("text"), [])
        if has_proba:
            example["probability"] = round(cell["probability"], 3)
        write_line(file, example)


def _example(sample, label, text, chosen):
    question = question_text(label)
    return {
        "text": question if text is None else f"{question}\n\n{text}",
        "label": chosen,
        "sample_id": sample,
        ASKED: label,
    }


FORM = Form(
    _read,
    _write,
    _write_queries,
    accepts=frozenset({"unselected", "options", "confirmed", "id_field", "annotator"}),
    lacks=frozenset({"annotators", "timestamps", "weights", "skips"}),
)
