"""A gallery in headless Chromium, opened from files and from a local server."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.browsers import WIDTHS, logs, see, serving, violations, visit
from tests.gallery.test_gallery import CONFIG, EVIL, RICH

pytest.importorskip("jinja2")
soundfile = pytest.importorskip("soundfile")
pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
pytestmark = pytest.mark.skipif(
    not (shutil.which("chromium") and shutil.which("chromedriver")),
    reason="chromium and chromedriver are not installed",
)


def built(root: Path, config: str) -> Path:
    from compgen.gallery.config import read_config
    from compgen.gallery.page import build

    (root / "evil.txt").write_bytes(EVIL)
    (root / "gallery.toml").write_text(config)
    return build(read_config(root / "gallery.toml"), root / "site", root, 1, lambda made: None).parent


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small site, with markup and control bytes in it."""
    return built(tmp_path_factory.mktemp("gallery"), CONFIG)


@pytest.fixture(scope="module")
def rich(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site with all that a gallery has."""
    return built(tmp_path_factory.mktemp("rich"), RICH)


@pytest.fixture(scope="module")
def server(site: Path) -> Iterator[str]:
    with serving(site) as address:
        yield address


def page(site: Path, name: str = "index.html") -> str:
    return f"{site.as_uri()}/{name}"


def run(browser: Any, script: str, *arguments: object) -> Any:
    return browser.execute_script(script, *arguments)


def wait(browser: Any, condition: str, seconds: float = 6.0) -> None:
    end = time.monotonic() + seconds
    while not run(browser, f"return Boolean({condition})"):
        assert time.monotonic() < end, f"never came true: {condition}"
        time.sleep(0.05)


@pytest.mark.parametrize("name", ["index.html", "distances.html", "explorer.html"])
@pytest.mark.parametrize("local", [True, False], ids=["file", "server"])
def test_a_page_loads_and_asks_for_nothing_else(browser: Any, site: Path, server: str, name: str, local: bool) -> None:
    root = site.as_uri() if local else server
    visit(browser, f"{root}/{name}")
    said, asked = logs(browser)
    assert said == []
    assert asked
    assert [url for url in asked if not url.startswith((root, "data:", "about:"))] == []


def test_the_first_screen_explains_itself(browser: Any, rich: Path) -> None:
    """The title, the sentence, one prompt and what each compressor makes of it are seen without scrolling."""
    see(browser, 1440)
    visit(browser, page(rich))
    lead = run(browser, "return document.querySelector('.lead').textContent")
    assert lead == (
        "A compressor gives short codes to what it expects. So feed its decoder coin flips instead of a file, and it "
        "writes what it expects. Here three of them go on from the same words, at the same time."
    )
    assert run(browser, "return document.querySelectorAll('.prompt').length") == 1
    names = run(browser, "return [...document.querySelectorAll('.voice h2')].map((one) => one.textContent)")
    assert names == ["gzip", "counts", "null"], "the rules that weigh come later, on the wall"
    bottom = run(browser, "return document.getElementById('again').getBoundingClientRect().bottom")
    assert bottom < 844


def test_continuations_are_written_at_the_same_time(browser: Any, rich: Path) -> None:
    see(browser, moving=True)
    visit(browser, page(rich))
    said = """return [...document.querySelectorAll("[data-letters] .text")].map(
        (box) => box.querySelectorAll("span:not(.unsaid)").length)"""
    wait(browser, "document.querySelectorAll('.unsaid').length")
    time.sleep(0.4)
    first = run(browser, said)
    assert len(first) == 3
    assert len(set(first)) == 1, "all are as far"
    assert 0 < first[0] < 60
    wait(browser, "document.getElementById('again').textContent === 'Watch them write again'")
    assert run(browser, "return document.querySelectorAll('.unsaid').length") == 0
    run(browser, "document.getElementById('again').click()")
    wait(browser, "document.querySelector('.unsaid')")
    run(browser, "document.getElementById('again').click()")
    assert run(browser, "return document.querySelectorAll('.unsaid').length") == 0, "who does not like it stops it"


def test_pictures_and_sounds_are_what_they_should_be(browser: Any, site: Path) -> None:
    visit(browser, page(site))
    images = browser.execute_async_script("""
        const done = arguments[0], all = [...document.images];
        Promise.all(all.map(i => i.decode())).then(() => done(all.map(
            i => [i.naturalWidth, i.naturalHeight, i.getAttribute("src")])));""")
    assert [48, 48, "media/1-counts.png"] in images
    assert all(width and height for width, height, _ in images)
    durations = browser.execute_async_script("""
        const done = arguments[0], all = [...document.querySelectorAll("audio")];
        Promise.all(all.map(a => a.readyState ? 0 : new Promise(r => a.addEventListener("loadedmetadata", r))))
            .then(() => done(all.map(a => [a.duration, a.getAttribute("src")])));""")
    assert len(durations) == 2
    for seconds, name in durations:
        assert seconds == pytest.approx(soundfile.info(site / name).duration, abs=0.01)


def test_markup_and_control_bytes_are_text(browser: Any, site: Path) -> None:
    visit(browser, page(site))
    assert "<script>alert(1)</script>␀␛[31m␇" in run(browser, "return document.querySelector('pre.given').textContent")
    assert run(browser, "return document.querySelectorAll('pre script, .text script, h1 b').length") == 0
    visit(browser, page(site, "explorer.html"))
    assert "<script>" in run(browser, "return document.getElementById('line').textContent")


VISIBLE = "return [...document.querySelectorAll('section.row')].map(s => s.hidden ? 0 : "
VISIBLE += "s.querySelectorAll('article:not([hidden])').length)"


def choose(browser: Any, name: str, value: str) -> None:
    run(
        browser,
        "const e = document.getElementById(arguments[0]); e.value = arguments[1];"
        "e.dispatchEvent(new Event('input', {bubbles: true}));",
        name,
        value,
    )


def test_filters_and_sorting(browser: Any, site: Path) -> None:
    visit(browser, page(site))
    assert run(browser, VISIBLE) == [2, 3, 2]
    choose(browser, "medium", "image")
    assert run(browser, VISIBLE) == [0, 3, 0]
    choose(browser, "find", "GZIP")
    assert run(browser, VISIBLE) == [0, 2, 0]
    choose(browser, "rule", "one-step")
    assert run(browser, VISIBLE) == [0, 1, 0]  # the original stays
    for name in ("medium", "find", "rule"):
        choose(browser, name, "")
    order = "return [...document.querySelectorAll('#tiles article')].map(a => a.dataset[arguments[0]])"
    for key in ("real", "bpb", "reference", "distance", "copy", "seconds"):
        choose(browser, "sort", key)
        values = run(browser, order, key)[1:]
        assert values == sorted(values, key=float)
        assert len(values) == 2
    choose(browser, "sort", "")
    assert run(browser, order, "order") == ["1", "2", "3"]


def test_filters_rows_and_cells_have_an_address(browser: Any, rich: Path) -> None:
    visit(browser, page(rich))
    choose(browser, "medium", "image")
    choose(browser, "sort", "bpb")
    address = browser.current_url
    assert address.endswith("#?medium=image&sort=bpb")
    run(browser, "document.querySelector('#tiles h2 a').click()")
    address = browser.current_url
    assert address.endswith("#tiles?medium=image&sort=bpb")
    before = (
        run(browser, VISIBLE),
        run(browser, "return [...document.querySelectorAll('#tiles article')].map(a => a.id)"),
    )
    visit(browser, address)
    after = (
        run(browser, VISIBLE),
        run(browser, "return [...document.querySelectorAll('#tiles article')].map(a => a.id)"),
    )
    assert before == after
    assert before[0] == [0, 5, 5, 0]
    wait(browser, "Math.abs(document.getElementById('tiles').getBoundingClientRect().top) < 100")
    for row, column in (("log", "gzip"), ("tiles", "null"), ("strings", "counts")):
        visit(browser, page(rich, f"index.html#{row}/{column}"))
        assert run(browser, "return document.getElementById('closer').open")
        assert run(browser, "return document.getElementById('closer').dataset.of") == f"{row}/{column}"
    visit(browser, page(rich, "index.html#nothing/here?medium=wrong&rule=&x=1"))
    for name in ("index.html#%E0%A4%A", "distances.html#%E0%A4%A", "distances.html#log/none/gzip", "explorer.html#x"):
        visit(browser, page(rich, name))
    assert logs(browser)[0] == [], "an address that nobody made is no error"


def test_keys_work_in_a_cell_that_a_link_opened(browser: Any, rich: Path) -> None:
    from selenium.webdriver.common.keys import Keys

    visit(browser, page(rich, "index.html#tiles/gzip"))
    wait(browser, "document.activeElement.matches('#closer .shut')")
    browser.switch_to.active_element.send_keys(Keys.ARROW_RIGHT)
    wait(browser, "document.getElementById('closer').dataset.of === 'tiles/counts'")


def test_a_build_that_was_stopped_says_so(browser: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from compgen.gallery import cells
    from compgen.gallery import page as pages

    drawn = cells.draw_all

    def interrupted(*arguments: Any) -> Iterator[Any]:
        yield next(drawn(*arguments))
        raise KeyboardInterrupt

    monkeypatch.setattr(pages, "draw_all", interrupted)
    with pytest.raises(KeyboardInterrupt):
        built(tmp_path, CONFIG)
    visit(browser, page(tmp_path / "site"))
    said = "document.getElementById('building').innerText"
    wait(browser, f"{said}.startsWith('The build was stopped, and the same command goes on with it: 1 of 4')")
    monkeypatch.setattr(pages, "draw_all", drawn)
    built(tmp_path, CONFIG)
    wait(browser, f"{said}.startsWith('This gallery is being built: 4 of 4')")


def test_labels_differ(browser: Any, rich: Path) -> None:
    """Who hears the page rather than sees it can tell its buttons and links apart."""
    visit(browser, page(rich))
    labels = run(
        browser,
        """const all = document.querySelectorAll("#wall ~ section :is(button, summary, input, article, [download])");
        return [...all].map((one) => one.getAttribute("aria-label") || one.textContent)""",
    )
    assert len(labels) > 40
    assert len(set(labels)) == len(labels)


def test_a_closer_look_at_a_picture(browser: Any, rich: Path) -> None:
    from selenium.webdriver.common.keys import Keys

    visit(browser, page(rich))
    run(browser, "document.getElementById('tiles/gzip').querySelector('.open').click()")
    wait(browser, "document.querySelector('#closer .both img')?.style.width")
    assert browser.current_url.endswith("#tiles/gzip")
    sizes = """const img = document.querySelector("#closer .both img"), box = img.getBoundingClientRect();
        return [box.width / img.naturalWidth, box.height / img.naturalHeight];"""
    zoom = run(browser, sizes)
    assert zoom[0] == zoom[1]
    assert zoom[0] == int(zoom[0]) > 1
    run(browser, "document.querySelector('#closer [aria-label=larger]').click()")
    assert run(browser, sizes) == [zoom[0] + 1, zoom[0] + 1]
    # Above the handle stands what really was. It begins where the given part ends: nine tenths of 48 rows, whole ones.
    place = "return document.getElementById('handle').value"
    assert float(run(browser, place)) == pytest.approx(100 * 43 / 48, abs=0.06)
    clip = "return document.querySelectorAll('#closer .both img')[1].style.clipPath"
    before = run(browser, clip)
    run(browser, "const h = document.getElementById('handle'); h.value = 95; h.dispatchEvent(new Event('input'))")
    assert run(browser, clip) != before
    assert run(browser, clip).startswith("inset(0px 0px 5%")
    numbers = run(browser, "return document.querySelector('#closer dl').textContent")
    assert "gzip:rule=decoder" in numbers
    browser.switch_to.active_element.send_keys(Keys.ESCAPE)
    wait(browser, "!document.getElementById('closer').open")
    assert run(browser, "return document.activeElement.id") == "tiles/gzip"
    wait(browser, "location.hash === '#tiles'")


def test_rows_that_stand_alone_are_legible(browser: Any, rich: Path) -> None:
    """They were once drawn six screen pixels high; and the handle moves along the rows."""
    visit(browser, page(rich, "index.html#rows/counts"))
    wait(browser, "document.querySelector('#closer .both img')?.style.width")
    box = """const img = document.querySelector("#closer .both img"), box = img.getBoundingClientRect();
        return [box.width, box.height, img.naturalHeight]"""
    width, height, rows = run(browser, box)
    assert height / rows >= 4
    assert height % rows == width % 48 == 0
    assert float(run(browser, "return document.getElementById('handle').value")) == 50
    clip = run(browser, "return document.querySelectorAll('#closer .both img')[1].style.clipPath")
    assert re.match(r"inset\(0(px)? 50% 0(px)? 0(px)?\)", clip)


def test_a_closer_look_at_a_text(browser: Any, rich: Path) -> None:
    visit(browser, page(rich, "index.html#log/null"))
    assert run(browser, "return document.querySelectorAll('#closer .text span.here').length") == 1
    assert "cost 8.00 bits: it was expected at 0.39%" in run(
        browser, "return document.querySelector('#closer output').textContent"
    )
    run(browser, "document.querySelector('#closer .after').click()")
    wait(browser, "document.getElementById('closer').dataset.of !== 'log/null'")


def test_sound_plays_from_where_the_given_part_ends(browser: Any, rich: Path) -> None:
    visit(browser, page(rich))
    start = float(run(browser, "return document.querySelector('#strings .player').dataset.start"))
    assert start == pytest.approx(1200 / 1600 * 0.4 * 4, abs=2), "there is a part that is given"
    heads = run(browser, "return [...document.querySelectorAll('#strings .head')].map(h => h.style.left)")
    cuts = run(browser, "return [...document.querySelectorAll('#strings .cut')].map(h => h.style.left)")
    assert [float(one[:-1]) for one in heads] == pytest.approx([float(one[:-1]) for one in cuts], abs=0.1)
    run(
        browser,
        "window.sounds = [...document.querySelectorAll('#strings audio')];"
        "document.querySelector('#strings .go').click()",
    )
    wait(browser, "sounds[0].currentTime > 0.01 && !sounds[0].paused || sounds[0].ended")
    assert run(browser, "return sounds[0].currentTime") >= start - 0.05
    run(browser, "document.querySelectorAll('#strings .go')[1].click()")
    wait(browser, "sounds[0].paused")
    run(
        browser,
        "const r = document.querySelector('#strings input'); r.value = 0.1; r.dispatchEvent(new Event('input'))",
    )
    assert run(browser, "return sounds[0].currentTime") == pytest.approx(0.1, abs=0.01)
    run(browser, "document.querySelector('.hear').click()")
    wait(browser, "document.querySelector('.hear').getAttribute('aria-pressed') === 'true' || heard.ended")
    assert run(browser, "return sounds.every(one => one.paused)")
    assert logs(browser)[0] == []


def test_keys(browser: Any, site: Path) -> None:
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    visit(browser, page(site))
    focused = "return [...document.querySelectorAll('article')].indexOf(document.activeElement)"

    def press(key: str) -> None:
        browser.switch_to.active_element.send_keys(key)

    browser.find_element(By.TAG_NAME, "body").send_keys(Keys.ARROW_RIGHT)
    assert run(browser, focused) == 0
    press(Keys.ARROW_RIGHT)
    assert run(browser, focused) == 1
    press("j")
    assert run(browser, focused) == 3
    press("k")
    assert run(browser, focused) == 1
    for key in (Keys.ARROW_DOWN, Keys.PAGE_DOWN, Keys.SPACE, Keys.END):
        here = run(browser, "scrollTo(0, 0); return scrollY")
        press(key)
        wait(browser, f"scrollY > {here}")
        assert run(browser, focused) == 1, "keys that scroll are the page's"
    ground = "return getComputedStyle(document.body).backgroundColor"
    before = run(browser, ground)
    press("d")
    assert run(browser, ground) != before
    press("/")
    assert run(browser, "return document.activeElement.id") == "find"
    press("d")
    assert run(browser, "return document.getElementById('find').value") == "d"
    choose(browser, "find", "")
    run(browser, "document.getElementById('keys').click()")
    before = run(browser, ground)
    browser.find_element(By.ID, "tiles/counts").send_keys("d")
    assert run(browser, ground) == before, "single keys can be switched off"
    run(browser, "localStorage.clear()")


def test_the_theme_is_remembered(browser: Any, server: str) -> None:
    visit(browser, f"{server}/index.html")
    ground = "return getComputedStyle(document.body).backgroundColor"
    light = run(browser, ground)
    run(browser, "document.getElementById('theme').click()")
    dark = run(browser, ground)
    assert dark != light
    for name in ("index.html", "explorer.html", "distances.html"):
        visit(browser, f"{server}/{name}")
        assert run(browser, ground) == dark
        assert run(browser, "return document.getElementById('theme').getAttribute('aria-pressed')") == "true"
    run(browser, "document.getElementById('theme').click(); localStorage.clear()")
    see(browser, dark=True)
    visit(browser, f"{server}/index.html")
    assert run(browser, ground) == dark, "without a choice the system's theme is shown"


def test_the_explorer_moves(browser: Any, site: Path) -> None:
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    visit(browser, page(site, "explorer.html"))
    told = "return document.getElementById('told').textContent"
    assert run(browser, told).startswith("byte 1 of 30")
    body = browser.find_element(By.TAG_NAME, "body")
    body.send_keys(Keys.ARROW_RIGHT)
    assert run(browser, told).startswith("byte 2 of 30")
    body.send_keys(Keys.END)
    assert run(browser, told).startswith("byte 2 of 30"), "the end of the page is meant"
    browser.find_element(By.ID, "line").send_keys(Keys.END)
    assert run(browser, told).startswith("byte 30 of 30")
    assert run(browser, "return document.querySelectorAll('#bars article').length") == 2
    assert run(browser, "return document.querySelectorAll('#bars .real').length") == 2
    lit = run(
        browser,
        """
        const bar = document.querySelector(".bar");
        bar.dispatchEvent(new MouseEvent("mouseenter"));
        return [...document.querySelectorAll(".lit")].every(b => b.dataset.byte === bar.dataset.byte)
            && document.querySelectorAll(".lit").length > 0;""",
    )
    assert lit
    visit(browser, page(site, "explorer.html#7"))
    assert run(browser, told).startswith("byte 7 of 30"), "a place has an address"


def test_distances_open_the_places_of_disagreement(browser: Any, rich: Path) -> None:
    visit(browser, page(rich, "distances.html"))
    numbers = run(
        browser,
        """return [...document.querySelectorAll("#log .matrix tbody tr")].map(
            (row) => [...row.cells].slice(1).map((cell) => parseFloat(cell.textContent) || 0))""",
    )
    assert np.allclose(numbers, np.array(numbers).T)
    assert np.shape(numbers) == (4, 4)
    assert 0 < np.max(numbers) <= 1
    run(browser, "document.querySelector('#log .matrix a[href$=\"gzip/null\"]').click()")
    wait(browser, "document.querySelector('#log h3').textContent.startsWith('gzip and null')")
    assert browser.current_url.endswith("#log/gzip/null")
    assert run(browser, "return document.querySelectorAll('#log .place').length") >= 2
    assert run(
        browser,
        "return [...document.querySelectorAll('#log .place')].every(p => p.querySelectorAll('.bar.real').length === 2)",
    )
    visit(browser, page(rich, "distances.html#strings/counts/null"))
    assert run(browser, "return document.querySelector('#strings h3').textContent").startswith("counts and null")
    assert logs(browser)[0] == []


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_sticks_out_and_cards_align(browser: Any, rich: Path, width: int) -> None:
    see(browser, width)
    for name in ("index.html", "distances.html", "explorer.html", "index.html#tiles/gzip", "index.html#strings/gzip"):
        visit(browser, page(rich, name))
        assert run(browser, "return document.documentElement.scrollWidth <= innerWidth"), name
        assert run(browser, "return innerWidth") == width, name
    visit(browser, page(rich))
    cards = run(
        browser,
        """return [...document.querySelectorAll(".cells")].map((cells) => [cells.getBoundingClientRect().right,
        [...cells.children].map((card) => { const box = card.getBoundingClientRect();
            const inside = [".show", "footer"].map((part) => card.querySelector(part).getBoundingClientRect());
            return [box.top, box.bottom, box.right, inside[0].top, inside[1].bottom]; })])""",
    )
    assert len(cards) == 4
    voices = run(
        browser,
        """const all = document.getElementById("voices");
        return [all.lastElementChild, all].map((one) => Math.round(one.getBoundingClientRect().right))""",
    )
    assert voices[0] == voices[1], "no place of the first screen is empty"
    zooms = run(
        browser,
        """return [...document.querySelectorAll(".cells img[width]")].map(
            (one) => one.getBoundingClientRect().width / one.naturalWidth)""",
    )
    assert len(zooms) == 10
    assert all(zoom == int(zoom) >= 2 for zoom in zooms), "all pixels of a picture have the same size"
    for edge, boxes in cards:
        for top in {box[0] for box in boxes}:
            line = np.array([box for box in boxes if box[0] == top])
            assert np.ptp(line[:, [0, 1, 3, 4]], axis=0).max() < 1, "cards, pictures and numbers of a line align"
        assert max(box[2] for box in boxes) == pytest.approx(edge, abs=1), "the grid fills the screen"


def test_a_phone_shows_a_row_in_under_four_screens(browser: Any, rich: Path) -> None:
    see(browser, 390)
    visit(browser, page(rich))
    heights = run(
        browser, "return [...document.querySelectorAll('section.row')].map(s => s.getBoundingClientRect().height / 844)"
    )
    assert len(heights) == 4
    assert max(heights) < 4


@pytest.mark.parametrize(
    "name",
    [
        "index.html",
        "distances.html",
        "explorer.html",
        "index.html#tiles/gzip",
        "index.html#strings/gzip",
        "index.html#log/gzip",
    ],
)
def test_axe_finds_nothing_serious(browser: Any, rich: Path, name: str, axe_core: str) -> None:
    found = {}
    for width in WIDTHS if "#" not in name else (1440, 390):
        for dark in (False, True) if "#" not in name else (width < 1000,):
            see(browser, width, dark)
            visit(browser, page(rich, name))
            if broken := violations(browser, axe_core):
                found[width, dark] = broken
    assert found == {}
    assert logs(browser)[0] == []
