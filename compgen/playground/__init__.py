"""A page to touch: what compressors expect of the next byte. ``cgn playground`` serves it to this machine alone."""
