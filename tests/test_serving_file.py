"""The file of a predictor: whole, or one clear sentence; never a crash."""

import ast
import contextlib
import json
import re
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.feature_extraction.text import HashingVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_masked import (
    MaskedCalibratedClassifierCV,
    MaskedMultiLabelClassifier,
    MaskedMultiOutputClassifier,
    MaskedTunedThresholdClassifierCV,
    __version__,
    serving,
)
from sklearn_masked.exceptions import ServedFileError
from sklearn_masked.serving._file import Part, pack, unpack


def net(**params):
    return MaskedMultiLabelClassifier(random_state=0, device="cpu", **params)


def rows():
    rng = np.random.default_rng(0)
    X = sp.csr_array(sp.random(60, 12, density=0.3, random_state=rng))
    y = (X[:, [0, 1]].toarray() > 0).astype(float)
    y[rng.random(y.shape) < 0.2] = np.nan
    return X, y


def model_of_texts():
    X, y = rows()
    texts = [" ".join(f"w{i}" for i in X[[row]].indices) for row in range(60)]
    union = FeatureUnion(
        [
            ("a", TfidfVectorizer(stop_words=["w3"])),
            ("b", HashingVectorizer(n_features=9)),
        ]
    )
    return make_pipeline(union, net(label_correlation=0.4)).fit(texts, y)


def model_of_arrays():
    X, y = rows()
    base = MaskedMultiOutputClassifier(LogisticRegression())
    few = {"cv": 2, "min_positive": 1, "min_negative": 1}
    base = MaskedCalibratedClassifierCV(base, method="isotonic", **few)
    clf = MaskedTunedThresholdClassifierCV(base, **few)
    return make_pipeline(StandardScaler(), clf).fit(X.toarray(), y)


def model_of_pairs():
    X, y = rows()
    return net(interactions=0.5, embedding_dim=4).fit(X, y)


MODELS = {
    "texts": (model_of_texts, ["w1 w2", ""]),
    "arrays": (model_of_arrays, np.ones((2, 12))),
    "pairs": (model_of_pairs, sp.csr_array(np.ones((2, 12)))),
}


@pytest.fixture(scope="module", params=MODELS)
def exported(request, tmp_path_factory):
    """Return the bytes of a file, and rows for its model."""
    make, X = MODELS[request.param]
    path = tmp_path_factory.mktemp("serving") / "model"
    serving.export(make(), path)
    return path.read_bytes(), X


def test_no_module_of_the_package_can_run_what_a_file_holds():
    names = {"pickle", "marshal", "shelve", "joblib", "ctypes", "importlib"}
    calls = {"eval", "exec", "compile", "__import__", "loadtxt", "load"}
    for file in Path(serving.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                assert names.isdisjoint(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                assert node.module not in names
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in calls
            elif isinstance(node, ast.Attribute) and node.attr in calls:
                assert ast.unparse(node) == "re.compile"


def load(data, tmp_path):
    path = tmp_path / "model"
    path.write_bytes(data)
    return serving.load(path)


def header_of(data):
    length = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def with_header(header, rest):
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + rest


def test_files_are_whole_after_a_round_trip(exported, tmp_path):
    data, X = exported
    predictor = load(data, tmp_path)
    assert predictor.library_version == __version__
    assert predictor.predict(X).shape == (2, 2)
    part, _ = unpack(np.frombuffer(data, np.uint8))
    header, arrays = pack(part)
    assert b"".join([header, *arrays]) == data


def test_safetensors_reads_the_arrays(exported, tmp_path):
    numpy = pytest.importorskip("safetensors.numpy")
    data, _ = exported
    header, _ = header_of(data)
    arrays = numpy.load(data)
    assert set(arrays) == set(header) - {"__metadata__"}


def test_nothing_is_written_before_the_model_is_compared(tmp_path, monkeypatch):
    monkeypatch.setattr("sklearn_masked.serving._export._agree", lambda *args: False)
    path = tmp_path / "model"
    path.write_text("as it was")
    with pytest.raises(ValueError, match="would differ"):
        serving.export(model_of_pairs(), path)
    assert path.read_text() == "as it was"


@pytest.mark.parametrize("end", [0, 5, 8, 9, 100, -1, -1000])
def test_truncated_files_raise_a_sentence(exported, end, tmp_path):
    data, _ = exported
    with pytest.raises(ServedFileError, match=r"model cannot be loaded: .*\.$"):
        load(data[:end], tmp_path)


def test_longer_files_raise_a_sentence(exported, tmp_path):
    data, _ = exported
    with pytest.raises(ServedFileError, match="it has 3 bytes after the last array"):
        load(data + b"abc", tmp_path)


@pytest.mark.parametrize(
    "content", [b"", b"PK\x03\x04" + b"x" * 99, b"{}", b"\x80\x04."]
)
def test_other_files_raise_a_sentence(content, tmp_path):
    with pytest.raises(ServedFileError, match="cannot be loaded: it is truncated, or"):
        load(content, tmp_path)


def test_files_of_other_tensors_raise_a_sentence(tmp_path):
    for header in ({}, {"__metadata__": {"format": "pt"}}, {"__metadata__": 3}, []):
        with pytest.raises(
            ServedFileError, match="not a file that `serving.export` wro"
        ):
            load(with_header(header, b""), tmp_path)


def test_newer_files_name_both_versions(exported, tmp_path):
    header, rest = header_of(exported[0])
    header["__metadata__"] |= {"format_version": "2", "library_version": "9.9"}
    with pytest.raises(ServedFileError) as caught:
        load(with_header(header, rest), tmp_path)
    assert "it has the format 2 of sklearn_masked 9.9, and this is" in str(caught.value)
    assert str(caught.value).endswith("upgrade, or export the model again.")


def test_missing_files_raise_what_opening_them_does(tmp_path):
    with pytest.raises(FileNotFoundError):
        serving.load(tmp_path / "nothing")
    with pytest.raises(IsADirectoryError):
        serving.load(tmp_path)


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"shape": [1 << 62, 1 << 62]}, "truncated, or the array .* is misplaced"),
        ({"shape": [-1]}, r"has the shape \[-1\]"),
        ({"shape": [True]}, r"has the shape \[True\]"),
        ({"shape": [0, 1 << 50]}, "misplaced"),
        ({"data_offsets": [8, 16]}, "misplaced"),
        ({"dtype": "O"}, "does not hold a whole model .KeyError"),
    ],
)
def test_sizes_are_looked_at_before_memory_is_taken(exported, entry, words, tmp_path):
    header, rest = header_of(exported[0])
    first = next(name for name in header if name != "__metadata__")
    header[first] |= entry
    with pytest.raises(ServedFileError, match=words):
        load(with_header(header, rest), tmp_path)


def test_an_array_that_is_added_raises(exported, tmp_path):
    header, rest = header_of(exported[0])
    place = [len(rest), len(rest) + 1]
    header["more"] = {"dtype": "U8", "shape": [1], "data_offsets": place}
    with pytest.raises(
        ServedFileError, match="its checksum is not that of its content"
    ):
        load(with_header(header, rest + b"a"), tmp_path)


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_changed_bytes_always_raise_a_sentence(data, exported, tmp_path_factory):
    content = bytearray(exported[0])
    places = st.one_of(
        st.integers(0, len(content) - 1),
        st.integers(0, min(2000, len(content) - 1)),
    )
    for place in data.draw(st.lists(places, min_size=1, max_size=4, unique=True)):
        content[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(ServedFileError, match=r"cannot be loaded: .*\.$"):
        load(bytes(content), tmp_path_factory.getbasetemp())


def signed(part):
    """Return the bytes of a file whose checksum is right, whatever is in it."""
    header, arrays = pack(part)
    return b"".join([header, *arrays])


def parts_of(part):
    yield part
    for inner in part.parts:
        yield from parts_of(inner)


def break_part(part, rng):
    """Change one thing of a part, as somebody would who knows the format."""
    name = rng.choice([*part.arrays, *part.lists, *part.settings, "kind"])
    odd = [-1, 0, 1 << 40, "", None, [], {}, True, 1.5, "DirectShared", float("nan")]
    if name in part.arrays:
        array = part.arrays[name].copy()
        how = rng.integers(4)
        if how == 0 and array.size:
            values = np.array([-1, 1e9, 7], "f8").astype(array.dtype)
            array.flat[rng.integers(array.size)] = rng.choice(values)
        elif how == 1:
            array = array[: len(array) // 2]
        elif how == 2:
            array = array.astype(rng.choice(["f4", "f8", "i4", "u1"]))
        else:
            array = array.reshape(-1, 1)
        part.arrays[name] = array
    elif name in part.lists:
        values = part.lists[name]
        values[: rng.integers(3)] = [odd[i] for i in rng.integers(len(odd), size=2)]
    elif name in part.settings:
        part.settings[name] = odd[rng.integers(len(odd))]
    else:
        part.kind = str(rng.choice(["Scaler", "Pipeline", "Tuned", "Linear", "None"]))


def break_file(data, seed):
    """Return the bytes of a file of which one or two things are broken."""
    rng = np.random.default_rng(seed)
    part, _ = unpack(np.frombuffer(data, np.uint8))
    some = list(parts_of(part))
    for _ in range(rng.integers(1, 3)):
        break_part(some[rng.integers(len(some))], rng)
    return signed(part)


@pytest.mark.filterwarnings("ignore:.*invalid value encountered in cast")
def test_forged_files_raise_a_sentence_or_predict(exported, tmp_path):
    # The checksum is no signature: who makes a file can make that, too. Then what is
    # in it is looked at, and no number of it reaches beyond an array.
    data, X = exported
    n_loaded = 0
    for seed in range(100):
        try:
            predictor = load(break_file(data, seed), tmp_path)
        except ServedFileError as error:
            assert re.search(r"cannot be loaded: .*\.$", str(error), re.DOTALL)
            continue
        n_loaded += 1
        with np.errstate(all="ignore"), contextlib.suppress(ValueError):
            predictor.predict(X)  # rows of another width, or what is no number
    assert 0 < n_loaded < 60


@pytest.mark.parametrize(
    "kind",
    [
        Part("Predictor", {"one_dimensional": False}, parts=[Part("Nothing")]),
        Part("Predictor", {"one_dimensional": False}),
        Part("Linear"),
    ],
)
def test_parts_that_no_version_knows_raise(kind, tmp_path):
    with pytest.raises(ServedFileError, match="cannot be read: "):
        load(signed(kind), tmp_path)


def test_deeply_nested_files_raise_a_sentence(tmp_path):
    part = Part("Linear")
    for _ in range(300):
        part = Part("Pipeline", parts=[part])
    header, rest = header_of(signed(Part("Predictor", parts=[])))
    deep = "[" * 100_000 + "]" * 100_000
    header["__metadata__"]["model"] = deep
    with pytest.raises(ServedFileError):
        load(with_header(header, rest), tmp_path)
    with pytest.raises(ServedFileError):
        load(signed(part), tmp_path)
