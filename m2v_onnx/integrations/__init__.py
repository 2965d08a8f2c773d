"""Adapters: the model as LangChain, Chroma, LlamaIndex and others want it, one file a framework: docs/frameworks.md.

None of them is imported before a user imports it, for each imports its framework.
"""
