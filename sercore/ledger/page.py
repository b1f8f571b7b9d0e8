"""All rows of the ledger in one HTML table that can be searched, filtered and sorted, without a network and from a file.

A few lines of script of our own, as a table library from elsewhere would be larger than the data. Rows are drawn a page at a time, so two
thousand of them cost nothing; on a narrow screen each row becomes a card. Texts that repeat (reasons, mostly) are stored once.
"""

from __future__ import annotations

import html
import json
from collections.abc import Sequence
from typing import Any

from sercore.provenance import Origin, Shown

_STYLE = """
.lg{--line:var(--pst-color-border,#c9c9c9);font-size:.85rem}
.lg-bar{display:flex;flex-wrap:wrap;gap:.6rem;margin:.5rem 0;align-items:end}
.lg-bar label{display:flex;flex-direction:column;font-weight:600}
.lg-bar input,.lg-bar select,.lg button{font:inherit;font-weight:400;margin:0;padding:.3rem .5rem;border:1px solid var(--line);
 border-radius:4px;background:var(--pst-color-background,#fff);color:inherit}
.lg-bar input{min-width:14rem}
.lg button{cursor:pointer}.lg button:disabled{opacity:.4;cursor:default}
.lg table{width:100%;border-collapse:collapse;table-layout:fixed;margin:.4rem 0}
.lg th,.lg td{text-align:left;vertical-align:top;padding:.3rem .4rem;border-bottom:1px solid var(--line);overflow-wrap:anywhere}
.lg th{overflow-wrap:normal;font-size:.9em}
.lg th button{all:unset;cursor:pointer;font-weight:600}.lg th button:focus-visible{outline:2px solid currentColor}
.lg th[aria-sort=ascending] button::after{content:" \\25B2"}.lg th[aria-sort=descending] button::after{content:" \\25BC"}
.lg .id{display:block;font-size:.72rem;opacity:.8}
@media (max-width:760px){.lg,.lg .id{font-size:.875rem}
 .lg thead{position:absolute;clip-path:inset(50%)}.lg table,.lg tbody,.lg tr,.lg td{display:block;width:100%}
 .lg tr{border:1px solid var(--line);border-radius:6px;margin:.5rem 0;padding:.3rem}.lg td{border:0;padding:.15rem .3rem}
 .lg td:empty{display:none}.lg td::before{content:attr(data-h) ": ";font-weight:600}.lg-bar label,.lg-bar input{width:100%;min-width:0}}
"""

_SCRIPT = """
(function(){
const root=document.getElementById(ID),data=JSON.parse(root.querySelector('script[type="application/json"]').textContent);
const words=data.words,cols=data.columns,rows=data.rows.map(r=>r.map(i=>words[i]));
const plain=rows.map(r=>r.join(' ').toLowerCase());
const col=name=>cols.indexOf(name),at={source:col('source'),verdict:col('verdict'),id:col('id')},HIDDEN=2;
const q=s=>root.querySelector(s),body=q('tbody'),count=q('.lg-count');
let shown=[],page=0,by=-1,up=1;const SIZE=50;
const number=t=>{const m=/^-?[0-9][0-9.,]*(e-?[0-9]+)?/i.exec(t);return m?parseFloat(m[0].replace(/,/g,'')):NaN};
const order=(a,b)=>{const x=number(a),y=number(b);if(!isNaN(x)&&!isNaN(y))return x-y;
 if(!a!==!b)return a?-1:1;return a.localeCompare(b,'en',{numeric:true})};
function draw(){
 const from=page*SIZE,part=shown.slice(from,from+SIZE);body.textContent='';
 for(const i of part){const tr=document.createElement('tr');
  cols.forEach((name,j)=>{if(j<HIDDEN)return;const td=document.createElement('td');td.dataset.h=name;td.textContent=rows[i][j];
   if(j===HIDDEN+1){const id=document.createElement('span');id.className='id';id.textContent=rows[i][at.id];td.append(id)}
   tr.append(td)});body.append(tr)}
 count.textContent=shown.length?`${from+1} to ${from+part.length} of ${shown.length} rows`:'no row matches';
 q('.lg-prev').disabled=page===0;q('.lg-next').disabled=from+SIZE>=shown.length}
function choose(){
 const terms=q('.lg-search').value.toLowerCase().split(/\\s+/).filter(Boolean),s=q('.lg-source').value,v=q('.lg-verdict').value;
 shown=rows.map((_,i)=>i).filter(i=>(!s||rows[i][at.source]===s)&&(!v||rows[i][at.verdict]===v)&&terms.every(t=>plain[i].includes(t)));
 if(by>=0)shown.sort((a,b)=>up*order(rows[a][by],rows[b][by])||a-b);page=0;draw()}
root.querySelectorAll('th').forEach((th,j)=>th.firstChild.addEventListener('click',()=>{
 const k0=j+HIDDEN;up=by===k0?-up:1;by=k0;root.querySelectorAll('th').forEach((o,k)=>k===j?
  o.setAttribute('aria-sort',up>0?'ascending':'descending'):o.removeAttribute('aria-sort'));choose()}));
for(const s of ['.lg-search','.lg-source','.lg-verdict'])q(s).addEventListener('input',choose);
q('.lg-prev').addEventListener('click',()=>{page--;draw()});q('.lg-next').addEventListener('click',()=>{page++;draw()});
choose()})();
"""

#: Per cent of the width; `source` and `id` have no column of their own (the id stands below the number).
_WIDTHS = {"where": 11, "number": 21, "published": 10, "ours": 11, "ours, strict": 11, "verdict": 11, "why": 25}


class SearchableTable:
    """Rows as a self-contained piece of HTML, shown by any notebook.

    Args:
        rows: plain dicts with equal keys: `source` and `id`, then the columns that are shown. `source` and `verdict` can be filtered by.
        verdicts, sources: the choices of the two filters, in order.
        origin: what the rows were made from, shown below.
    """

    def __init__(
        self, rows: Sequence[dict[str, Any]], verdicts: Sequence[str], sources: Sequence[str], origin: Origin | None = None
    ) -> None:
        if not rows:
            raise ValueError("a searchable table needs at least one row")
        if list(rows[0])[:2] != ["source", "id"]:
            raise ValueError(f"rows begin with source and id, got {list(rows[0])[:2]}")
        self.rows, self.verdicts, self.sources, self.origin = list(rows), verdicts, sources, origin or Origin()

    def __repr__(self) -> str:
        return f"{len(self.rows)} rows: {', '.join(self.rows[0])}"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        return Shown(self._repr_html_(), self.origin)._repr_mimebundle_(include, exclude)

    def _repr_html_(self) -> str:
        columns = list(self.rows[0])
        there = {key: {row[key] for row in self.rows} for key in ("source", "verdict")}
        head = "".join(
            f'<th scope="col" style="width:{_WIDTHS.get(c, 8)}%"><button type="button">{html.escape(c)}</button></th>' for c in columns[2:]
        )
        choices = {
            "source": [s for s in self.sources if s in there["source"]],
            "verdict": [v for v in self.verdicts if v in there["verdict"]],
        }
        filters = "".join(
            f'<label>{name}<select class="lg-{name}"><option value="">all</option>'
            + "".join(f"<option>{html.escape(option)}</option>" for option in options)
            + "</select></label>"
            for name, options in choices.items()
        )
        return (
            f'<div class="lg" id="ledger-rows"><style>{_STYLE}</style>'
            '<div class="lg-bar"><label>search<input class="lg-search" type="search" placeholder="words, all must occur"></label>'
            f"{filters}</div>"
            f'<p><span class="lg-count" role="status" aria-live="polite">{len(self.rows)} rows; searching them needs JavaScript</span> '
            '<button type="button" class="lg-prev">previous</button> <button type="button" class="lg-next">next</button></p>'
            f"<table><thead><tr>{head}</tr></thead><tbody></tbody></table>"
            f'<script type="application/json">{self._data(columns)}</script>'
            f"<script>{_SCRIPT.replace('ID', json.dumps('ledger-rows'), 1)}</script></div>"
        )

    def _data(self, columns: list[str]) -> str:
        """Columns, the distinct texts, and each row as numbers of texts."""
        words: dict[str, int] = {}
        rows = [[words.setdefault(str(row[c]), len(words)) for c in columns] for row in self.rows]
        text = json.dumps({"columns": columns, "words": list(words), "rows": rows}, ensure_ascii=False, separators=(",", ":"))
        return text.replace("</", "<\\/").replace("<!--", "<\\!--")
