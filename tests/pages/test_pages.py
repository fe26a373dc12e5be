"""Templates that pages share: everything that a user wrote is text."""

from __future__ import annotations

import json
import re

import pytest

pytest.importorskip("jinja2")

from compgen.pages import STATIC, environment, script_data, static

EVIL = "</script><script>alert(1)</script>&\"'"


def test_data_in_a_script_stays_data() -> None:
    text = str(script_data({"a": [EVIL, 1.5]}))
    assert "<" not in text
    assert json.loads(text) == {"a": [EVIL, 1.5]}


def test_parts_escape() -> None:
    made = environment("compgen.gallery").from_string(
        '{% import "parts.html" as parts %}{{ parts.surprisal([(evil, 0), (evil, 3)]) }}'
        "{{ parts.bar(evil, 0.25, true) }}{{ parts.legend() }}"
    )
    page = made.render(evil=EVIL)
    assert "<script" not in page
    assert 'class="s3"' in page
    assert "width:25.0%" in page


def test_what_is_shared_fetches_nothing() -> None:
    for name in (*STATIC, "base.html", "parts.html"):
        assert not re.search(r"https?:|url\(|@import|//[a-z]", static(name)), name
