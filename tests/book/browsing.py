"""Looks at built pages in headless Chromium as a reader would: what it logs, what does not load, what cannot be read or touched."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

PHONE, DESK = {"width": 390, "height": 844}, {"width": 1280, "height": 900}
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
SWITCHES = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--disable-dev-shm-usage",
]  # fmt: skip
LEAST_TEXT_PX, LEAST_TARGET_PX, LEAST_CONTRAST = 14, 24, 4.5

_SEEN = """(limits) => {
 const faults=[], width=document.documentElement.clientWidth, words=e=>(e.textContent||e.ariaLabel||'').trim().slice(0,40);
 const here=document.querySelector('.bd-article')||document.body;
 const shown=e=>{const r=e.getBoundingClientRect();return r.width>1&&r.height>1&&e.checkVisibility({visibilityProperty:true})
   &&!e.closest('[style*="clip"], .visually-hidden, .headerlink, thead')};
 const scrolls=e=>{for(let p=e.parentElement;p;p=p.parentElement)
   if(/auto|scroll/.test(getComputedStyle(p).overflowX))return true;return false};
 if(document.documentElement.scrollWidth>width+1)faults.push('the page is '+document.documentElement.scrollWidth+' px wide');
 for(const e of here.querySelectorAll('table,pre,img,figure'))
   if(shown(e)&&e.getBoundingClientRect().right>width+1&&!scrolls(e))faults.push('does not scroll: '+e.tagName+' '+words(e));
 const small={};
 for(const e of here.querySelectorAll('*')){
   if(e.closest('math,svg,sup,sub,mjx-container,script,style')||!shown(e))continue;
   if(![...e.childNodes].some(n=>n.nodeType===3&&n.textContent.trim()))continue;
   const size=parseFloat(getComputedStyle(e).fontSize);
   if(size<limits.text-0.05){const k=e.tagName.toLowerCase()+' '+size.toFixed(1)+' px';small[k]=small[k]||words(e)}}
 for(const k in small)faults.push('small text: '+k+': '+small[k]);
 for(const e of here.querySelectorAll('button,select,input:not([type=hidden]),summary')){
   const r=e.getBoundingClientRect();
   if(shown(e)&&(r.height<limits.target-0.5||r.width<limits.target-0.5))faults.push('small target: '+e.tagName.toLowerCase()+' '+words(e))}
 return faults}"""

_CONTRAST = """(least) => {
 const parse=c=>{const m=/rgba?\\(([^)]+)\\)/.exec(c);if(!m)return null;
   const v=m[1].split(/[ ,/]+/).map(Number);return [v[0],v[1],v[2],v[3]??1]};
 const over=(a,b)=>[0,1,2].map(i=>a[i]*a[3]+b[i]*(1-a[3])).concat(1);
 const light=c=>{const f=c.slice(0,3).map(x=>{x/=255;
   return x<=.03928?x/12.92:((x+.055)/1.055)**2.4});return .2126*f[0]+.7152*f[1]+.0722*f[2]};
 const behind=e=>{const layers=[];for(let p=e;p;p=p.parentElement){const c=parse(getComputedStyle(p).backgroundColor);
   if(c&&c[3]>0){layers.push(c);if(c[3]===1)break}}return layers.reverse().reduce((b,c)=>over(c,b),[255,255,255,1])};
 const found={},here=document.querySelector('.bd-article')||document.body;
 for(const e of here.querySelectorAll('*')){
   if(e.closest('svg,script,style,.headerlink')||!e.checkVisibility({visibilityProperty:true,opacityProperty:true}))continue;
   if(![...e.childNodes].some(n=>n.nodeType===3&&n.textContent.trim()))continue;
   const style=getComputedStyle(e),ink=parse(style.color),paper=behind(e);if(!ink)continue;
   const a=light(over(ink,paper)),b=light(paper),ratio=(Math.max(a,b)+.05)/(Math.min(a,b)+.05);
   const large=parseFloat(style.fontSize)>=24||(parseFloat(style.fontSize)>=18.6&&+style.fontWeight>=700);
   if(ratio<(large?3:least)){const k=style.color+' on '+paper.slice(0,3).map(Math.round);found[k]=found[k]||
     e.tagName.toLowerCase()+' '+e.textContent.trim().slice(0,40)+' ('+ratio.toFixed(1)+')'}}
 return Object.entries(found).map(([k,v])=>'low contrast: '+k+': '+v)}"""


def chromium() -> str | None:
    """Path of a Chromium of this machine, if there is one."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address under which a folder is served on this machine."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def visited(browser: Any, address: str, viewport: dict[str, int] = DESK, scheme: str = "light") -> Iterator[tuple[Any, list[str]]]:
    """A page that has settled, and what went wrong on the way: errors logged or thrown, requests that failed or left the machine."""
    context = browser.new_context(viewport=viewport, color_scheme=scheme)
    page, wrong = context.new_page(), []
    origin = "/".join(address.split("/")[:3])
    page.on("console", lambda said: wrong.append(f"console: {said.text}") if said.type == "error" and not _asks_for_icon(said) else None)
    page.on("pageerror", lambda error: wrong.append(f"thrown: {error}"))
    page.on("requestfailed", lambda request: wrong.append(f"failed: {request.url}"))
    page.on("response", lambda answer: wrong.append(f"{answer.status}: {answer.url}") if answer.status >= 400 else None)
    page.on("request", lambda r: None if r.url.startswith((origin, "data:", "blob:")) else wrong.append(f"leaves the machine: {r.url}"))
    try:
        page.goto(address, wait_until="load")
        page.wait_for_function("document.fonts.status === 'loaded'")
        yield page, wrong
    finally:
        context.close()


def _asks_for_icon(message: Any) -> bool:
    """A browser asks every site for an icon, whether a page names one or not."""
    return message.location.get("url", "").endswith("/favicon.ico")


def unseen_pictures(page: Any) -> list[str]:
    """Pictures that the browser could not draw."""
    page.evaluate("Promise.all([...document.images].map(i => {i.loading = 'eager'; return i.decode().catch(() => null)}))")
    return page.evaluate("[...document.images].filter(i => !i.naturalWidth).map(i => i.getAttribute('src').slice(0, 80))")


def unreadable(page: Any) -> list[str]:
    """What a reader with a narrow screen cannot read or touch; for a page opened at that width."""
    return page.evaluate(_SEEN, {"text": LEAST_TEXT_PX, "target": LEAST_TARGET_PX})


def low_contrast(page: Any) -> list[str]:
    """Text that is hard to tell from what is behind it (WCAG 2.1, AA)."""
    return page.evaluate(_CONTRAST, LEAST_CONTRAST)


# --- the table of all published numbers ---------------------------------------------------------------------------------------------------


def ledger_rows(page: Any) -> list[dict[str, str]]:
    """All rows that the table holds, from its data and not from what it shows."""
    data = json.loads(page.text_content('#ledger-rows script[type="application/json"]'))
    return [dict(zip(data["columns"], [data["words"][i] for i in row], strict=True)) for row in data["rows"]]


def _shown(page: Any) -> list[dict[str, str]]:
    """The rows on the screen, by column; the id stands inside the second cell."""
    return page.evaluate("""() => [...document.querySelectorAll('#ledger-rows tbody tr')].map(tr => {
      const row={};for(const td of tr.cells){const id=td.querySelector('.id');if(id)row.id=id.textContent;
      row[td.dataset.h]=td.firstChild?td.firstChild.textContent:''}return row})""")


def _counted(page: Any) -> int:
    said = page.text_content("#ledger-rows .lg-count")
    return 0 if said == "no row matches" else int(said.split(" of ")[-1].split()[0])


def faults_of_ledger(page: Any) -> list[str]:
    """Search, filter, sort and turn the pages, and compare with the same done on the data."""
    rows, faults = ledger_rows(page), []

    def compare(what: str, expected: list[dict[str, str]]) -> None:
        shown = _shown(page)
        if _counted(page) != len(expected):
            faults.append(f"{what}: {_counted(page)} rows counted, {len(expected)} expected")
        elif [r["id"] for r in shown] != [r["id"] for r in expected[: len(shown)]] or not shown:
            faults.append(f"{what}: other rows are shown than expected")

    compare("at first", rows)
    page.fill(".lg-search", "ravdess h64")
    compare("search", [r for r in rows if all(word in " ".join(r.values()).lower() for word in ("ravdess", "h64"))])
    page.fill(".lg-search", "")
    for column in ("verdict", "source"):
        choice = rows[-1][column]
        page.select_option(f".lg-{column}", choice)
        compare(f"filter by {column}", [r for r in rows if r[column] == choice])
        page.select_option(f".lg-{column}", "")
    if not page.is_enabled("#ledger-rows .lg-next"):
        return [*faults, "next: there is no second page"]
    page.click("#ledger-rows .lg-next")
    if _shown(page)[0]["id"] != rows[50]["id"]:
        faults.append("next: the second page does not begin with row 51")
    page.fill(".lg-search", "uar")  # rows with a number
    for column in ("verdict", "published"):
        head = page.locator("#ledger-rows th", has_text=column).first
        for direction in ("ascending", "descending"):
            head.locator("button").click()
            faults += [f"sort by {column}, {direction}: {fault}" for fault in _sorting(page, head, column, direction)]
    return faults


def _sorting(page: Any, head: Any, column: str, direction: str) -> list[str]:
    values = [row[column] for row in _shown(page)]
    numbers = [float(v.split()[0].rstrip("%").replace(",", "")) for v in values if v[:1].isdigit()]
    keys: list[Any] = values if column == "verdict" else numbers
    expected = sorted(keys, reverse=direction == "descending")
    wrong = [] if head.get_attribute("aria-sort") == direction else ["the head does not say so"]
    return wrong + ([] if keys and keys == expected else ["rows are not in order"])
