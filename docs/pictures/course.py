"""Draw the pictures of the course: the price of a continuation by its length, nested intervals, a reliability diagram.

python docs/pictures/course.py
"""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np
from matplotlib import pyplot as plt

import compgen
from compgen.coding.explain import explain
from compgen.compressors.deflate import Gzip
from compgen.models import load

HERE = Path(__file__).resolve().parent
STORY = (HERE.parent.parent / "examples/prompts/lighthouse.txt").read_bytes()

matplotlib.rcParams.update({"svg.hashsalt": "compgen", "font.family": "sans-serif", "figure.figsize": (7, 3.2)})


def save(name: str) -> None:
    """Write the open figure, with nothing in it that changes from run to run."""
    plt.tight_layout()
    plt.savefig(HERE / name, metadata={"Date": None})
    plt.close()


def one_step() -> None:
    """Lesson 3: bits that gzip adds for the right and for a wrong continuation."""
    context = STORY + b"\n\nOn the last of November she wr"
    for text, colour in ((b"estled with the ", "#c2410c"), (b"ote in the first", "#00695c")):
        known, *costs = Gzip().code_lengths(context, [b"", *(text[: n + 1] for n in range(len(text)))])
        plt.plot(range(1, 17), np.array(costs) - known, marker="o", color=colour, label=f"wr|{text.decode()}")
    plt.axvline(1.5, color="#555", linestyle=":")
    plt.xticks([1, 4, 8, 12, 16])
    plt.xlabel("bytes of the continuation")
    plt.ylabel("bits that gzip adds")
    plt.legend(frameon=False)
    save("one-step.svg")


def reliability() -> None:
    """Lesson 5: how often the favourite byte came, by how probable the model said it was."""
    read, asked = STORY[:2500], STORY[2500:4000]
    truth = np.frombuffer(asked, dtype=np.uint8)
    plt.figure(figsize=(4.2, 4))
    plt.plot([0, 1], [0, 1], color="#999", linestyle=":")
    for rule, colour in (("decoder", "#c2410c"), ("calibrated", "#00695c")):
        state, rows = compgen.load("gzip", rule=rule).start([read]), []
        for byte in truth:
            rows.append(state.frequencies()[0] / 2**24)
            state.extend(np.array([byte]))
        said, came = np.max(rows, axis=1), np.argmax(rows, axis=1) == truth
        bins = [(said >= low) & (said < low + 0.2) for low in np.arange(0, 1, 0.2)]
        sizes = [here.sum() for here in bins]
        means = [said[here].mean() for here in bins], [came[here].mean() for here in bins]
        plt.plot(*means, color=colour, label=f"gzip, {rule}")
        plt.scatter(*means, s=np.array(sizes) / 3, color=colour)
    plt.xlabel("said")
    plt.ylabel("came")
    plt.legend(frameon=False)
    save("reliability.svg")


def intervals() -> None:
    """Lesson 6: what ``cgn explain`` draws."""
    (HERE / "intervals.svg").write_text(explain(load("gzip"), b"the fog", STORY).svg(), encoding="utf-8")


if __name__ == "__main__":
    one_step()
    reliability()
    intervals()
