"""How every page is rendered from its template."""

from collections.abc import Callable, Mapping
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from maskmake.pages.browser import Browser
from maskmake.pages.scripts import script_texts

TEMPLATES = Path(__file__).parent / "templates"
# Named here, so that a step that writes a page runs again when one of them changes.
SHARED = ("base.html.j2", "style.html.j2", "browser.html.j2", "browser_script.html.j2")


def render_page(
    template: Path,
    title: str,
    browser: Browser | None = None,
    filters: Mapping[str, Callable] | None = None,
    **context,
) -> str:
    """HTML of a page that asks for nothing outside, with all text escaped.

    Args:
        template: extends ``base.html.j2``; where there is a browser it includes
            ``browser.html.j2``.
        title: of the window.
        browser: the images that a reader can sort, filter and open; None: the page has no script.
        filters: of the template.
        context: what the template names.
    """
    environment = Environment(
        loader=FileSystemLoader([template.parent, TEMPLATES]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(filters or {})
    return environment.get_template(template.name).render(
        **context,
        title=title,
        browser=browser,
        scripts=[Markup(text) for text in script_texts()] if browser else [],
    )
