"""What may be given as texts: columns of the libraries that people have them in; and what only looks like texts."""

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from m2v_onnx import Model2VecEmbeddingFunction, OnnxStaticModel
from tests.conftest import POTION_BUNDLE

TEXTS = ["a whale", "", "zwölf Wale", "a whale"]

COLUMNS: dict[str, Callable[[], Any]] = {
    "tuple": lambda: tuple(TEXTS),
    "generator": lambda: iter(TEXTS),
    "keys of a dict": lambda: dict.fromkeys(["a whale", "", "zwölf Wale"]).keys(),
    "pandas.Series": lambda: pd.Series(TEXTS, index=[7, 3, 5, 1]),
    "pandas.Series of objects": lambda: pd.Series(TEXTS, dtype=object),
    "pandas.Series, categorical": lambda: pd.Series(TEXTS, dtype="category"),
    "pandas.Series of Arrow": lambda: pd.Series(TEXTS, dtype=pd.ArrowDtype(pa.string())),
    "pandas.Index": lambda: pd.Index(TEXTS),
    "numpy <U": lambda: np.array(TEXTS),
    "numpy objects": lambda: np.array(TEXTS, dtype=object),
    "numpy StringDType": lambda: np.array(TEXTS, dtype=np.dtypes.StringDType()),  # from numpy 2 on
    "numpy strings in a list": lambda: list(np.array(TEXTS)),
    "pyarrow string": lambda: pa.array(TEXTS),
    "pyarrow large_string, a slice": lambda: pa.array(["no", *TEXTS, "no"], pa.large_string())[1:-1],
    "pyarrow string_view": lambda: pa.array(TEXTS, pa.string_view()),
    "pyarrow dictionary": lambda: pa.array(TEXTS).dictionary_encode(),
    "pyarrow chunked": lambda: pa.chunked_array([TEXTS[:1], TEXTS[1:]]),
    "a column of a pyarrow table": lambda: pa.table({"text": TEXTS})["text"],
    "polars.Series": lambda: pl.Series(TEXTS),
    "a column of a polars frame": lambda: pl.DataFrame({"text": TEXTS})["text"],
    "lines of a file": lambda: io.StringIO("a whale\nzwölf Wale"),
}


@pytest.fixture(scope="module")
def ef() -> Model2VecEmbeddingFunction:
    return Model2VecEmbeddingFunction(POTION_BUNDLE)


@pytest.mark.parametrize("name", COLUMNS)
def test_columns(name: str, potion: OnnxStaticModel, ef: Model2VecEmbeddingFunction) -> None:
    if name == "numpy StringDType" and not hasattr(np.dtypes, "StringDType"):
        pytest.skip("numpy 1 has no StringDType")
    make = COLUMNS[name]
    given = [str(text) if isinstance(text, str) else text.as_py() for text in make()]
    wanted = potion.encode(given)
    np.testing.assert_array_equal(potion.encode(make()), wanted)
    in_batches = np.concatenate(list(potion.encode_iter(make(), batch_size=2)))
    for found in (in_batches, ef.encode_documents(make()), ef.encode_queries(make())):
        np.testing.assert_allclose(np.array(found), wanted, rtol=0, atol=1e-6)
    assert potion.tokenize(make()) == potion.tokenize(given)


FRAME = {"id": [1, 2], "text": ["a whale", "two"]}
NOT_TEXTS: dict[str, tuple[Any, str]] = {
    "dict": (dict.fromkeys(TEXTS), r"got dict: pass list\(texts.values\(\)\), or list\(texts\) for the keys"),
    "set": (set(TEXTS), r"got set, which has no order: pass sorted\(texts\)"),
    "frozenset": (frozenset(TEXTS), r"got frozenset, which has no order"),
    "pandas.DataFrame": (pd.DataFrame(FRAME), r"got pandas.DataFrame, a table: pass the column .*\['id', 'text'\]"),
    "polars.DataFrame": (pl.DataFrame(FRAME), r"got polars.DataFrame, a table: pass the column of the texts"),
    "null of polars": (pl.Series(["a", None]), r"got NoneType at position 1: it is missing"),
    "pyarrow.Table": (pa.table(FRAME), r"got pyarrow.Table, a table: pass the column of the texts, table\['id'\] say"),
    "two dimensions": (np.array([TEXTS]), r"got numpy.ndarray of 2 dimensions: pass one column of it"),
    "numbers": (np.arange(3), r"got int at position 0: pass a list of str"),
    "numbers of Arrow": (pa.array([1, 2]), r"got int at position 0: pass a list of str"),
    "bytes": ([b"a whale"], r"got bytes at position 0: pass a list of str"),
    "numpy bytes": (np.array([b"a whale"]), r"got bytes at position 0: pass a list of str"),
    "None inside": (["a", None], r"got NoneType at position 1: it is missing: fill it, or leave it out"),
    "nan inside": (pd.Series(["a", None]), r"got (float|NoneType) at position 1: it is missing"),
    "pandas.NA inside": (pd.Series(["a", pd.NA], dtype=object), r"got NAType at position 1: it is missing"),
    "null of Arrow": (pa.array(["a", None]), r"got NoneType at position 1: it is missing"),
    "a number": (7, r"got int: pass a list of str"),
    "None": (None, r"got NoneType: pass a list of str"),
}


@pytest.mark.parametrize("name", NOT_TEXTS)
def test_what_is_no_list_of_texts(name: str, potion: OnnxStaticModel, ef: Model2VecEmbeddingFunction) -> None:
    given, message = NOT_TEXTS[name]
    for encode in (potion.encode, potion.tokenize, ef.encode_documents, ef.encode_queries, ef):
        with pytest.raises(TypeError, match=message):
            encode(given)
    with pytest.raises(TypeError, match=message):
        list(potion.encode_iter(given))


def test_the_position_counts_over_all_texts(potion: OnnxStaticModel) -> None:
    with pytest.raises(TypeError, match="got NoneType at position 5000: it is missing"):
        potion.encode(pa.array([*["a"] * 5000, None, "b"]))
