"""Training of language models over bytes or BPE tokens: config, data, optimiser, and transformers' training loop."""
