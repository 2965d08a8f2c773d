"""The stages of the text graph that all kinds of tokenizers share, a place each, in the order of a text."""
