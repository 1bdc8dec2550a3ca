"""SVG as text: writing an element with everything escaped, and making a drawing from elsewhere harmless."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from html import escape

from terracast.flows.reporting.content import ReportError

FORBIDDEN = {"script", "foreignobject", "iframe", "object", "embed", "audio", "video", "image", "handler"}
FETCHES = re.compile(r"url\(\s*['\"]?(?!#)|@import|javascript:", re.IGNORECASE)


def element(name: str, *children: str, text: str = "", **attributes: object) -> str:
    """An SVG element: ``text`` and attribute values are escaped, ``children`` are elements already.

    A trailing underscore is cut from an attribute's name and others become hyphens, so ``class_`` and
    ``stroke_width`` work.

    >>> element("text", text="<b>", x=1, class_="node", text_anchor="end")
    '<text x="1" class="node" text-anchor="end">&lt;b&gt;</text>'
    """
    written = "".join(f' {_attribute(key)}="{escape(_plain(value), quote=True)}"'
                      for key, value in attributes.items())
    return f"<{name}{written}>{escape(text)}{''.join(children)}</{name}>"


def _attribute(key: str) -> str:
    return key if key == "viewBox" else key.rstrip("_").replace("_", "-")


def _plain(value: object) -> str:
    return f"{value:.1f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


def harmless(drawing: str) -> str:
    """The drawing without scripts, event handlers, embedded pages and anything that would be fetched.

    It keeps links inside the drawing (``#id``), gains a ``viewBox`` where only width and height are given,
    and loses its namespace prefixes, as HTML wants. Raises ``ReportError`` where the text is not one SVG
    element. O(characters).

    >>> harmless('<svg xmlns="http://www.w3.org/2000/svg" onload="x()"><script>x()</script><g id="a"/></svg>')
    '<svg><g id="a" /></svg>'
    """
    if "<!DOCTYPE" in drawing.upper() or "<!ENTITY" in drawing.upper():
        raise _not_a_drawing("it declares a document type")
    try:
        root = ElementTree.fromstring(drawing.strip())
    except ElementTree.ParseError as error:
        raise _not_a_drawing(str(error)) from error
    if _local(root.tag).lower() != "svg":
        raise _not_a_drawing(f"its outermost element is {_local(root.tag)!r}")
    _clean(root)
    width, height = root.get("width", ""), root.get("height", "")
    if "viewBox" not in root.attrib and _length(width) and _length(height):
        root.set("viewBox", f"0 0 {_length(width)} {_length(height)}")
    return ElementTree.tostring(root, encoding="unicode")


def _not_a_drawing(why: str) -> ReportError:
    return ReportError(f"the causal drawing cannot be shown: {why}", where="report, causal graph",
                       expected="the text of one SVG element",
                       remedy="hand in what terracast.causal.graph.drawing.draw returns")


def _clean(node: ElementTree.Element) -> None:
    node.tag = _local(node.tag)
    for name, value in list(node.attrib.items()):
        del node.attrib[name]
        local = _local(name)
        leaves = local.lower() == "href" and not value.strip().startswith("#")
        if not (local.lower().startswith("on") or leaves or FETCHES.search(value)):
            node.set(local, value)
    for child in list(node):
        strange = not isinstance(child.tag, str) or _local(child.tag).lower() in FORBIDDEN
        if strange or (_local(child.tag) == "style" and FETCHES.search(child.text or "")):
            node.remove(child)
        else:
            _clean(child)


def _local(name: str) -> str:
    return name.rsplit("}", 1)[-1]


def _length(text: str) -> str:
    found = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)(?:px)?\s*", text)
    return found.group(1) if found else ""
