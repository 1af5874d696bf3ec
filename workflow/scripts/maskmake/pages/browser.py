"""Images that a reader of a page sorts, filters and opens, and plots that are linked to them."""

import base64
import io
import math
from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import quote

import numpy as np
from PIL import Image

from maskmake.pages.pictures import Colour

MOST_ROWS = 3000  # images with a row and a thumbnail in the page
# Rows that stand in the page itself. A browser lays out a table of 3,000 rows for seconds, so the
# script makes the others as the reader scrolls to them.
FIRST_ROWS = 100

# Sides of thumbnails: pages with more images have smaller ones, so that their size is bounded.
THUMBNAIL_SIDES = ((60, 160), (600, 112), (MOST_ROWS, 64))
JPEG_QUALITY = 66

BLUE, ORANGE = "#0072b2", "#d55e00"  # of Okabe and Ito, distinct for the colour-blind
BINS = 20
FAINT = 0.3  # opacity of the marks of images that are not shown


class Column(NamedTuple):
    """A column of the table of images.

    Attributes:
        heading: of the column.
        meaning: what the numbers are.
        numeric: its values are numbers or None, and can be filtered by a range. The first column
            that is not holds the reasons to look at an image.
        run: whose result it is; empty where it is no result of a run.
    """

    heading: str
    meaning: str = ""
    numeric: bool = True
    run: str = ""


class Layer(NamedTuple):
    """A picture of each image that the viewer can show.

    Attributes:
        title: what it is.
        folder: below the folder of pictures.
        suffix: of the files in it, which are named by the ids.
        run: whose result it is; empty where all runs share it.
        shown: at first.
        legend: meaning and colour of what it shows.
    """

    title: str
    folder: str
    suffix: str
    run: str = ""
    shown: bool = True
    legend: Sequence[tuple[str, Colour]] = ()


class Row(NamedTuple):
    """An image.

    Attributes:
        id: names its pictures.
        thumbnail: a ``data:`` address.
        size: width and height of the thumbnail.
        values, texts: a value and its text in each column.
        tiles: of its pictures, see ``tiles.tiling``.
    """

    id: str
    thumbnail: str
    size: tuple[int, int]
    values: list[float | str | None]
    texts: list[str]
    tiles: dict[str, int] | None = None


class Plot(NamedTuple):
    """A Vega-Lite plot; a click on a mark shows the images that it stands for.

    Attributes:
        name: of the files that it is saved as.
        title: above it.
        spec: of Vega-Lite, with its data. A datum has ``row``, the number of an image; or
            ``column``, ``from`` and ``to``, the lowest and the highest of its images' values.
    """

    name: str
    title: str
    spec: dict


class Browser(NamedTuple):
    """All that the template ``browser.html.j2`` shows.

    Attributes:
        what: the images, in the plural.
        folder: of the full pictures, relative to the page.
        columns, rows, layers, plots: see their classes; rows in the order shown at first.
        runs: names; the first is the one whose columns are headed without its name.
        order: how they are ordered at first.
        total: number of images, of which the page may show fewer.
        rest: where the others are listed.
    """

    what: str
    folder: str
    columns: list[Column]
    rows: list[Row]
    layers: list[Layer]
    runs: list[str]
    plots: list[Plot]
    order: str
    total: int
    rest: str

    def heading(self, column: Column) -> str:
        """Of a column in the table, where several runs have one."""
        return ", ".join([column.heading, *({column.run} - {"", self.runs[0]})])

    @property
    def first(self) -> list[Row]:
        """The rows that can be read without the script."""
        return self.rows[:FIRST_ROWS]

    def contents(self) -> dict:
        """What the script of the page reads, for JSON."""
        return {
            "folder": f"{quote(self.folder)}/",
            "runs": self.runs,
            "layers": [
                {**layer._asdict(), "folder": f"{quote(layer.folder)}/"} for layer in self.layers
            ],
            "columns": [{"heading": column.heading, "run": column.run} for column in self.columns],
            "reason": next(
                (place for place, column in enumerate(self.columns) if not column.numeric), -1
            ),
            "numeric": [column.numeric for column in self.columns],
            "step": FIRST_ROWS,
            "images": [
                {"id": row.id, "file": quote(row.id, safe=""), "values": row.values}
                | ({"tiles": row.tiles} if row.tiles else {})
                | ({} if place < FIRST_ROWS else _later(row))
                for place, row in enumerate(self.rows)
            ],
            "plots": [{"name": plot.name, "spec": plot.spec} for plot in self.plots],
        }


def _later(row: Row) -> dict:
    """What the script makes a row from that is not in the page."""
    return {"thumbnail": row.thumbnail, "size": row.size, "texts": row.texts}


def thumbnail_side(count: int) -> int:
    """Longer side of the thumbnails of so many images."""
    return next((side for most, side in THUMBNAIL_SIDES if count <= most), THUMBNAIL_SIDES[-1][1])


def jpeg_uri(picture: np.ndarray) -> str:
    """A small JPEG of a ``uint8`` picture as a ``data:`` address."""
    buffer = io.BytesIO()
    # Its own tables make a picture of 64 x 64 pixels a seventh smaller: 2.4 KB even for noise.
    Image.fromarray(picture).save(buffer, format="JPEG", quality=JPEG_QUALITY, optimize=True)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"


def finite(value) -> float | None:
    """A number for JSON, which has no NaN, in as few digits as a reader needs."""
    if value is None or not math.isfinite(value):
        return None
    return float(f"{value:.5g}")


# --- plots --------------------------------------------------------------------------------------


def histogram_plot(name: str, column: int, heading: str, values: Sequence[float]) -> Plot:
    """How many images have which value; a click on a bar shows them.

    Args:
        name: of the files that it is saved as.
        column: number of the values' column.
        heading: of the column.
        values: of the images; NaN where one has none.
    """
    # Of the very numbers that the rows have, so that a click shows as many as its bar counts.
    known = np.array([value for value in map(finite, values) if value is not None])
    counts, edges = np.histogram(known, BINS) if len(known) else (np.array([]), np.array([]))
    ends = np.append(0, np.cumsum(counts))
    ordered = np.sort(known).tolist()
    data = [
        {
            "column": column,
            "low": float(edges[place]),
            "high": float(edges[place + 1]),
            "from": ordered[ends[place]],
            "to": ordered[ends[place + 1] - 1],
            "images": int(count),
        }
        for place, count in enumerate(counts)
        if count
    ]
    title = heading[0].upper() + heading[1:]
    spec = _spec(data, "bar", {"color": BLUE, "cursor": "pointer"}) | {
        "encoding": {
            "opacity": _opacity(
                1,
                "chosen.column !== datum.column"
                " || datum.from <= chosen.high && datum.to >= chosen.low",
            ),
            # Vega-Lite would name the edges of all bars, one over the other.
            "x": _axis("low", title, {"bin": {"binned": True}, "axis": {"tickCount": 6}}),
            "x2": {"field": "high"},
            "y": _axis("images", "Images", {"axis": {"tickMinStep": 1, "format": "d"}}),
            "tooltip": [
                {"field": "low", "format": ".3f", "title": "from"},
                {"field": "high", "format": ".3f", "title": "to"},
                {"field": "images", "title": "images"},
            ],
        }
    }
    return Plot(name, f"{title}: a click on a bar shows its images", spec)


def scatter_plot(
    name: str, ids: Sequence[str], x: tuple[str, Sequence], y: tuple[str, Sequence]
) -> Plot:
    """Two numbers of each image, as heading and values; a click on a dot shows the image."""
    pairs = zip(ids, x[1], y[1], strict=True)
    data = [
        {"row": row, "id": id_, "x": finite(first), "y": finite(second)}
        for row, (id_, first, second) in enumerate(pairs)
        if finite(first) is not None and finite(second) is not None
    ]
    headings = [heading[0].upper() + heading[1:] for heading, _ in (x, y)]
    mark = {"color": ORANGE, "filled": True, "size": 50, "cursor": "pointer"}
    spec = _spec(data, "point", mark) | {
        "encoding": {
            "opacity": _opacity(0.75, "chosen.rows[datum.row]"),
            "x": _axis("x", headings[0], {"scale": {"zero": False, "nice": True}}),
            "y": _axis("y", headings[1], {"scale": {"zero": False, "nice": True}}),
            "tooltip": [
                # A field named "image" would be shown as a picture of that address.
                {"field": "id", "type": "nominal", "title": "id"},
                {"field": "x", "format": ".3f", "title": headings[0]},
                {"field": "y", "format": ".3f", "title": headings[1]},
            ],
        }
    }
    return Plot(name, f"{headings[1]} over {x[0]}: a click on a dot shows the image", spec)


def _axis(field: str, title: str, extra: dict | None = None) -> dict:
    return {"field": field, "type": "quantitative", "title": title, **(extra or {})}


def _opacity(usual: float, test: str) -> dict:
    """Of a mark; ``chosen`` is null, or what the page's script says of the images shown."""
    return {"condition": {"test": f"!chosen || {test}", "value": usual}, "value": FAINT}


def _spec(data: list[dict], mark: str, properties: dict) -> dict:
    # The colour of the text around it, so that a plot can be read in dark mode as well.
    ink = {f"{part}Color": "currentColor" for part in ("label", "title", "domain", "tick")}
    return {
        "data": {"values": data},
        "params": [{"name": "chosen", "value": None}],
        "mark": {"type": mark, **properties},
        "width": "container",
        "height": 190,
        "autosize": {"type": "fit", "contains": "padding"},
        "background": None,
        "config": {
            "font": "system-ui, sans-serif",
            "view": {"stroke": None},
            "axis": {**ink, "gridColor": "currentColor", "gridOpacity": 0.15, "titlePadding": 8},
        },
    }
