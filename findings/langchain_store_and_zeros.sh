#!/usr/bin/env bash
# langchain-core 1.8.3: whether a vector of zeros scores 0 or ends a search depends on the other documents of the store.
#
# Seen:    in InMemoryVectorStore a document of zeros scores 0.0 beside other documents. Alone in the store, it makes every
#          query raise "NaN values found, please remove the NaN values and try again". A query of zeros raises the same,
#          whatever the store holds. The cosine sets NaN to 0, but first raises where all are NaN.
# Guessed: one rule: 0 for zeros, always, or an error, always; and no word of NaN where no vector has one.
# Matters: a static embedding model gives zeros for a text with no known token, "" or "???" say. A user's query of that
#          kind ends the program, and the first document of that kind ends the search of an otherwise empty store.
#          docs/frameworks.md says so.
set -euo pipefail

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
"${PYTHON:-python3}" -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet langchain-core==1.8.3 numpy==2.4.6
"$scratch/venv/bin/python" - << 'PYTHON'
import sys

from langchain_core.embeddings import Embeddings
from langchain_core.vectorstores import InMemoryVectorStore

VECTORS = {"east": [1.0, 0.0], "north-east": [0.6, 0.8], "nothing": [0.0, 0.0]}


class Fixed(Embeddings):
    def embed_documents(self, texts):
        return [VECTORS[text] for text in texts]

    def embed_query(self, text):
        return VECTORS[text]


def scores(documents, query):
    store = InMemoryVectorStore(Fixed())
    store.add_texts(documents)
    try:
        return {found.page_content: score for found, score in store.similarity_search_with_score(query, k=5)}
    except ValueError as error:
        return f"ValueError: {error}"


beside = scores(["east", "north-east", "nothing"], "east")
alone = scores(["nothing"], "east")
asked = scores(["east", "north-east"], "nothing")
print(f"a document of zeros beside others: {beside}")
print(f"alone: {alone}")
print(f"a query of zeros: {asked}")
sys.exit(not (isinstance(beside, dict) and beside["nothing"] == 0 and "NaN" in str(alone) and "NaN" in str(asked)))
PYTHON
