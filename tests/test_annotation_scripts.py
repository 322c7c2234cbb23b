"""Texts in scripts that put no spaces between words."""

import pickle

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics import roc_auc_score

from sklearn_masked._scripts import words_and_characters
from sklearn_masked.annotation import LabelingLoop
from sklearn_masked.annotation.loop._texts import Texts

# Words of a topic, and what stands around them, for each script.
SCRIPTS = {
    "Chinese": ("战争 军队 导弹 士兵", "的一是在不了有和人这中大为上个国我以要他"),
    "Japanese": ("戦争 軍隊 ミサイル 兵士", "のはをにがとでもるたりしてなかよ日本人"),
    "Thai": ("สงคราม กองทัพ ขีปนาวุธ ทหาร", "กขคงจฉชซญดตถทนบปผพมยรลวสหอ"),
}


def make(script, n=300):
    """Return texts and whether each has a word of the topic."""
    words, around = SCRIPTS[script]
    rng = np.random.default_rng(0)

    def noise():
        return "".join(rng.choice(list(around), 12))

    y = (rng.random(n) < 0.5).astype(int)
    texts = [
        noise() + (rng.choice(words.split()) if one else "") + noise() for one in y
    ]
    return texts, y


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_model_learns_words_that_no_space_ends(script, tmp_path):
    texts, y = make(script)
    names, words = ["war"], {"war": SCRIPTS[script][0].split()[0]}
    with LabelingLoop(
        None, texts, folder=tmp_path, label_names=names, seeds=words, random_state=0
    ) as loop:
        batch = loop.next_batch(5)  # a word within a text finds it
        asked = batch[batch["reason"] == "similar"]["sample"]
        assert len(asked) and y[asked].all()
        loop.answer(range(150), ["war"] * 150, y[:150])
        loop.fit()
        proba = loop.model.predict_proba(texts[150:])[:, 0]
    assert roc_auc_score(y[150:], proba) > 0.9  # words alone: 0.5 to 0.63
    plain = TfidfVectorizer(sublinear_tf=True).fit_transform(texts)
    assert plain.shape[1] >= 300  # each text would be a word of its own


def test_words_stay_words_and_pieces_are_those_of_runs():
    text = "The U.S. Army, 战争! and 2nd a"
    assert words_and_characters(text) == [
        *["the", "army", "and", "2nd"],
        *["战", "争", "战争"],
    ]
    assert pickle.loads(pickle.dumps(words_and_characters)) is words_and_characters


def test_texts_with_spaces_are_read_as_before():
    texts = ["a war in the north", "rain and sun", "Krieg und Frieden", "мир"] * 10
    vectorizer, matrix = Texts([*texts, "one word of 战争"]).read()
    assert vectorizer.analyzer == "word"
    expected = TfidfVectorizer(sublinear_tf=True, dtype=np.float32)
    expected = expected.fit_transform([*texts, "one word of 战争"])
    assert (matrix != expected).nnz == 0
    vectorizer, _ = Texts([*texts, *["战争"] * 3]).read()  # enough of them
    assert vectorizer.analyzer is words_and_characters
    assert {"war", "战争", "争"} <= set(vectorizer.vocabulary_)
