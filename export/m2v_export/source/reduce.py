"""Fewer dimensions and fewer rows, before the table gets its precision.

Dimensions go first: the rows are then clustered by what is left of them. For minilm-256 with 64 dimensions and 4,096
rows, STS-B is 58.1 so and 56.7 in model2vec's order; the mean cosine to the 64 dimensions with all rows is 0.8645 and
0.8595.
"""

from dataclasses import replace

from m2v_export.source.model import Source, checked
from m2v_onnx.errors import ExportError, MissingExtraError


def reduced(source: Source, dimensions: int | None, vocabulary: int | None) -> Source:
    """A source with the first dimensions only, and its rows clustered by model2vec.

    :param dimensions: how many to keep, as model2vec's ``dimensionality``; None for all.
    :param vocabulary: how many rows to keep, as its ``vocabulary_quantization``; None for all.
    :raises ValueError: for what is no such number.
    :raises ExportError: when the source has fewer, or its rows are clustered already.
    :raises MissingExtraError: when scikit-learn is needed and not there.
    """
    rows, dim = source.table.shape
    origin = source.origin or source
    if dimensions is not None:
        if dimensions < 1:
            raise ValueError(f"dimensions: expected a number from 1, got {dimensions!r}")
        if dimensions > dim:
            raise ExportError(f"dimensions: the source has {dim}, it cannot keep the first {dimensions}")
        if dimensions < dim and source.head is not None:
            raise ExportError(f"dimensions: the model's head takes all {dim}, it was not trained for fewer")
        if dimensions < dim:
            source = replace(source, table=source.table[:, :dimensions], origin=origin)
    if vocabulary is None:
        return source
    if vocabulary < 1:
        raise ValueError(f"vocabulary quantization: expected a number from 1, got {vocabulary!r}")
    if source.mapping is not None:
        raise ExportError(
            f"vocabulary quantization: the source's tokens share {rows:,} rows already: start from the model that this"
            " one was made of"
        )
    if vocabulary > rows:
        raise ExportError(f"vocabulary quantization: the source has {rows:,} rows, it cannot have {vocabulary:,}")
    return _clustered(source, vocabulary, origin)


def _clustered(source: Source, vocabulary: int, origin: Source) -> Source:
    from model2vec.model import quantize_model

    try:
        model = quantize_model(source.reference(), vocabulary_quantization=vocabulary)
    except ImportError as error:
        raise MissingExtraError("vocabulary quantization", "vocabulary", "scikit-learn") from error
    return checked(
        replace(
            source,
            table=model.embedding,
            mapping=model.token_mapping,
            weights=model.weights,
            config={**source.config, "vocabulary_quantization": vocabulary},
            origin=origin,
        ),
        source.name,
    )
