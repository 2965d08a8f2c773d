"""txtai: an index that is stored, and read again."""

from pathlib import Path

import numpy as np
import pytest

from m2v_onnx import OnnxStaticModel
from tests.conftest import COMMITTED_BUNDLE

txtai = pytest.importorskip("txtai", reason="`make integrations-torch` installs it")

TEXTS = ["The whale sings to its calf.", "Salt the water before the pasta.", "naïve café 北京", ""]
METHOD = "m2v_onnx.integrations.txtai.Model2Vec"


def test_an_index_is_read_again(tmp_path: Path, model_inside: OnnxStaticModel) -> None:
    embeddings = txtai.Embeddings(method=METHOD, path=str(COMMITTED_BUNDLE), vectors={"max_length": 100})
    embeddings.index(TEXTS)
    np.testing.assert_allclose(embeddings.batchtransform(TEXTS), model_inside.encode(TEXTS), rtol=0, atol=1e-6)
    embeddings.save(str(tmp_path / "index"))
    again = txtai.Embeddings()
    again.load(str(tmp_path / "index"))
    assert again.model.model.max_length == 100
    for each in (embeddings, again):
        assert [found for found, _ in each.search("how do I cook noodles", 1)] == [1]


def test_other_options() -> None:
    with pytest.raises(ImportError) as caught:  # txtai's
        txtai.Embeddings(method=METHOD, path=str(COMMITTED_BUNDLE), vectors={"normalise": True})
    assert "do you mean 'normalize'" in str(caught.value.__cause__)


def test_fewer_dimensions_and_bits(model_inside: OnnxStaticModel) -> None:
    """txtai's own options."""
    cut = txtai.Embeddings(method=METHOD, path=str(COMMITTED_BUNDLE), dimensionality=16).batchtransform(TEXTS)
    np.testing.assert_allclose(np.linalg.norm(cut, axis=1), [1, 1, 1, 0], atol=1e-6)
    bits = txtai.Embeddings(method=METHOD, path=str(COMMITTED_BUNDLE), quantize=1).batchtransform(TEXTS)
    assert bits.dtype == np.uint8
