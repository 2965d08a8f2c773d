"""What the frameworks do when they are imported, and no test may do: write under the home folder, ask the network."""

import os

from tests.conftest import SHARED_FOLDER

os.environ |= {
    "ANONYMIZED_TELEMETRY": "False",  # Chroma
    "DSPY_CACHEDIR": str(SHARED_FOLDER / "dspy"),
    "HAYSTACK_TELEMETRY_ENABLED": "False",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # of DSPy and txtai
    "LANGSMITH_TRACING": "false",  # LangChain
}
