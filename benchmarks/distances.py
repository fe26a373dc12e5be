"""How often the nearest file is one of the same kind, by the normalised compression distance, beside two controls.

    python -m benchmarks.distances [--data DIR] [--out DIR]

Kinds are authors (80,000 bytes of each of 20 novels), textures (four squares of each of four photographs, one byte a
pixel) and speakers (12,000 samples of 25 utterances, one byte a sample). One control is ``null``, a compressor that
knows nothing: all its distances are 1, and which of equals is nearest is chance. The other is the same files with
their bytes shuffled: what is left is how often each byte occurs, such as the loudness of a speaker. ``--out`` writes
the novels to a folder, for ``cgn ncd``. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from benchmarks.real_data import parsed
from compgen.evaluation.ncd import distances

AUTHORS = ("austen", "dickens", "doyle", "london", "stevenson", "twain")
"""Authors of two novels or more in the training text."""
SPECS = {
    "authors": ("null", "gzip", "bz2", "xz", "zstd:level=19", "brotli", "ppmd"),
    "textures": ("null", "gzip", "bz2", "xz", "ppmd", "png:width=128"),
    "speakers": ("null", "gzip", "bz2", "xz", "ppmd", "flac"),
}
"""The compressors that are compared on each set."""


def novels(data: Path) -> dict[str, bytes]:
    """Return a part of each novel, by its name; the kind is what stands before the first ``_``."""
    found = {}
    with tarfile.open(data / "text/train.tar.xz") as archive:
        for member in archive:
            name = Path(member.name).stem
            if name.startswith(AUTHORS) and (file := archive.extractfile(member)):
                found[name] = file.read()[50_000:130_000]
    return {name: part for name, part in sorted(found.items()) if len(part) == 80_000}


def textures(data: Path) -> dict[str, bytes]:
    """Return squares of 128 by 128 pixels."""
    from PIL import Image

    found = {}
    for path in sorted((data / "image/skimage").glob("*.png")):
        pixels = np.asarray(Image.open(path).convert("L"))
        for x, y in ((40, 40), (300, 40), (40, 300), (300, 300)):
            found[f"{path.stem}_{x}_{y}"] = pixels[y : y + 128, x : x + 128].tobytes()
    return found


def speakers(data: Path) -> dict[str, bytes]:
    """Return three quarters of a second of each utterance, from its second second."""
    import soundfile

    found = {}
    for path in sorted((data / "audio/librispeech_test_other").glob("*.flac"))[:25]:
        samples, _ = soundfile.read(path, start=16_000, frames=12_000, dtype="int16")
        found[path.stem.replace("-", "_")] = ((samples >> 8) + 128).astype(np.uint8).tobytes()
    return found


def shuffled(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the files with their bytes in a random order."""
    generator = np.random.default_rng(1)
    return {name: generator.permutation(np.frombuffer(data, np.uint8)).tobytes() for name, data in files.items()}


def hits(files: Mapping[str, bytes], spec: str) -> tuple[float, float]:
    """Return how many files are nearest to one of their kind, and the largest distance of a file to itself.

    Where several files are equally near, the share of them that is of the kind counts.
    """
    kinds = np.array([name.split("_")[0] for name in files])
    matrix = distances(list(files.values()), spec, symmetric=True).matrix
    itself = float(matrix.diagonal().max())
    np.fill_diagonal(matrix, np.inf)
    nearest = matrix == matrix.min(axis=1, keepdims=True)
    alike = kinds[:, None] == kinds
    return float(((nearest & alike).sum(axis=1) / nearest.sum(axis=1)).sum()), itself


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="write the novels to this folder")
    arguments = parsed(parser)
    results = []
    for name, load in (("authors", novels), ("textures", textures), ("speakers", speakers)):
        files = load(arguments.data)
        if name == "authors" and arguments.out:
            arguments.out.mkdir(parents=True, exist_ok=True)
            for title, part in files.items():
                (arguments.out / title).write_bytes(part)
        mixed = shuffled(files)
        for spec in SPECS[name]:
            (right, itself), (control, _) = hits(files, spec), hits(mixed, spec)
            results.append({"set": name, "files": len(files), "compressor": spec, "right": round(right, 1),
                            "shuffled": round(control, 1), "to_itself": round(itself, 3)})  # fmt: skip
            print(f"{name:9} {spec:14} {right:5.1f} of {len(files)}; shuffled {control:5.1f}; to itself {itself:.3f}")
    print(json.dumps({"benchmark": "distances", "results": results}))


if __name__ == "__main__":
    main()
