"""Make the pictures of the README from the results of the demo: ``make pictures``.

``report.png`` is the first screen of the report, ``example.png`` one of its test images.
"""

import csv
import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import yaml
from PIL import Image

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
RESULTS = ROOT / "results/demo"
RUN = RESULTS / "runs/unet"
RECORD = DOCS / "pictures.json"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
WINDOW = "1120,860"
GAP = 8  # pixels between two pictures


def digest() -> str:
    """SHA-256 of what the look of the pictures depends on most.

    These are the templates of the report and the configuration of the demo. An edit of other code
    changes numbers in the picture at most, so it does not make the pictures old.
    """
    total = hashlib.sha256()
    package = ROOT / "workflow/scripts/maskmake"
    folders = (package / "report/templates", package / "pages/templates")
    for path in sorted(path for folder in folders for path in folder.iterdir()):
        if path.is_file():
            total.update(path.name.encode() + b"\0" + path.read_bytes())
    config = yaml.safe_load((ROOT / "config/config.yaml").read_text(encoding="utf-8"))
    total.update(json.dumps(config, sort_keys=True).encode())
    return total.hexdigest()


def take_report(target: Path) -> None:
    """Take a picture of the first screen of the report."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        sys.exit(f"make pictures: none of {', '.join(BROWSERS)} is installed; install one of them.")
    options = ["--headless", "--hide-scrollbars", "--disable-gpu", f"--window-size={WINDOW}"]
    if os.geteuid() == 0:
        options.append("--no-sandbox")  # Chromium has none for root.
    address = (RESULTS / "report.html").as_uri()
    subprocess.run([browser, *options, f"--screenshot={target}", address], check=True)
    # 64 colours are enough for text, and a third of the bytes.
    Image.open(target).convert("RGB").quantize(64).save(target, optimize=True)


def draw_example(target: Path) -> None:
    """Put image, label, probability, mask and objects of the first test image side by side."""
    with (RUN / "masks.csv").open(encoding="utf-8", newline="") as file:
        name = next(csv.DictReader(file))["id"]
    with (RESULTS / "data/manifest.csv").open(encoding="utf-8", newline="") as file:
        (row,) = (row for row in csv.DictReader(file) if row["id"] == name)
    paths = [ROOT / row["image"], ROOT / row["label"]]
    paths += [RUN / folder / f"{name}.png" for folder in ("probability", "masks", "regions")]
    pictures = [Image.open(path).convert("RGB") for path in paths]
    width, height = pictures[0].size
    strip = Image.new("RGB", ((width + GAP) * len(pictures) - GAP, height), "white")
    for n, picture in enumerate(pictures):
        strip.paste(picture, (n * (width + GAP), 0))
    strip.save(target, optimize=True)


if __name__ == "__main__":
    take_report(DOCS / "report.png")
    draw_example(DOCS / "example.png")
    RECORD.write_text(json.dumps({"digest": digest()}, indent=2) + "\n", encoding="utf-8")
