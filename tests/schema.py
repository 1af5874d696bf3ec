"""The schema of the configuration, parsed once for all tests."""

from pathlib import Path

import yaml

FILE = Path(__file__).parents[1] / "workflow/schemas/config.schema.yaml"
SCHEMA = yaml.load(FILE.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
