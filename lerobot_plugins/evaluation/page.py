"""A small vocabulary for one self-contained HTML page: sections, tables, figures; no script, no network."""

import base64
import io
from collections.abc import Iterable, Sequence
from html import escape

import numpy as np
from PIL import Image

CSS = """
:root { --ink: #1d1d1f; --soft: #6b6b70; --rule: #d9d9de; --warn: #b34700; }
* { box-sizing: border-box; }
body { font: 15px/1.5 system-ui, "Segoe UI", Helvetica, Arial, sans-serif; color: var(--ink);
       background: #fff; counter-reset: figure; max-width: 1040px; margin: 0 auto; padding: 40px 28px 64px; }
h1 { font-size: 27px; line-height: 1.2; margin: 0 0 4px; letter-spacing: -0.01em; }
h2 { font-size: 18px; margin: 40px 0 10px; padding-top: 10px; border-top: 1px solid var(--rule); }
p { margin: 8px 0; max-width: 76ch; }
.lead { color: var(--soft); margin: 0 0 18px; }
.state { display: inline-block; font-size: 12px; font-weight: 600; padding: 1px 9px; border-radius: 10px;
         vertical-align: middle; margin-left: 8px; }
.good { background: #e3f3ec; color: #00694a; } .bad { background: #fdece2; color: var(--warn); }
.warnings { border-left: 3px solid var(--warn); background: #fdf6f1; padding: 8px 16px; margin: 18px 0; }
.warnings ul { margin: 0; padding-left: 18px; }
.cards { display: flex; flex-wrap: wrap; gap: 12px; margin: 20px 0; }
.card { flex: 1 1 150px; border: 1px solid var(--rule); border-radius: 8px; padding: 10px 14px; }
.card b { display: block; font-size: 22px; font-weight: 600; font-variant-numeric: tabular-nums; }
.card span { color: var(--soft); font-size: 12.5px; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums; margin: 12px 0;
        border-top: 1.5px solid var(--ink); border-bottom: 1.5px solid var(--ink); }
th { font-weight: 600; text-align: right; padding: 4px 12px; vertical-align: bottom; }
thead tr:last-child th { border-bottom: 1px solid var(--ink); }
thead th[colspan]:not(:first-child) { text-align: center; border-bottom: 1px solid var(--rule); }
td { text-align: right; padding: 3px 12px; }
th:first-child, td:first-child { text-align: left; padding-left: 4px; max-width: 46ch; }
tbody tr:nth-child(even) { background: #fafafb; }
td.best { font-weight: 700; }
figure { margin: 16px 0; }
figure img { max-width: 100%; height: auto; display: block; }
figcaption { color: var(--soft); font-size: 13px; margin-top: 4px; }
figcaption::before { counter-increment: figure; content: "Figure " counter(figure) ". "; color: var(--ink); }
.pair { display: flex; flex-wrap: wrap; gap: 8px 24px; } .pair > * { flex: 1 1 420px; min-width: 0; }
code, pre { font: 12.5px/1.45 ui-monospace, "SF Mono", Menlo, Consolas, monospace; }
pre { background: #f6f6f8; border-radius: 6px; padding: 10px 14px; white-space: pre-wrap;
      overflow-wrap: anywhere; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 2px 18px; font-size: 13.5px; }
dt { color: var(--soft); } dd { margin: 0; }
@media print { body { padding: 0; max-width: none; } h2 { break-after: avoid; }
               figure, table { break-inside: avoid; } }
"""


def page(title: str, body: Iterable[str]) -> str:
    """The whole document."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{CSS}</style></head>\n<body>\n"
        + "\n".join(body)
        + "\n</body></html>\n"
    )


def section(title: str, *content: str) -> str:
    """A heading and what is below it; nothing if there is nothing below it."""
    return f"<h2>{escape(title)}</h2>\n" + "\n".join(content) if any(content) else ""


def paragraph(text: str, css_class: str = "") -> str:
    return f'<p class="{css_class}">{escape(text)}</p>' if css_class else f"<p>{escape(text)}</p>"


def pair(*content: str) -> str:
    """Side by side where the window is wide enough."""
    return f'<div class="pair">{"".join(content)}</div>'


def cards(values: Iterable[tuple[str, str]]) -> str:
    """Large numbers with a small label each."""
    inner = (f'<div class="card"><b>{escape(v)}</b><span>{escape(label)}</span></div>' for v, label in values)
    return f'<div class="cards">{"".join(inner)}</div>'


def warnings(messages: Sequence[str]) -> str:
    """A box of warnings; nothing if there are none."""
    items = "".join(f"<li>{escape(message)}</li>" for message in messages)
    return f'<div class="warnings"><ul>{items}</ul></div>' if messages else ""


def definitions(pairs: Iterable[tuple[str, str]]) -> str:
    return "<dl>" + "".join(f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in pairs) + "</dl>"


def preformatted(text: str) -> str:
    return f"<pre>{escape(text)}</pre>"


def table(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    groups: Sequence[tuple[str, int]] = (),
    best: Iterable[tuple[int, int]] = (),
) -> str:
    """A table: first column text, the others numbers.

    Args:
        header: One heading per column.
        rows: Cells as text.
        groups: (heading, number of columns) of a row above the header.
        best: (row, column) of the cells to set in bold.
    """
    bold = set(best)
    above = "".join(f'<th colspan="{span}">{escape(cell)}</th>' for cell, span in groups)
    head = "".join(f"<th>{escape(cell)}</th>" for cell in header)
    body = ""
    for r, row in enumerate(rows):
        tags = ('<td class="best">' if (r, c) in bold else "<td>" for c in range(len(row)))
        cells = "".join(f"{tag}{escape(cell)}</td>" for tag, cell in zip(tags, row, strict=True))
        body += f"<tr>{cells}</tr>"
    above = f"<tr>{above}</tr>" if above else ""
    thead, tbody = f"<thead>{above}<tr>{head}</tr></thead>", f"<tbody>{body}</tbody>"
    return f'<div class="scroll"><table>{thead}{tbody}</table></div>'


def figure(image: str, caption: str) -> str:
    """An SVG or a `data:` address with its caption."""
    source = image if image.startswith("data:") else data_address(image.encode(), "image/svg+xml")
    text = escape(caption)
    return f'<figure><img src="{source}" alt="{text}"><figcaption>{text}</figcaption></figure>'


def picture(image_HWC: np.ndarray) -> str:
    """An RGB uint8 image as a `data:` address."""
    buffer = io.BytesIO()
    Image.fromarray(image_HWC).save(buffer, format="JPEG", quality=88)
    return data_address(buffer.getvalue(), "image/jpeg")


def data_address(content: bytes, media_type: str) -> str:
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"
