"""Reads a built book as a reader would: what is on a page, and what is wrong with it."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from urllib.parse import unquote, urldefrag

from bs4 import BeautifulSoup

from sercore.ledger.rule import VERDICTS

#: Folders of a machine; a page that names one says where it was built.
ABSOLUTE = re.compile(r"(?<![\w.:/])/(?:home|root|tmp|work|opt|usr|var|mnt|Users|builds?|runner)/[\w.-]+")


def parse(page: Path) -> BeautifulSoup:
    return BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser")


def faults_of_chapter(soup: BeautifulSoup) -> list[str]:
    """Why a page is no finished chapter; empty for one that is."""
    faults = []
    outputs = soup.select(".cell_output")
    words = " ".join(output.get_text(" ") for output in outputs)
    pictures = [picture for output in outputs for picture in output.find_all("img")]
    if not outputs:
        faults.append("no outputs: the chapter was not executed")
    if not any(output.find("table") for output in outputs):
        faults.append("no table")
    if not pictures:
        faults.append("no figure")
    faults += [f"a figure without alt text: {picture.get('src')}" for picture in pictures if not useful_alt(picture.get("alt"))]
    if not any(verdict in words for verdict in VERDICTS):
        faults.append("no verdict")
    if "Traceback (most recent call last)" in soup.get_text() or soup.select(".output.traceback"):
        faults.append("a traceback")
    return faults


def useful_alt(text: str | None) -> bool:
    """Sphinx fills a missing alt with the picture's path or a hash: that describes nothing."""
    return bool(text) and len(str(text).split()) >= 3 and not str(text).endswith(".png")


def broken_links(page: Path, soup: BeautifulSoup, site: Path) -> list[str]:
    """Internal links, pictures, scripts and styles that lead nowhere, fragments included."""
    broken, own = [], anchors_of(soup)
    for element, attribute in [*((e, "href") for e in soup.select("a[href], link[href]")), *((e, "src") for e in soup.select("[src]"))]:
        address = str(element[attribute])
        if re.match(r"[a-z]+:|//", address) or address in ("", "#"):
            continue
        path, fragment = urldefrag(address)
        target = (page.parent / unquote(path.split("?")[0])).resolve() if path.split("?")[0] else page
        there = target.is_file() and target.is_relative_to(site)
        needs_anchor = bool(fragment) and target.suffix == ".html"
        if not there or (needs_anchor and unquote(fragment) not in (own if target == page else anchors(target, target.stat().st_mtime_ns))):
            broken.append(address)
    return broken


def anchors_of(soup: BeautifulSoup) -> frozenset[str]:
    """Names of places in a page that a link can lead to."""
    return frozenset(str(element[key]) for key in ("id", "name") for element in soup.find_all(attrs={key: True}))


@lru_cache(maxsize=256)
def anchors(page: Path, changed: int) -> frozenset[str]:
    """`anchors_of` a file, read once: every page links to every other. `changed` is its time, so that an edited page is read again."""
    del changed
    return anchors_of(parse(page))


def remote_assets(soup: BeautifulSoup) -> list[str]:
    """Scripts, styles, fonts and pictures that a reader without a network would miss."""
    loaded = [str(e["src"]) for e in soup.select("script[src], img[src], iframe[src], audio[src], source[src]")]
    loads = {"stylesheet", "preload", "icon", "modulepreload"}
    loaded += [str(e["href"]) for e in soup.select("link[href]") if loads & set(e.get("rel") or ())]
    return [address for address in loaded if re.match(r"https?:|//", address)]
