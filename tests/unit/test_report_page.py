"""The HTML page in a real browser: what a reader sees and does."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
import report_documents as documents
from chromium import chromium, emulate
from PIL import Image
from selenium.webdriver import Chrome, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

from faultline.report.document import Document
from faultline.report.html import html

#: One browser for all tests of the file.
pytestmark = pytest.mark.xdist_group("browser")
PHONE = 360
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    """Chromium without a window.  It is no reason to skip that it is missing: ``make setup`` installs it."""
    driver = chromium(tmp_path_factory.mktemp("chromium"))
    yield driver
    driver.quit()


@pytest.fixture
def show(browser: Chrome, tmp_path: Path):
    """Opens the page of a document, ``show(document, width=..., scheme=..., media=...)``."""

    def open_page(
        document: Document, *, width: int = 1100, height: int = 900, scheme: str = "light", media: str = ""
    ) -> Chrome:
        file = tmp_path / "report.html"
        file.write_text(html(document))
        emulate(browser, width=width, height=height, scheme=scheme, media=media)
        browser.get("about:blank")
        browser.get(file.as_uri())
        return browser

    return open_page


def colours(page: Chrome) -> dict[tuple[int, ...], float]:
    """The colours of a screenshot that take more than a thousandth of it, with their share."""
    image = Image.open(io.BytesIO(page.get_screenshot_as_png())).convert("RGB")
    found = image.getcolors(1 << 24)
    assert found is not None
    total = image.width * image.height
    return {colour: count / total for count, colour in found if count > total / 1000}


def tab_to(page: Chrome, wanted: WebElement) -> None:
    """Presses Tab until an element has the focus."""
    for _ in range(200):
        if page.switch_to.active_element == wanted:
            return
        page.switch_to.active_element.send_keys(Keys.TAB)
    raise AssertionError("the keyboard does not lead there")


def picture_text(picture: WebElement) -> list[str]:
    return [node.get_attribute("textContent") or "" for node in picture.find_elements(By.CSS_SELECTOR, "text")]


def test_the_verdict_is_read_first(show) -> None:
    page = show(documents.made([documents.lost_bit(), documents.judged(documents.PROTECTED, "bug_in_fork")]))
    assert page.find_element(By.TAG_NAME, "h1").text == "2 findings"
    assert "debian:6.12 + t5.cocci" in page.find_element(By.ID, "verdict").text
    assert page.title.startswith("2 findings: debian:6.12 + t5.cocci")
    levels = [int(node.tag_name[1]) for node in page.find_elements(By.CSS_SELECTOR, "h1,h2,h3") if node.text]
    assert levels[0] == 1
    assert all(b <= a + 1 for a, b in pairwise(levels)), "no level of headings is left out"


@pytest.mark.parametrize(
    ("document", "says"),
    [
        (documents.made(), "No finding"),
        (documents.made(interrupted=True, verdict="interrupted"), "Interrupted: no finding up to then"),
        (documents.made([documents.lost_bit()], ended=False), "Not at its end: 1 finding so far"),
        (documents.made(verdict="not-tested", reach=documents.made(reach=documents.reach()).reach), "Not tested"),
    ],
)
def test_every_verdict_has_its_words(show, document: Document, says: str) -> None:
    page = show(document)
    assert page.find_element(By.TAG_NAME, "h1").text == says
    assert len(colours(page)) > 3


def test_a_finding_is_opened_by_keyboard_and_its_picture_seen(show) -> None:
    page = show(documents.made([documents.judged(documents.PROTECTED, "bug_in_fork"), documents.lost_bit()]))
    finding = page.find_element(By.ID, "finding-2")
    picture = finding.find_element(By.CSS_SELECTOR, "svg.lanes")
    assert not picture.is_displayed()
    summary = finding.find_element(By.CSS_SELECTOR, "summary")
    tab_to(page, summary)
    assert summary.value_of_css_property("outline-style") == "solid", "the focus is seen"
    summary.send_keys(Keys.ENTER)
    assert picture.is_displayed()
    assert picture.size["width"] > 400
    assert picture.size["height"] > 200
    said = picture_text(picture)
    for text in ("p0.0", "m  (monitor)", "mmap a0+4 rw", "uffd-wp u0 a0+4", "fork p1", "expected", "happened"):
        assert text in said
    assert any(text.startswith("lost-bit: operation 6 of 7") for text in said)
    about = picture.find_element(By.TAG_NAME, "desc").get_attribute("textContent")
    assert "6. p0.0 fork p1: done." in (about or "")


def test_a_link_of_the_list_opens_its_finding(show) -> None:
    page = show(documents.made([documents.lost_bit(), documents.judged(documents.PROTECTED, "bug_in_fork")]))
    link = page.find_element(By.CSS_SELECTOR, "a[href='#finding-2']")
    tab_to(page, link)
    link.send_keys(Keys.ENTER)
    assert page.find_element(By.CSS_SELECTOR, "#finding-2 svg.lanes").is_displayed()


def test_the_first_stop_of_the_keyboard_leads_past_the_head(show) -> None:
    page = show(documents.made([documents.lost_bit()]))
    page.find_element(By.TAG_NAME, "body").send_keys(Keys.TAB)
    skip = page.switch_to.active_element
    assert skip.text == "Skip to the content"
    assert skip.rect["x"] >= 0
    skip.send_keys(Keys.ENTER)
    assert page.switch_to.active_element.get_attribute("id") == "content"


def test_the_picture_shows_where_expectation_and_fact_part(show) -> None:
    page = show(documents.made([documents.lost_bit()]))
    picture = page.find_element(By.CSS_SELECTOR, "#finding-1 svg.lanes")
    wanted, fact = (picture.find_element(By.CSS_SELECTOR, f".{name}").rect for name in ("wanted", "fact"))
    assert wanted["y"] < fact["y"]
    assert wanted["x"] == fact["x"]
    here = picture.find_element(By.CSS_SELECTOR, ".op.here")
    assert "fork p1" in (here.get_attribute("textContent") or "")
    assert [t for t in picture_text(picture) if t.startswith("p0 a")] == ["p0 a0", "p0 a1–a3"]
    gone = [node.get_attribute("textContent") for node in picture.find_elements(By.CSS_SELECTOR, ".gone")]
    assert any("uffd-wp" in (text or "") for text in gone)


INSIDE = """
return [...document.querySelectorAll('svg')].flatMap(svg => {
  const whole = svg.viewBox.baseVal;
  return [...svg.querySelectorAll('text')].filter(node => {
    const box = node.getBBox();
    const [right, bottom] = [box.x + box.width, box.y + box.height];
    return box.width && (box.x < 0 || box.y < 0 || right > whole.width + 1 || bottom > whole.height);
  }).map(node => node.textContent);
});
"""
IN_ITS_BOX = """
return [...document.querySelectorAll('svg.lanes .op')].flatMap(op => {
  const box = op.querySelector('.call').getBBox();
  return [...op.querySelectorAll('.text, .outcome')].filter(node => {
    const text = node.getBBox();
    return text.x + text.width > box.x + box.width || text.y + text.height > box.y + box.height + 1;
  }).map(node => node.textContent);
});
"""
OVERLAPS = """
const found = [];
for (const svg of document.querySelectorAll('svg.lanes')) {
  const boxes = [...svg.querySelectorAll('text')].map(node => [node, node.getBBox()]).filter(([, box]) => box.width);
  boxes.forEach(([a, p], i) => boxes.slice(i + 1).forEach(([b, q]) => {
    const wide = Math.min(p.x + p.width, q.x + q.width) - Math.max(p.x, q.x);
    const high = Math.min(p.y + p.height, q.y + q.height) - Math.max(p.y, q.y);
    if (wide > 1 && high > 4) found.push(a.textContent + ' | ' + b.textContent);
  }));
}
return found;
"""


def test_the_text_of_pictures_keeps_to_its_place(show) -> None:
    page = show(documents.made(documents.all_kinds(), diff=documents.DIFF, reach=documents.reach()))
    page.execute_script("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    assert len(page.find_elements(By.CSS_SELECTOR, "svg.lanes")) == len(documents.all_kinds())
    assert page.execute_script(INSIDE) == []
    assert page.execute_script(IN_ITS_BOX) == []
    assert page.execute_script(OVERLAPS) == []


def test_on_a_phone_nothing_needs_scrolling_sideways(show) -> None:
    page = show(documents.made(documents.all_kinds(), diff=documents.DIFF, reach=documents.reach()), width=PHONE)
    page.execute_script("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    assert page.execute_script("return document.documentElement.scrollWidth") == PHONE
    assert page.execute_script("return window.visualViewport.scale") == 1
    picture = page.find_element(By.CSS_SELECTOR, "#finding-1 .scroll:has(svg)")
    assert picture.get_attribute("tabindex") == "0", "what scrolls by itself takes the keyboard"
    assert page.execute_script("return arguments[0].scrollWidth > arguments[0].clientWidth", picture)
    assert len(colours(page)) > 3


CONTRAST = """
const parse = text => (text.match(/[\\d.]+/g) || []).map(Number);
const linear = value => (value /= 255) <= .04045 ? value / 12.92 : ((value + .055) / 1.055) ** 2.4;
const light = rgb => .2126 * linear(rgb[0]) + .7152 * linear(rgb[1]) + .0722 * linear(rgb[2]);
const paper = node => {
  for (; node; node = node.parentElement) {
    const rgb = parse(getComputedStyle(node).backgroundColor);
    if (rgb.length === 3 || rgb[3] > 0) return rgb;
  }
  return [255, 255, 255];
};
const hasText = node => [...node.childNodes].some(child => child.nodeType === 3 && child.textContent.trim());
const bad = [];
for (const node of document.querySelectorAll('body *:not(svg *)')) {
  if (!hasText(node) || !node.checkVisibility() || ['SCRIPT', 'STYLE'].includes(node.tagName)) continue;
  const a = light(parse(getComputedStyle(node).color)), b = light(paper(node));
  const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
  if (ratio < 4.5) bad.push([node.className, node.textContent.slice(0, 30), ratio]);
}
return bad;
"""


@pytest.mark.parametrize(("scheme", "media"), [("light", ""), ("dark", ""), ("dark", "print")])
def test_text_stands_out_from_its_paper(show, scheme: str, media: str) -> None:
    document = documents.made(documents.all_kinds()[:3], diff=documents.DIFF, reach=documents.reach())
    page = show(document, scheme=scheme, media=media)
    assert page.execute_script(CONTRAST) == []


def test_dark_is_dark_and_print_is_not(show) -> None:
    document = documents.made([documents.lost_bit()], diff=documents.DIFF)
    paper = {}
    for name, scheme, media in (("light", "light", ""), ("dark", "dark", ""), ("print", "dark", "print")):
        found = colours(show(document, scheme=scheme, media=media))
        assert len(found) > 5, "there is something on it"
        paper[name] = max(found, key=lambda colour: found[colour])
    assert min(paper["light"]) > 240
    assert max(paper["dark"]) < 60
    assert min(paper["print"]) > 240


def test_print_has_all_findings_and_no_menu(show) -> None:
    findings = [documents.lost_bit(), documents.judged(documents.PROTECTED, "bug_in_fork")]
    page = show(documents.made(findings), media="print")
    assert page.find_element(By.CSS_SELECTOR, "#finding-2 svg.lanes").rect["height"] > 100
    assert not page.find_element(By.TAG_NAME, "nav").is_displayed()
    paper = page.execute_cdp_cmd("Page.printToPDF", {"printBackground": True})
    assert len(paper["data"]) > 20_000


def test_the_page_loads_nothing(show) -> None:
    document = documents.made(documents.all_kinds(), diff=documents.DIFF)
    page = show(document)
    assert page.execute_script("return performance.getEntriesByType('resource').length") == 0
    assert not re.findall(r"""\b(?:src|srcset|action|data)=|href="[^#]|@import|url\(""", html(document))
    assert [entry for entry in page.get_log("browser") if entry["level"] == "SEVERE"] == []


def test_the_patch_is_coloured_by_reach_and_its_text_is_text(show) -> None:
    page = show(documents.made(diff=documents.DIFF, reach=documents.reach()))
    rows = {row.get_attribute("class"): row for row in page.find_elements(By.CSS_SELECTOR, ".diff tr")}
    assert "userfaultfd_pte_wp" in rows["added partly"].text
    assert '<script>alert("a name & more")</script>' in rows["added partly"].text
    assert "handle_userfault" in rows["added not-reached"].text
    assert "never ran" in (rows["added not-reached"].get_attribute("textContent") or "")
    assert rows["added partly"].find_element(By.CSS_SELECTOR, ".never").text == "never userfaultfd_pte_wp(): false"
    assert "1 changed line never ran" in page.find_element(By.CSS_SELECTOR, ".alert").text
    kinds = {rows[name].find_element(By.TAG_NAME, "td").value_of_css_property("color") for name in
             ("added partly", "added not-reached", "added no-code")}  # fmt: skip
    assert len(kinds) == 3


def test_what_the_patches_cost_is_a_table_for_each_operation(show) -> None:
    page = show(documents.made(cost=documents.cost()), width=PHONE)
    section = page.find_element(By.CSS_SELECTOR, "section[aria-labelledby=cost]")
    assert "8 operations cost something else in 3,990 programs" in section.text
    assert "regions of code that run in the changed files: +0.08 %" in section.text
    first, *others = section.find_elements(By.TAG_NAME, "details")
    cells = [[cell.text for cell in row.find_elements(By.TAG_NAME, "td")] for row in
             first.find_elements(By.CSS_SELECTOR, "tbody tr")]  # fmt: skip
    assert cells == [
        ["TLB flushes", "0.83", "1.67", "+100 %", "1,000 of 1,200"],
        ["other CPUs told to flush", "0.00", "0.83", "was none", "1,000 of 1,200"],
    ]
    assert first.find_element(By.TAG_NAME, "pre").text == "p0.0 mmap a0 rw\np0.0 mprotect a0 r"
    assert [bool(one.get_attribute("open")) for one in others] == [True] * 3 + [False] * 4
    assert page.execute_script("return document.documentElement.scrollWidth") == PHONE
    assert "Cost" in page.find_element(By.TAG_NAME, "nav").text
    assert not show(documents.made()).find_elements(By.CSS_SELECTOR, "section[aria-labelledby=cost]")


def test_a_series_is_told_patch_by_patch(show) -> None:
    page = show(documents.made([documents.lost_bit()], series=documents.series()), width=PHONE)
    rows = page.find_elements(By.CSS_SELECTOR, "section[aria-labelledby=series] tbody tr")
    assert [row.find_element(By.CSS_SELECTOR, ".state").text for row in rows] == [
        "clean", "findings", "fixes", "not-tested", "does-not-compile", "does-not-apply",
    ]  # fmt: skip
    assert "brings unlock-not-owner:write:handle_userfault" in rows[1].text
    assert "broken between 2/6 and 3/6" in page.find_element(By.CSS_SELECTOR, "section .alert").text
    assert page.find_element(By.TAG_NAME, "h1").text == "1 finding, and 1 that a later patch mends"
    assert page.execute_script("return document.documentElement.scrollWidth") == PHONE


def test_the_course_is_plotted(show) -> None:
    page = show(documents.made([documents.lost_bit()], reach=documents.reach()))
    names = [node.text for node in page.find_elements(By.CSS_SELECTOR, ".plots figcaption strong")]
    assert names == ["Programs per second", "Programs", "Findings", "Changed lines and branches that ran"]
    curves = page.find_elements(By.CSS_SELECTOR, "svg.plot .curve")
    assert all(curve.rect["width"] > 100 for curve in curves)


def test_the_picture_in_the_readme_is_there_and_modest() -> None:
    assert "](docs/report.png)" in (ROOT / "README.md").read_text()
    assert (ROOT / "docs/report.png").stat().st_size < 150_000
    image = Image.open(ROOT / "docs/report.png")
    assert image.width > 600
    assert len(image.convert("RGB").getcolors(1 << 24) or ()) > 20
