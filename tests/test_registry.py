from __future__ import annotations

import importlib.metadata
import pathlib
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compgen.compressors import COMPRESSORS, Compressor
from compgen.errors import MissingExtraError, SpecError
from compgen.models import load
from compgen.registry import Entry, Registry, Spec, suggest

NAMES = st.from_regex(r"[a-z][a-z0-9_-]{0,8}", fullmatch=True).filter(lambda name: name != "command")
KEYS = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True)
VALUES = st.text(max_size=12)
BASE = "compgen.compressors.base:Compressor"


@given(NAMES, st.none() | VALUES, st.dictionaries(KEYS, VALUES, max_size=3))
def test_any_spec_round_trips(name: str, argument: str | None, options: dict[str, str]) -> None:
    spec = Spec(name, argument, tuple(options.items()))
    assert Spec.parse(str(spec)) == spec


@given(
    st.lists(st.text(alphabet=string.printable, min_size=1, max_size=8), min_size=1, max_size=3),
    st.dictionaries(KEYS, st.text(alphabet=string.printable, max_size=8), max_size=2),
)
def test_any_command_round_trips(words: list[str], options: dict[str, str]) -> None:
    import re
    import shlex

    if re.match(r"[a-z][a-z0-9_]*=", words[0]):
        words[0] = "./" + words[0]
    spec = Spec("command", shlex.join(words), tuple(options.items()))
    assert Spec.parse(str(spec)) == spec


@given(st.text(alphabet='abc:,="+\\ ', max_size=20))
def test_what_parses_at_all_round_trips(text: str) -> None:
    try:
        spec = Spec.parse(text)
    except SpecError:
        return
    assert Spec.parse(str(spec)) == spec


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("gzip", Spec("gzip")),
        ("gzip:level=6", Spec("gzip", None, (("level", "6"),))),
        ("llm:a/b c,device=cpu", Spec("llm", "a/b c", (("device", "cpu"),))),
        (r'llm:"a,b=\"c\"\\d"', Spec("llm", 'a,b="c"\\d')),
        ("command:xz -9e -c", Spec("command", "xz -9e -c")),
        ("command:timeout=3 window=64 my 'odd program' a,b=c+d", Spec(
            "command", "my 'odd program' a,b=c+d", (("timeout", "3"), ("window", "64")))),
    ],
)  # fmt: skip
def test_the_grammar_by_example(text: str, expected: Spec) -> None:
    assert Spec.parse(text) == expected


@pytest.mark.parametrize(
    ("text", "fix"),
    [
        ("", "write NAME"),
        ("Gzip", "write NAME"),
        ("gzip:", "ends after its colon"),
        ("gzip:level=6,level=7", "twice"),
        ("gzip:level=", "empty value"),
        ('gzip:level="6', "does not close"),
        ('gzip:level="6"7', "does not close|goes on"),
        ("gzip:level=6,7", "KEY=VALUE"),
        ("gzip+bz2", "mixture"),
        ("command:", "needs a program"),
        ("command:'xz", "close the quote"),
    ],
)
def test_a_wrong_spec_names_its_fix(text: str, fix: str) -> None:
    with pytest.raises(SpecError, match=fix):
        Spec.parse(text)


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("gzpi", "did you mean 'gzip'"),
        ("unifrom", "did you mean 'uniform'"),
        ("gzip:levle=3", "did you mean 'level'"),
        ("gzip:wndow=3", "did you mean 'window'"),
        ("gzip:level=x", "whole number"),
        ("gzip:level=10", "between 1 and 9"),
        ("gzip:window=x", "gzip:window must be a whole number"),
        ("gzip:window=-1", "window must be"),
        ("gzip:rule=one", "did you mean 'one-step'"),
        ("gzip:9", "takes no argument"),
        ("backoff:order=40", "between 0 and 32"),
        ("backoff:window=3", "no option 'window'"),
        ("bz2:level=0", "between 1 and 9"),
        ("xz:level=10", "between 0 and 9"),
        ("zstd:level=99", "between 1 and"),
        ("brotli:quality=12", "between 0 and 11"),
        ("ppmd:order=1", "between 2 and 64"),
        ("ppmd:memory=0", "between 1 and 1024"),
        ("command:timeout=0 cat", "above 0"),
        ("command:timeout=x cat", "must be a number"),
    ],
)
def test_a_wrong_name_or_option_names_its_fix(spec: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        load(spec)


@pytest.mark.parametrize(
    "spec",
    ["gzip", "gzip:level=6", "xz:level=0,window=4096", "zstd-dict:level=3", "ppmd:order=4,memory=32",
     "command:timeout=5.0 window=128 xz -9e -c", "backoff:order=5", "uniform",
     "gzip:rule=one-step", "bz2:effort=best", "gzip+bz2:level=1+backoff"],
)  # fmt: skip
def test_a_model_is_its_spec(spec: str) -> None:
    model = load(spec)
    assert str(model) == spec
    assert load(str(model)) == model


def test_defaults_and_aliases_are_left_out_of_a_spec() -> None:
    assert str(load("gzip:level=9")) == "gzip"
    assert str(load("lzma")) == "xz"


def test_load_takes_objects_and_overrides() -> None:
    compressor = COMPRESSORS.build("bz2:level=3")
    assert str(load(compressor, window=512)) == "bz2:level=3,window=512"
    assert str(load(load("gzip"), rule="one-step")) == "gzip:rule=one-step"
    with pytest.raises(SpecError, match="uniform is not derived"):
        load("uniform", window=3)


def test_a_missing_extra_names_the_command_that_installs_it() -> None:
    registry: Registry[Compressor] = Registry(
        "compressor", "none", BASE, {"x": Entry("no_such_module:X", extra="ppmd")}
    )
    with pytest.raises(MissingExtraError, match=r"needs no_such_module: pip install 'compgen\[ppmd\]'"):
        registry.get("x")


def test_plugins_are_found_by_entry_point(monkeypatch: pytest.MonkeyPatch) -> None:
    group = "compgen.tests"
    good = importlib.metadata.EntryPoint("deflate", "compgen.compressors.deflate:Deflate", group)
    misnamed = importlib.metadata.EntryPoint("raw", "compgen.compressors.deflate:Deflate", group)
    bad = importlib.metadata.EntryPoint("bad", "no_such_plugin:X", group)
    stranger = importlib.metadata.EntryPoint("stranger", "pathlib:PurePath", group)
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: [good, bad, misnamed, stranger])
    registry: Registry[Compressor] = Registry("compressor", group, BASE, {})
    assert registry.names() == ["bad", "deflate", "raw", "stranger"]
    assert registry.get("deflate").__name__ == "Deflate"
    with pytest.raises(SpecError, match="calls itself 'deflate'"):
        registry.get("raw")
    with pytest.raises(SpecError, match=r"plugin compressor 'bad' \(no_such_plugin:X\) does not load"):
        registry.get("bad")
    with pytest.raises(SpecError, match=r"'stranger' \(pathlib:PurePath\) is not a subclass of .*base\.Compressor"):
        registry.get("stranger")
    assert pathlib.PurePath("a/b").name == "b"  # a stranger's class is left as it was


def test_suggestions_fall_back_to_the_list() -> None:
    assert suggest("qqqq", ["gzip", "xz"]) == "; known: gzip, xz"
    assert suggest("q", []) == ""
