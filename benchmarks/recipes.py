"""Recipes side by side on several data sets, each trained with several seeds in equal steps.

    export PYTHONPATH=workflow/scripts
    .venv/bin/python benchmarks/recipes.py results/recipes \\
        --recipe plain='{}' --recipe dice='{loss: dice}' \\
        --train '{encoder: resnet18, patch: 128, steps: 50, epochs: 6}' \\
        --set isbi2012=data/isbi2012/image,data/isbi2012/label

A recipe is laid over ``--train`` as a run of a configuration is over its section ``train``. The
data sets are three kinds of the synthesiser, unless ``--kinds`` names others, and the folders of
``--set``. The workflow trains, decides on validation images and scores the test images. It prints,
and writes to recipes.md, a row for each data set and recipe: the mean over seeds of each score, and
their standard deviation; then how each recipe differs from the first one, by the workflow's
comparison.

The same command goes on after it was cut off, and trains nothing twice.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import yaml

from maskmake.data.synthesis import KINDS
from maskmake.runtime.files import read_csv, write_text

ROOT = Path(__file__).parents[1]
SCORES = {
    "mean_dice": "mean Dice",
    "foreground_dice": "foreground Dice",
    "foreground_cldice": "foreground clDice",
    "betti_0_error": "Betti-0 error",
    "v_rand": "V-Rand",
}


def named(text: str) -> tuple[str, str]:
    """The two sides of NAME=VALUE."""
    name, sign, value = text.partition("=")
    if not sign:
        raise argparse.ArgumentTypeError(f"'{text}' is not NAME=VALUE")
    return name, value


def configuration(options: argparse.Namespace, name: str, dataset: dict) -> dict:
    """Settings of one data set, with a run for each recipe and seed."""
    runs = {
        f"{recipe}-{seed}": {"train": yaml.safe_load(overlay) | {"seed": seed}}
        for recipe, overlay in options.recipe
        for seed in range(1, options.seeds + 1)
    }
    common = {"split": {"seed": 1}, "train": yaml.safe_load(options.train), "runs": runs}
    return common | yaml.safe_load(options.settings) | {"dataset": {"name": name, **dataset}}


def datasets(options: argparse.Namespace) -> dict[str, dict]:
    """The section ``dataset`` of each data set, by its name."""
    drawn = {"images": options.images, "size": options.size, "difficulty": options.difficulty}
    found = {kind: {"synthesis": {"kind": kind, **drawn}} for kind in options.kinds}
    for name, folders in options.set:
        images, labels = (str(Path(folder).absolute()) for folder in folders.split(","))
        found[name] = {"images": images, "labels": labels}
    return found


def run_workflow(out: Path, config: dict, cores: int) -> Path:
    """Run the workflow up to its comparison; the folder of results."""
    name = config["dataset"]["name"]
    file = out / f"{name}.yaml"
    file.write_text(yaml.safe_dump(config, sort_keys=False))
    command = [sys.executable, "-m", "snakemake", f"results/{name}/comparison_pairs.csv"]
    command += ["--snakefile", ROOT / "Snakefile", "--directory", out, "--configfile", file.name]
    command += ["--workflow-profile", ROOT / "profiles/default", "--cores", cores]
    with (out / f"{name}.log").open("w") as log:
        done = subprocess.run(list(map(str, command)), cwd=out, stdout=log, stderr=log)
    if done.returncode:
        sys.exit(f"{name}: the workflow failed; see {log.name}.")
    return out / "results" / name


def spread_rows(name: str, results: Path) -> list[list[str]]:
    """For each recipe the mean and the standard deviation over seeds of each score."""
    table = read_csv(results / "comparison.csv")
    recipes = table.groupby(table["run"].str.rsplit("-", n=1).str[0])
    return [
        [name, recipe, str(len(seeds))]
        + [f"{seeds[score].mean():.3f} ± {seeds[score].std():.3f}" for score in SCORES]
        for recipe, seeds in recipes
    ]


def verdict_rows(name: str, results: Path, first: str) -> list[list[str]]:
    """How each recipe differs from the first one, in each score."""
    pairs = read_csv(results / "comparison_pairs.csv")
    pairs = pairs[(pairs["verdict"] != "another seed") & pairs["score"].isin(SCORES)]
    rows = []
    for (run, other), scores in pairs.groupby(["run", "other"], sort=False):
        recipes = [runs.split(", ")[0].rsplit("-", 1)[0] for runs in (run, other)]
        if first not in recipes:
            continue
        sign = 1 if recipes[1] == first else -1
        scores = scores.set_index("score")
        texts = [_change(scores.loc[score], sign) for score in SCORES]
        rows.append([name, recipes[0] if sign > 0 else recipes[1], *texts])
    return rows


def _change(row: pd.Series, sign: int) -> str:
    """A difference from the first recipe with its interval, bold where that leaves out 0."""
    low, high = sorted((sign * row["low"], sign * row["high"]))
    text = f"{sign * row['difference']:+.3f} ({low:+.3f} to {high:+.3f})"
    return f"**{text}**" if row["verdict"].endswith("is better") else text


def markdown(heads: list[str], rows: list[list[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path, help="folder for tables and results")
    parser.add_argument("--recipe", type=named, action="append", required=True, metavar="NAME=YAML")
    parser.add_argument("--train", default="{}", help="section train for all recipes, as YAML")
    parser.add_argument("--settings", default="{}", help="other sections, such as split, as YAML")
    parser.add_argument(
        "--kinds", nargs="*", choices=KINDS, default=["cracks", "blobs", "textures"]
    )
    parser.add_argument(
        "--set", type=named, action="append", default=[], metavar="NAME=IMAGES,LABELS"
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--images", type=int, default=24, help="of each kind")
    parser.add_argument("--size", type=int, default=256, help="their height and width in pixels")
    parser.add_argument("--difficulty", type=float, default=0.5)
    parser.add_argument("--cores", type=int, default=os.cpu_count())
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    spread: list[list[str]] = []
    verdicts: list[list[str]] = []
    first = options.recipe[0][0]
    for name, dataset in datasets(options).items():
        results = run_workflow(options.out, configuration(options, name, dataset), options.cores)
        spread += spread_rows(name, results)
        verdicts += verdict_rows(name, results, first)
        heads = list(SCORES.values())
        text = markdown(["data set", "recipe", "seeds", *heads], spread)
        text += f"\nMinus {first}, with 95 % intervals; bold where the interval leaves out 0:\n\n"
        text += markdown(["data set", "recipe", *heads], verdicts)
        write_text(options.out / "recipes.md", text)
    print(text, end="")


if __name__ == "__main__":
    main()
