"""Exports of annotation tools in."""

from collections.abc import Sequence
from typing import Any, Literal

from ._annotations import Annotations
from ._columns import Columns
from ._decode import Place, opened, source_name
from ._form import checked_reading
from ._formats import form_of


def read_annotations(
    source: Any,
    format: Literal["csv", "jsonl", "label_studio", "prodigy", "doccano", "argilla"],
    *,
    unselected: Literal["unlabeled", "negative"] | None = None,
    options: Sequence[Any] | None = None,
    confirmed: Literal[True] | Sequence[Any] | None = None,
    question: str | None = None,
    id_field: str | None = None,
    annotator: str | None = None,
    columns: dict[str, Any] | None = None,
    delimiter: str | None = None,
    values: dict[str, Literal[1, 0] | None] | None = None,
) -> Annotations:
    r"""Read the export of an annotation tool.

    A cell becomes positive or negative because a person said so, and for no other
    reason: predictions, suggestions, drafts, skips, and what nobody reviewed are
    unlabeled. Where the file leaves open what a person said, reading it stops, and the
    message names the argument that settles it.

    Parameters
    ----------
    source : path or open file
        Text in UTF-8, with or without a byte order mark. It is read record by record:
        memory grows with the answers, not with the texts of the file.
    format : {"csv", "jsonl", "label_studio", "prodigy", "doccano", "argilla"}
        Who wrote it.

        - "csv", "jsonl": the long form, a line a decision, with `sample`, `label` and
          `value` ("yes" or 1, "no" or 0, "skip"; empty or null is not answered), and
          `annotator`, `timestamp` (ISO 8601 or seconds, UTC where it names no zone)
          and `weight` if known.
        - "label_studio": JSON or JSON_MIN, of a project with Choices.
        - "prodigy": JSON lines of ``db-out``, binary tasks or choices.
        - "doccano": JSONL of a text classification project.
        - "argilla": records as JSON or JSON lines, version 1 or 2.

        But for the first two, a record that has `asked_label` (and is of
        :func:`write_queries`) is a question about one label, answered yes or no; any
        other is a choice among labels.
    unselected : {"unlabeled", "negative"}, default=None
        What a label means that was on offer in a choice and was not selected, in
        records that a person submitted. "negative" only if annotators were told to
        select every label that applies. None refuses choices.
    options : sequence of str, default=None
        The labels that were on offer, needed by ``unselected="negative"`` where the
        records do not name them (all but Prodigy's). Others are refused.
    confirmed : True or sequence of sample ids, default=None
        For doccano, which of the examples were reviewed, where the file does not say:
        True if all were. For Argilla, True if all responses were submitted.
    question : str, default=None
        Which question to read where there are several: for Label Studio the name of
        the Choices tag, for Argilla that of the question.
    id_field : str, default=None
        Where the sample's id stands, with dots for what is nested, as in "meta.id".
        None for "sample_id", which stands in `data` for Label Studio and in
        `metadata` for Argilla.
    annotator : str, default=None
        Who answered, where the records do not say.
    columns : dict, default=None
        For the long form, names of columns under "sample", "label", "value",
        "annotator", "timestamp" and "weight", those that differ from these.
    delimiter : str, default=None
        For CSV, what separates fields: a comma, if None.
    values : dict of str to {1, 0, None}, default=None
        For the long form, what other words under `value` mean, as in
        ``{"ja": 1, "nein": 0, "x": 1}``; None is a skip. In any case.

    Returns
    -------
    Annotations
        The answers; :meth:`Annotations.to_labels` joins them with the samples.

    Raises
    ------
    ValueError
        If a record is malformed, cut off, of another form, or ambiguous. The message
        names the file and the line, or the number of the record in a JSON array.
    TypeError
        If an argument is of another type.

    See Also
    --------
    write_annotations : The way back.
    write_queries : Cells out, for annotators to answer.

    Examples
    --------
    >>> import io
    >>> from sklearn_masked.annotation import read_annotations
    >>> export = io.StringIO(
    ...     '{"text": "Cup final", "sample_id": 7, "label": "sports", '
    ...     '"answer": "accept"}\n'
    ...     '{"text": "Cup final", "sample_id": 7, "label": "war", '
    ...     '"answer": "ignore"}\n'
    ... )
    >>> answers = read_annotations(export, "prodigy")
    >>> answers.to_labels([6, 7], ["sports", "war"]).to_dense()
    array([[nan, nan],
           [ 1., nan]])
    """
    form = form_of(format)
    given = {
        "unselected": unselected,
        "options": options,
        "confirmed": confirmed,
        "question": question,
        "id_field": id_field,
        "annotator": annotator,
        "columns": columns,
        "delimiter": delimiter,
        "values": values,
    }
    reading = checked_reading(form, format, given)
    place = Place(source_name(source))
    filled = Columns()
    with opened(source) as file:
        form.read(file, place, filled, reading)
    return Annotations(filled.finish(place.name, place.unit))
