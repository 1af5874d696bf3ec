"""The rerun table and its page in the documentation."""

from pathlib import Path

import yaml

TABLE = yaml.load(Path(__file__).with_name("table.yaml").read_text(), Loader=yaml.CSafeLoader)
HEAD = """# What runs again after a change

Made from `tests/reruns/table.yaml`; every row is tested against `snakemake -n`. "from `x`" means
the rule x and all that follow it in the chain: `validate`, `binarize`, `split`, `plan`,
`plan_run`, `train_fold`, `predict_fold`, `decide_run`, `diagnose_run`, `mask_run`, `evaluate_run`,
`compare`, `report` (only the report reads what `diagnose_run` makes). After any change of a setting
but those of `segment` and `export`, the report is made again, because it shows the settings.

A file of code is given below `workflow/scripts/maskmake/`, a script below `workflow/scripts/`.
Comments, docstrings and blank lines are no change.
"""


def page() -> str:
    """The table as Markdown."""
    sections = [HEAD]
    for title, kind in (("Settings", "settings"), ("Files", "files"), ("Code", "code")):
        lines = [f"\n## {title}\n", "| change | runs again |", "|---|---|"]
        for row in TABLE[kind]:
            names = ", ".join(f"`{_shown(file)}`" for file in row.get("files", []))
            where = f": {names}" if names else ""
            lines.append(f"| {row['change']}{where} | {_rules(row)} |")
        sections.append("\n".join(lines) + "\n")
    return "".join(sections)


def _shown(file: str) -> str:
    """A file of the package without the package's name, unless it lies at its top."""
    return file.removeprefix("maskmake/") if file.count("/") > 1 else file


def _rules(row: dict) -> str:
    rules = [f"from {' and '.join(f'`{rule}`' for rule in row['from'])}"] if row["from"] else []
    if runs := row.get("runs"):
        rules[0] += f" of run {', '.join(runs)}"
    rules += [f"`{rule}`" for rule in row.get("also", [])]
    return ", ".join(rules) or "nothing"


if __name__ == "__main__":
    print(page(), end="")
