"""The playground's answers and refusals, without a socket."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import Any

import numpy as np
import pytest

import compgen
from compgen.errors import LimitError

pytest.importorskip("starlette")
pytest.importorskip("httpx2")
pytest.importorskip("jinja2")

from starlette.testclient import TestClient

from compgen.playground import limits
from compgen.playground.app import Server
from compgen.playground.work import Shop

TOKEN = "a-token-of-tests"  # noqa: S105 - it opens nothing else
HOST = "127.0.0.1:8000"
TEXT = b"How much wood would a woodchuck chuck if a woodchuck could chuck wo"
EVIL = b"<script>alert(1)</script><img src=x onerror=alert(2)>&amp;\x1b[31m\x07\x00"


def started() -> TestClient:
    return TestClient(
        Server().application(TOKEN, [HOST]), base_url=f"http://{HOST}/{TOKEN}/", raise_server_exceptions=False
    )


@pytest.fixture(scope="module")
def client() -> TestClient:
    return started()


def post(client: TestClient, path: str, body: bytes = TEXT, **query: Any) -> Any:
    return client.post(f"api/{path}", params=query, content=body)


@pytest.mark.parametrize("spec", ["gzip", "gzip:rule=one-step", "gzip+history"])
def test_the_bars_are_the_distribution_of_the_model(client: TestClient, spec: str) -> None:
    answer = post(client, "next", spec=spec)
    model = compgen.load(spec).resolved()
    frequencies = model.start([TEXT[:0]] if "+" in spec else [TEXT])
    if "+" in spec:
        frequencies.consume(np.frombuffer(TEXT, dtype=np.uint8)[:, None])
    expected = frequencies.frequencies()[0]
    told = answer.json()
    assert told["frequencies"] == expected.tolist()
    assert told["model"] == str(model)
    assert told["expected"] == pytest.approx(-(expected / 2**24 * np.log2(expected / 2**24)).sum(), abs=1e-3)
    assert answer.headers["Server-Timing"].startswith("work;dur=")


def test_typing_asks_the_same_as_pasting(client: TestClient) -> None:
    for spec in ("gzip", "gzip+history"):
        for end in range(40, len(TEXT)):
            typed = post(client, "next", TEXT[:end], spec=spec).json()
        post(client, "next", b"something else", spec=spec)
        assert post(started(), "next", TEXT[: len(TEXT) - 1], spec=spec).json() == typed


def test_surprisals_are_those_of_a_score(client: TestClient) -> None:
    told = post(client, "surprisals", spec="gzip").json()
    assert told["begin"] == 0
    assert sum(told["bits"]) == pytest.approx(compgen.score("gzip", TEXT, rule="decoder").surprisals.sum(), abs=0.05)


def test_a_byte_is_explained_by_the_copy_that_it_came_from(client: TestClient) -> None:
    told = post(client, "explain", spec="gzip", position=TEXT.rindex(b"woodchuck") + 5).json()
    assert told["byte"] == ord("h")
    distance = TEXT.rindex(b"woodchuck") - TEXT.index(b"woodchuck")
    assert told["ways"]["sources"][0]["distance"] == distance
    assert told["ways"]["sources"][0]["share"] > 0.9
    assert told["seen"]["place"] == told["position"] - distance
    begin, end, far, bits = told["ways"]["parses"][0]["pieces"][-1]
    assert begin <= told["position"] < end
    assert far == distance
    assert bits > 0


def test_a_law_without_instructions_tells_what_its_contexts_expect(client: TestClient) -> None:
    pytest.importorskip("pyppmd")
    told = post(client, "explain", spec="ppmd", position=TEXT.rindex(b"woodchuck") + 5).json()
    assert told["ways"] is None
    orders = [part["order"] for part in told["parts"]]
    assert orders == sorted(orders, reverse=True)
    assert told["parts"][0]["share"] > told["parts"][-1]["share"]
    learnt = post(client, "explain", spec="gzip+history", position=3).json()
    assert learnt["ways"] is None
    assert learnt["parts"] == []


def test_the_one_step_rule_has_no_parts(client: TestClient) -> None:
    told = post(client, "explain", spec="gzip:rule=one-step", position=TEXT.rindex(b"woodchuck") + 5).json()
    assert (told["rule"], told["ways"], told["parts"]) == ("one-step", None, [])


@pytest.mark.parametrize(
    ("spec", "needs"),
    [("brotli", 256), ("brotli:rule=calibrated", 256), ("zstd", 256), ("brotli:rule=one-step", None), ("gzip", None)],
)
def test_a_law_tells_what_it_must_know(client: TestClient, prose: bytes, spec: str, needs: int | None) -> None:
    told = [post(client, "next", prose[:size], spec=spec).json()["needs"] for size in (0, 255, 256)]
    assert told == [needs, needs, None]


def events(text: str) -> list[tuple[str, Any]]:
    found = []
    for event in text.strip().split("\n\n"):
        kind, data = event.split("\n")
        found.append((kind.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return found


def test_a_continuation_is_that_of_sample(client: TestClient) -> None:
    answer = post(client, "sample", spec="gzip", length=60, seed=5, temperature=0.7)
    assert answer.headers["Content-Type"].startswith("text/event-stream")
    told = events(answer.text)
    drawn = compgen.sample("gzip", TEXT, length=60, seed=5, temperature=0.7)[0]
    assert told[0][0] == "start"
    assert told[-1][0] == "end"
    assert bytes(told[-1][1]["data"]) == drawn.data
    assert told[-1][1]["bits"] == pytest.approx(drawn.surprisals.tolist(), abs=1e-3)
    streamed = b"".join(bytes(value) for kind, value in told if kind == "bytes")
    assert streamed.startswith(drawn.data)


def test_a_picture_is_continued_by_its_layout(client: TestClient) -> None:
    rows = bytes(range(0, 240, 10)) * 20
    answer = post(client, "sample", rows, spec="png", stride=24, channels=1, length=48, seed=1)
    from compgen.media.layout import Layout

    drawn = compgen.sample("png", rows, length=48, seed=1, layout=Layout(24, 1))[0]
    assert bytes(events(answer.text)[-1][1]["data"]) == drawn.data


@pytest.mark.parametrize(
    ("spec", "word"),
    [
        ("command:id", "playground"),
        ("command:sh -c id + gzip", "playground"),
        ("llm", "playground"),
        ("llm:/etc", "playground"),
        ("model:history", "playground"),
        ("backoff:order=3", "playground"),
        ("gzip:level=1", "name and a rule"),
        ("gzip:rule=none", "rule"),
        ("gzip:rule=one-step,window=99999999", "name and a rule"),
        ("ppmd:memory=2000", "name and a rule"),
        ("+".join(["gzip"] * 5), "4 compressors at most"),
        ("", "not a spec"),
        ("gzip\n\x1b[31m<script>", "not a spec"),
        ("bz2:rule=decoder", "calibrated"),
    ],
    ids=lambda value: value[:12].encode("unicode_escape").decode(),
)
def test_nothing_but_offered_compressors_runs(client: TestClient, spec: str, word: str) -> None:
    for path in ("next", "surprisals", "explain", "sample"):
        answer = post(client, path, spec=spec)
        assert answer.status_code == 400
        assert word in answer.json()["error"]
        assert "\n" not in answer.json()["error"]
        assert "\x1b" not in answer.text


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("sample", {"length": limits.LENGTH + 1}),
        ("sample", {"length": 0}),
        ("sample", {"length": -1}),
        ("sample", {"length": "9" * 40}),
        ("sample", {"seed": "x"}),
        ("sample", {"temperature": "nan?"}),
        ("next", {"stride": "1e9"}),
        ("next", {"stride": 1025}),
        ("next", {"channels": 5}),
        ("explain", {"position": len(TEXT)}),
        ("explain", {"position": "²"}),
        ("game", {"passage": 99}),
        ("game", {"place": 2, "ranks": "1.2.3"}),
        ("game", {"place": 1, "ranks": "28"}),
        ("game", {"place": 999, "ranks": "1"}),
        ("guess", {"letter": "ab"}),
        ("guess", {"letter": "<"}),
        ("guess", {"letter": "a", "place": 40}),
    ],
    ids=lambda value: str(value)[:40].encode("unicode_escape").decode(),
)
def test_wrong_requests_are_answered_in_one_line(client: TestClient, path: str, query: dict[str, Any]) -> None:
    answer = post(client, path, **query)
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]


@pytest.mark.parametrize("temperature", ["nan", "inf", "-1"])
def test_a_temperature_that_is_none_is_refused(client: TestClient, temperature: str) -> None:
    answer = post(client, "sample", temperature=temperature)
    assert answer.status_code == 400 or events(answer.text)[-1][0] == "failed"


def test_a_context_has_an_end(client: TestClient) -> None:
    assert post(client, "next", bytes(limits.CONTEXT), spec="null").status_code == 200
    answer = post(client, "next", bytes(limits.CONTEXT + 1), spec="null")
    assert answer.status_code == 400
    assert "32768 bytes at most" in answer.json()["error"]


def test_any_bytes_are_a_context(client: TestClient) -> None:
    for body in (b"", b"\x00", b"\xff\xfe", EVIL, bytes(range(256))):
        assert sum(post(client, "next", body, spec="gzip").json()["frequencies"]) == 1 << 24


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/", {}, 404),
        (f"/{TOKEN}", {}, 404),
        (f"/{TOKEN[:-1]}/", {}, 404),
        ("/%C3%A9/", {}, 404),
        (f"/{TOKEN}/", {"Host": "evil.example"}, 403),
        (f"/{TOKEN}/", {"Host": "127.0.0.1"}, 403),
        (f"/{TOKEN}/", {"Host": f"{HOST}.evil.example"}, 403),
        (f"/{TOKEN}/", {"Origin": "http://evil.example"}, 403),
        (f"/{TOKEN}/", {"Origin": "null"}, 403),
        (f"/{TOKEN}/", {"Origin": f"https://{HOST}"}, 403),
        (f"/{TOKEN}/", {"Origin": f"http://{HOST}"}, 200),
        (f"/{TOKEN}/../etc/passwd", {}, 404),
        (f"/{TOKEN}/passages.txt", {}, 404),
        (f"/{TOKEN}/..%2f..%2fapp.py", {}, 404),
        (f"/{TOKEN}/play.js", {}, 200),
    ],
)
def test_only_this_page_on_this_machine_may_ask(
    client: TestClient, path: str, headers: dict[str, str], status: int
) -> None:
    answer = client.get(f"http://{HOST}{path}", headers=headers)
    assert answer.status_code == status
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "Access-Control-Allow-Origin" not in answer.headers


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_another_site_cannot_post(client: TestClient, site: str) -> None:
    answer = client.post("api/next", content=TEXT, headers={"Sec-Fetch-Site": site})
    assert answer.status_code == 403
    assert client.post("api/next", content=TEXT, headers={"Sec-Fetch-Site": "same-origin"}).status_code == 200


def test_the_page_holds_data_that_no_text_can_end(client: TestClient) -> None:
    page = client.get("").text
    assert page.count("<script") == page.count("</script>")
    told = page.partition('id="told">')[2].partition("</script>")[0]
    assert "<" not in told
    assert json.loads(told)["limits"]["context"] == limits.CONTEXT


def test_too_much_at_once_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("compgen.playground.work.WAITING", 0)
    answer = post(started(), "next")
    assert answer.status_code == 503
    assert "try again" in answer.json()["error"]


def test_a_queue_that_was_full_takes_work_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("compgen.playground.work.WAITING", 1)
    held, shop = threading.Event(), Shop()

    async def three() -> list[Any]:
        first, second = (asyncio.ensure_future(shop.do(held.wait)) for _ in range(2))
        with pytest.raises(LimitError, match="1 requests are waiting"):
            await second
        held.set()
        return [(await first)[0], (await shop.do(lambda: "again"))[0]]

    assert asyncio.run(three()) == [True, "again"]
    shop.close()


def test_a_continuation_that_takes_too_long_ends(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("compgen.playground.samples.SECONDS", -1.0)
    assert events(post(client, "sample").text)[-1][0] == "failed"


def test_what_a_plugin_or_an_extra_lacks_is_told(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    from compgen.playground import offered

    offered.model.cache_clear()
    monkeypatch.setattr(offered, "missing", lambda: {"ppmd": "pip install 'compgen[ppmd]'"})
    answer = post(client, "next", spec="ppmd")
    assert answer.status_code == 400
    assert "pip install" in answer.json()["error"]
    offered.model.cache_clear()
