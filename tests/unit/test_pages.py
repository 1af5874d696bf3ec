"""The pages of the documentation: their links, and what they are made of."""

import re
import subprocess
import sys

import pytest
from workspace import ROOT

PAGES = [*ROOT.glob("*.md"), ROOT / "config/README.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def anchors(text: str) -> set[str]:
    """The anchors that GitHub gives to the headings of a page."""
    names = (re.sub(r"[`*]|\[(.*?)\]\(.*?\)", r"\1", name) for name in HEADING.findall(text))
    return {re.sub(r"[^\w\- ]", "", name.lower()).replace(" ", "-") for name in names}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_to_a_file_and_a_heading(page):
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    broken = []
    for link in LINK.findall(text):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        if target.exists() and not anchor:
            continue
        if not target.exists() or anchor not in anchors(FENCE.sub("", target.read_text())):
            broken.append(link)
    assert broken == []


def test_every_page_of_the_documentation_can_be_reached_from_the_readme():
    seen, waiting = set(), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in seen:
            continue
        seen.add(page)
        links = (link.partition("#")[0] for link in LINK.findall(page.read_text(encoding="utf-8")))
        targets = [(page.parent / link).resolve() for link in links if link.endswith(".md")]
        waiting += [target for target in targets if target.exists()]
    assert {page.resolve() for page in PAGES} - seen == set()


def test_the_page_of_settings_is_what_the_schema_makes():
    done = subprocess.run(
        [sys.executable, "-c", "import settings; print(settings.page(), end='')"],
        cwd=ROOT / "docs",
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    page = (ROOT / "docs/configuration.md").read_text(encoding="utf-8")
    assert done.stdout == page, "docs/configuration.md is old; run make docs"


def test_the_pictures_show_the_report_as_it_is_now():
    code = (
        "import json, pictures; print(pictures.digest(), json.loads(pictures.RECORD.read_text()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT / "docs", capture_output=True, text=True, check=True
    )
    now, recorded = done.stdout.split(maxsplit=1)
    assert now in recorded, "docs/report.png and docs/example.png are old; run make pictures"
