"""Byte-level language models of any size: data, optimiser, and the loop, which is transformers' own."""
