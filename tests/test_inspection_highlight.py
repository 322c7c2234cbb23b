"""Words are found where they stand, and nothing in a text can become HTML."""

from html.parser import HTMLParser

import numpy as np
import pytest
from sklearn.feature_extraction.text import (
    CountVectorizer,
    HashingVectorizer,
    TfidfTransformer,
    TfidfVectorizer,
)
from sklearn.pipeline import make_pipeline, make_union

from sklearn_masked import MaskedLabels, MaskedMultiLabelClassifier
from sklearn_masked.inspection import explain
from sklearn_masked.inspection._highlight import highlighted_units
from sklearn_masked.inspection._tokens import locate_terms, token_spans

TEXTS = [
    "The KEEPER saves a penalty, the keeper falls.",
    "Café près de l'ÉCOLE",
    "İstanbul'da  İKİ   maç\n\nvar",
    "c++ and c#: 3.5 times, not 35",
    "東京で試合",
    "",
    "   ",
    "this his island is",
]


def stems(text):
    return [word[:4] for word in text.split()]


def pieces(text):
    """Return pieces of one and two characters, the short ones first."""
    return [text[i : i + n] for n in (1, 2) for i in range(len(text) - n + 1)]


def backwards(text):
    return [word[::-1] for word in text.split()]


VECTORIZERS = {
    "words": CountVectorizer(),
    "accents": CountVectorizer(strip_accents="unicode"),
    "accents, ascii": CountVectorizer(strip_accents="ascii"),
    "cased": TfidfVectorizer(lowercase=False),
    "n-grams": CountVectorizer(ngram_range=(1, 3), stop_words=["the", "is"]),
    "pattern": CountVectorizer(token_pattern=r"(?u)\b\w{3}\b"),
    "group": CountVectorizer(token_pattern=r"(?u)\b(\w)\w*\b"),
    "characters": CountVectorizer(analyzer="char", ngram_range=(2, 3)),
    "single characters": CountVectorizer(analyzer="char", ngram_range=(1, 2)),
    "in words": CountVectorizer(analyzer="char_wb", ngram_range=(3, 4)),
    "stems": CountVectorizer(tokenizer=stems, token_pattern=None),
    "not in the text": CountVectorizer(tokenizer=backwards, token_pattern=None),
    "own": CountVectorizer(analyzer=stems),
    "own pieces": CountVectorizer(analyzer=pieces),
    "own preprocessor": CountVectorizer(preprocessor=lambda text: text[::-1] + "!"),
    "hashed": HashingVectorizer(ngram_range=(1, 2)),
}


@pytest.mark.parametrize("name", VECTORIZERS)
@pytest.mark.parametrize("text", TEXTS)
def test_terms_are_those_of_the_analyzer_and_stand_in_the_text(name, text):
    vectorizer = VECTORIZERS[name]
    terms = locate_terms(vectorizer, text)
    assert [term.name for term in terms] == list(vectorizer.build_analyzer()(text))
    for term in terms:
        assert all(0 <= start < end <= len(text) for start, end in term.spans)


@pytest.mark.parametrize(
    ("name", "text", "wanted"),
    [
        (
            "words",
            TEXTS[0],
            ["The", "KEEPER", "saves", "penalty", "the", "keeper", "falls"],
        ),
        ("accents", TEXTS[1], ["Café", "près", "de", "ÉCOLE"]),
        ("pattern", TEXTS[7], ["his"]),
        ("group", "one two", ["o", "t"]),
        ("stems", "keepers saving", ["keep", "savi"]),
        ("own", "keepers saving", ["keep", "savi"]),
        ("own pieces", "東京東", ["東", "京", "東", "東京", "京東"]),
        ("not in the text", "abc", [None]),
        ("n-grams", "shot the ball", ["shot", "ball", "shot|ball"]),
        ("characters", "a  bc", ["a ", "  b", "bc", "a  b", "  bc"]),
        ("in words", "abc", ["ab", "abc", "bc", "abc", "abc"]),
    ],
)
def test_places_of_terms(name, text, wanted):
    terms = locate_terms(VECTORIZERS[name], text)
    found = ["|".join(text[a:b] for a, b in term.spans) or None for term in terms]
    assert found == wanted


def test_the_second_of_two_alike_is_the_second():
    spans = [
        term.spans
        for term in locate_terms(VECTORIZERS["pattern"], TEXTS[7])
        if term.name == "his"
    ]
    assert spans == [((5, 8),)]


def test_words_of_an_own_analyzer_are_found_as_words_before_parts_of_them():
    vectorizer = CountVectorizer(analyzer=lambda text: ["is", "his", "is", "is", "is"])
    spans = [term.spans for term in locate_terms(vectorizer, "this his is")]
    assert spans == [((9, 11),), ((5, 8),), (), (), ()]


def test_letters_that_change_length_in_lower_case_keep_their_places():
    text = TEXTS[2]
    found = {
        term.name: [text[a:b] for a, b in term.spans]
        for term in locate_terms(VECTORIZERS["words"], text)
    }
    assert found["maç"] == ["maç"] and found["var"] == ["var"]


def fitted(head, texts, names=None):
    rng = np.random.default_rng(0)
    y = (rng.random((len(texts), 2)) < 0.5).astype(float)
    y[0], y[1], y[2, 0] = 1, 0, np.nan
    labels = MaskedLabels.from_dense(y, label_names=names)
    classifier = MaskedMultiLabelClassifier(2, max_epochs=3, random_state=0)
    return make_pipeline(head, classifier).fit(texts, labels)


def unnamed_union():
    union = make_union(CountVectorizer(), CountVectorizer(analyzer="char_wb"))
    return union.set_params(verbose_feature_names_out=False)


@pytest.mark.parametrize(
    "head",
    [
        TfidfVectorizer(ngram_range=(1, 2)),
        TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 3)),
        TfidfVectorizer(analyzer="char", ngram_range=(2, 3)),
        CountVectorizer(tokenizer=stems, token_pattern=None),
        CountVectorizer(tokenizer=backwards, token_pattern=None),
        make_union(CountVectorizer(), CountVectorizer(analyzer="char_wb")),
        make_pipeline(HashingVectorizer(n_features=16), TfidfTransformer()),
    ],
)
def test_what_is_highlighted_and_the_rest_add_up(head):
    model = fitted(head, TEXTS)
    found = explain(model, TEXTS)
    for sample, text in enumerate(TEXTS):
        for place, label in enumerate(found.label_names):
            units, located = highlighted_units(found, sample, place)
            of = found.of(sample, label)
            own = dict(zip(of.features, of.contributions, strict=True))
            rest = sum(own[name] - located.get(name, 0.0) for name in own)
            total = sum(weight for *_, weight in units)
            assert total == pytest.approx(sum(located.values()), abs=1e-9)
            assert total + rest == pytest.approx(of.contributions.sum(), abs=1e-9)
            ends = [0, *(end for _, end, _ in units)]
            starts = [start for start, *_ in units]
            assert all(a <= b for a, b in zip(ends, starts, strict=False))
            assert all(end <= len(text) for _, end, _ in units)


@pytest.mark.filterwarnings("ignore:This Pipeline:FutureWarning")  # before 1.8
@pytest.mark.parametrize("tail", [(), (TfidfTransformer(),)], ids=["alone", "tf-idf"])
def test_hashed_words_have_the_weight_of_their_column(tail):
    head = make_pipeline(HashingVectorizer(ngram_range=(1, 2)), *tail)
    model = fitted(head, ["alpha beta", "beta gamma", "alpha", "gamma"])
    text = "Alpha, beta!"
    found = explain(model, [text, ""], labels=0)
    units, located = highlighted_units(found, 0, 0)
    of = found.of(0, 0)
    assert set(located) == set(of.features) and len(located) == 3
    column = head[0].transform(["alpha"]).indices[0]
    both = sum(located.values()) - located[f"x{column}"]
    assert units[0][:2] == (0, 5) and units[-1][1] == 11
    assert both + located[f"x{column}"] == pytest.approx(of.contributions.sum())
    assert "background-color" in found._repr_html_()


def test_every_word_of_a_text_has_the_weight_of_its_feature():
    model = fitted(CountVectorizer(), ["alpha beta", "beta gamma", "alpha", "gamma"])
    found = explain(model, "Alpha, gamma: alpha!", labels=0)
    units, _ = highlighted_units(found, 0, 0)
    of = found.of(0, 0)
    own = dict(zip(of.features, of.contributions, strict=True))
    wanted = [(0, 5, own["alpha"] / 2), (7, 12, own["gamma"])]
    wanted.append((14, 19, own["alpha"] / 2))
    assert [unit[:2] for unit in units] == [unit[:2] for unit in wanted]
    np.testing.assert_allclose([u[2] for u in units], [w[2] for w in wanted])


class Read(HTMLParser):
    """Keeps tags, their attributes and the text."""

    def __init__(self, html):
        super().__init__(convert_charrefs=True)
        self.tags, self.attributes, self.text, self.open = set(), set(), "", []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


NASTY = [
    "<script>alert(1)</script> penalty",
    "\"quoted\" 'text' <img src=x onerror=alert(1)> &amp; penalty",
    "</div></span><b onclick='x'>keeper</b>",
    "a&lt;b penalty <!-- comment",
]


@pytest.mark.parametrize(
    "head",
    [
        CountVectorizer(),
        CountVectorizer(analyzer="char_wb", ngram_range=(1, 3)),
        CountVectorizer(token_pattern=r"\S+", lowercase=False),
        CountVectorizer(tokenizer=backwards, token_pattern=None),
    ],
)
def test_html_holds_no_tag_of_the_text_nor_of_names(head):
    names = ["<script>alert('label')</script>", "\"><img src=x onerror='y'>"]
    model = fitted(head, NASTY, names)
    found = explain(model, NASTY)
    read = Read(found._repr_html_())
    assert read.tags <= {"div", "span", "b", "small", "p"}
    assert read.attributes <= {"style", "title"} and not read.open
    for text in [*NASTY, *names]:
        assert text in read.text


def test_html_of_features_escapes_their_names():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(30, 3))
    y = np.where(rng.random((30, 2)) < 0.2, np.nan, X[:, :2] > 0)
    model = MaskedMultiLabelClassifier(2, max_epochs=3, random_state=0).fit(X, y)
    names = ["<script>", "</div>", "a & 'b'"]
    html = explain(model, X, feature_names=names)._repr_html_()
    read = Read(html)
    assert read.tags <= {"div", "b", "small", "p"} and not read.open
    assert all(name in read.text for name in names)
    assert "interactions" in read.text or "features" in read.text
    assert "20 more rows" in read.text


def test_html_says_the_probability_and_the_terms():
    model = fitted(CountVectorizer(), TEXTS)
    found = explain(model, TEXTS[0], labels=[1])
    text = Read(found._repr_html_()).text
    logit = found.logits[0, 0]
    assert f"probability {1 / (1 + np.exp(-logit)):.2f}, log-odds {logit:+.2f}" in text
    assert "words of the text" in text and "other features" not in text


def test_rows_that_are_no_texts_have_none():
    assert token_spans([], ["a"]) == (None, None)
    head = make_pipeline(CountVectorizer())
    assert token_spans([head], [b"bytes"]) == (None, None)
    assert token_spans([make_pipeline(make_union(None))], ["a"]) == (None, None)
    terms = token_spans([make_pipeline(unnamed_union())], ["ab"])[1]
    assert [term.name for term in terms[0]] == ["ab", " ", "a", "b", " "]
