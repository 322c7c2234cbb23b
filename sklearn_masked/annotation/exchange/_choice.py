"""What a choice among labels says, and what the labels not chosen mean."""

from ._entries import record_name, short

SKIP_ALL = ((None, -1),)
# What the cells that we send say in the forms of choice: yes or no about one label.
ASKED = "asked_label"
YES, NO = "yes", "no"
ANSWERS = {YES: 1, NO: 0}
QUESTION = "answer"


class Question:
    """Which of the questions of a file is read: the one named, or the only one."""

    def __init__(self, name):
        self.given = name
        self.name = name
        self.others = {}

    def of(self, names, where):
        """Return the question to read in a record that has these."""
        for name in names:
            if self.name is None:
                self.name = name
            if name != self.name:
                self.others[name] = True
                if self.given is None:
                    raise ValueError(
                        f"{where()}: expected one question in the file; got "
                        f"{short(name)} beside {self.name!r}. Pass question= to choose "
                        "one."
                    )
            else:
                self.seen = True
        return self.name

    seen = False

    def check(self, where):
        """Raise if the file was read to its end and has other questions only."""
        if self.given is not None and self.others and not self.seen:
            raise ValueError(
                f"{where.name}: `question` accepts a question of the file, one of "
                f"{short(list(self.others))}; got {self.given!r}."
            )


def chosen_names(chosen, what, where):
    """Return the labels chosen, as text: a list of them, or one by itself."""
    if type(chosen) is not list:
        chosen = [chosen]
    names = [record_name(name, f"a label in {what}", where) for name in chosen]
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(
            f"{where()}: expected each label once in {what}; got {twice!r} twice."
        )
    return names


def choice_cells(names, offered, unselected, where):
    """Return the cells that a choice among several labels decides.

    Parameters
    ----------
    names : list of str
        The labels chosen.
    offered : list of str or None
        The labels on offer, if known.
    unselected : {"unlabeled", "negative"} or None
        What the others mean.
    where : callable
        Gives the words that say where this is.
    """
    if unselected is None:
        raise ValueError(
            f"{where()}: this is a choice among labels, and the file does not say "
            "what the labels mean that were not selected; pass "
            'unselected="negative" if the annotators selected every label that '
            'applies, or unselected="unlabeled" if nothing is known of the others.'
        )
    if offered is not None:
        for name in names:
            if name not in offered:
                raise ValueError(
                    f"{where()}: expected labels among those on offer, "
                    f"{short(list(offered))}; got {name!r}."
                )
    if unselected == "unlabeled":
        return [(name, 1) for name in names]
    if offered is None:
        raise ValueError(
            f'{where()}: unselected="negative" needs the labels that were on offer, '
            "and the records do not name them; pass options=[...]."
        )
    return [(name, int(name in names)) for name in offered]


def asked_cell(label, names, where):
    """Return the cell of a question about one label, answered yes or no."""
    label = record_name(label, f"a label in {ASKED!r}", where)
    if not names:
        return [(label, -1)]
    if len(names) > 1 or names[0] not in ANSWERS:
        raise ValueError(
            f"{where()}: expected {YES!r} or {NO!r} about {label!r}, the label in "
            f"{ASKED!r}; got {short(names)}."
        )
    return [(label, ANSWERS[names[0]])]


def question_text(label):
    """Return the question that stands above a text."""
    return f"Does {label!r} apply?"


def nested(record, path):
    """Return what stands in a record under names joined by dots, None if nothing."""
    if path in record:
        return record[path]
    for name in path.split("."):
        if type(record) is not dict:
            return None
        record = record.get(name)
    return record
