"""Read the texts that are to be labeled, and their ids, from any form of table."""

from typing import NamedTuple

from ._tables import decoded, read_table, suffix_of


class Pool(NamedTuple):
    """The texts, and how they are called.

    Parameters
    ----------
    texts : list of str
        One a sample.
    ids : list of str or None
        One a sample, if the file has them.
    """

    texts: list
    ids: list | None


def read_texts(
    path, text_column=None, id_column=None, *, encoding=None, delimiter=None
):
    """Read the texts of a file, and their ids if it has some.

    Parameters
    ----------
    path : Path
        A file of CSV, TSV (tabs between the columns), JSON (an array of objects), JSONL
        (an object a line), XLSX (its first sheet), Parquet or TXT (a text a line,
        blank lines passed over), by its suffix; text may be compressed, as .csv.gz.
    text_column, id_column : str, default=None
        Where the texts and ids are. By default "text"; and "id", if there is such a
        column. Lower and upper case are the same where only one column fits.
    encoding, delimiter : str, default=None
        See :func:`read_table`.

    Returns
    -------
    Pool

    Raises
    ------
    ValueError
        If the file cannot be read that way; with the line.
    OSError
        If it cannot be opened.
    """
    if suffix_of(path) == ".txt":
        if text_column or id_column:
            raise ValueError(
                f"{path} has a text a line, and no columns; --text-column and "
                "--id-column are for files with columns."
            )
        lines = enumerate(decoded(path, encoding).split("\n"), 1)
        lines = [(n, None, text.rstrip("\r")) for n, text in lines if text.strip()]
        return _checked(path, lines, "line")
    table = read_table(path, encoding, delimiter, wanted=text_column or "text")
    return _checked(path, _picked(path, table, text_column, id_column), table.unit)


def _picked(path, table, text_column, id_column):
    """Return (line, id or None, text) of each record."""
    columns = table.columns
    text_column = _text_column(path, columns, text_column)
    if id_column is None:
        id_column = _column(columns, "id")
        id_column = None if id_column == text_column else id_column
    else:
        id_column = _named_column(path, columns, id_column, "--id-column")
    picked = []
    for line, record in table.records:
        text = record.get(text_column)
        if not isinstance(text, str):
            raise ValueError(
                f"{path}, {table.unit} {line}: {text_column!r} must be text; got "
                f"{text!r}."
            )
        one = None
        if id_column is not None:
            one = _id(f"{path}, {table.unit} {line}", record, id_column)
        picked.append((line, one, text))
    return picked


def _column(columns, name):
    """Return the column of a name, whatever its case if only one fits; or None."""
    if name in columns:
        return name
    fitting = [one for one in columns if one.strip().lower() == name.strip().lower()]
    return fitting[0] if len(fitting) == 1 else None


def _text_column(path, columns, given):
    if given is not None:
        return _named_column(path, columns, given, "--text-column")
    if (found := _column(columns, "text")) is not None:
        return found
    hint = ""
    if len(columns) == 1 and any(mark in columns[0] for mark in ",;\t|"):
        hint = " If another mark separates the columns, --delimiter names it."
    elif len(columns) == 1:
        # It may as well be a text, of a file without a header.
        hint = (
            " If that is the name of the column, pass it; if it is a text, put a line "
            "with the word text above it."
        )
    raise ValueError(
        f"{path} must have a column 'text', or --text-column NAME must say which one "
        f"holds the texts; it has {_shown(columns)}.{hint}"
    )


def _named_column(path, columns, name, option):
    found = _column(columns, name)
    if found is None:
        raise ValueError(
            f"{option} must be a column of {path}, which has {_shown(columns)}; got "
            f"{name!r}."
        )
    return found


def _shown(columns):
    if not columns:
        return "none"
    more = f" and {len(columns) - 8} more" if len(columns) > 8 else ""
    names = (name if len(name) <= 60 else name[:57] + "..." for name in columns[:8])
    return ", ".join(map(repr, names)) + more


def _id(where, record, id_column):
    one = record.get(id_column)
    if isinstance(one, int) and not isinstance(one, bool):
        one = str(one)
    if not isinstance(one, str) or not one:
        raise ValueError(
            f"{where}: {id_column!r} must be an id; got {one!r}. Mend "
            "it, or name another column by --id-column."
        )
    return one


def _checked(path, picked, unit):
    """Return a pool of (line, id, text), ids all different."""
    first = {}
    for line, one, _ in picked:
        if one is not None and first.setdefault(one, line) != line:
            raise ValueError(
                f"{path}, {unit} {line}: ids must all differ; {one!r} stands on {unit} "
                f"{first[one]} already. Mend it, or name another column by "
                "--id-column."
            )
    ids = [one for _, one, _ in picked] if first else None
    texts = [_sound(text) for _, _, text in picked]
    if not any(text.strip() for text in texts):
        raise ValueError(f"{path} has no text; one or more are expected.")
    return Pool(texts, ids)


def _sound(text):
    """Return a text without halves of characters, which no file can hold."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
