"""What ``./maskmake`` makes of its arguments: those of Snakemake."""

import difflib
import re
import shlex
from pathlib import Path

from maskmake.runtime.errors import UserError
from maskmake.snakefile.config_files import check_readable
from maskmake.snakefile.schema_errors import joined

ENDINGS = (".yaml", ".yml", ".json")
RESULTS = "results"  # the folder in which the workflow puts all of them
CONFIG_OPTIONS = ("--configfile", "--configfiles")
PROFILE_OPTION = "--workflow-profile"
# Options that take every word up to the next option, each with an equals sign.
SETTING_OPTIONS = ("--config", "-C")
PAIR_OPTIONS = {
    *(*SETTING_OPTIONS, "--resources", "--res", "--default-resources", "--default-res"),
    *("--set-threads", "--set-resources", "--set-scatter", "--set-resource-scopes"),
}
TARGET = re.compile(r'^rule (\w+):\n    """(.*)"""', re.MULTILINE)
# Rules that are targets themselves, by the target of the Snakefile before which they are listed.
RULES = {
    "plan_runs": {
        "validate": "The check of every image and label.",
        "binarize": "The pixels of all images and labels, in arrays for the steps after it.",
        "split": "Which images train, which validate, which test.",
        "plan": "What the images are like: sizes, intensities, share of foreground.",
    },
    "segment": {
        "compare": "The scores of all runs side by side.",
        "report": "The report of all runs.",
    },
}
USAGE = "./maskmake [target ...] config/mine.yaml [options of snakemake]"
# Commands of Snakemake that need no configuration of a user.
WITHOUT_CONFIG = {"--version", "-v", "--lint", "--list-target-rules", "--list", "-l", "--lt"}


def targets(snakefile: Path) -> dict[str, str]:
    """Name and meaning of each target, from the images to the report and what follows it."""
    found: dict[str, str] = {}
    for name, meaning in TARGET.findall(snakefile.read_text(encoding="utf-8")):
        found |= {**RULES.get(name, {}), name: meaning}
    return found


def help_text(snakefile: Path) -> str:
    """How to call ``./maskmake``."""
    return "\n".join(
        [
            USAGE,
            "",
            "Targets; without one, all:",
            *(f"  {name:11}{meaning}" for name, meaning in targets(snakefile).items()),
            "",
            "./maskmake why [target ...] config/mine.yaml says what would run again, and why.",
            "--dry-run runs nothing, --cores 4 uses four processors, --resources gpu=0 no GPU,",
            "--verbose shows all that Snakemake says.",
            ".venv/bin/snakemake --help lists all options.",
        ]
    )


def snakemake_arguments(arguments: list[str], snakefile: Path) -> list[str]:
    """The arguments of Snakemake for those of ``./maskmake``.

    Args:
        arguments: targets and configuration files in any order, then options of Snakemake.
        snakefile: the one of this workflow.

    Raises:
        UserError: no configuration was given, or it is not there or cannot be read, or a target
            is not in front, or a setting is named by a dot or stands without quotes, or a profile
            is not there.
    """
    first = next((n for n, text in enumerate(arguments) if text.startswith("-")), len(arguments))
    leading, options = arguments[:first], arguments[first:]
    configs = [text for text in leading if _is_config(text)]
    wanted = [text for text in leading if text not in configs]
    _check_pairs(options)
    _check_profile(options, snakefile.parent / "profiles")
    options, named = _split_configs(options)
    for path in [*configs, *named]:
        if not Path(path).is_file():
            raise UserError(_not_there(path, snakefile))
        check_readable(Path(path))
    if not (configs or named or WITHOUT_CONFIG.intersection(options)):
        if behind := [text for text in options if _is_config(text) and Path(text).is_file()]:
            rest = [text for text in options if text not in behind]
            raise UserError(
                f"{behind[0]}: a configuration comes before the options; write "
                f"./maskmake {shlex.join([*wanted, *behind, *rest])}."
            )
        raise UserError(
            f"No configuration; write {USAGE.replace('[target ...]', ' '.join(wanted) or 'all')}, "
            "or config/config.yaml for the demo."
        )
    passed_on = [*wanted, "--configfile", *configs, *named] if configs or named else wanted
    return [*passed_on, "--snakefile", str(snakefile), *options]


def _is_config(text: str) -> bool:
    """Whether a word is the name of a configuration; that of a JSON file of results is a target."""
    return text.lower().endswith(ENDINGS) and Path(text).parts[0] != RESULTS


def _check_pairs(options: list[str]) -> None:
    """Refuse what stands after an option for pairs and is none, or names a setting by a dot."""
    option = setting = ""
    for text in options:
        if text.startswith("-"):
            option, equals, text = text.partition("=")
            setting = ""
            if not equals:
                continue
        if option in SETTING_OPTIONS and setting.count("{") > setting.count("}"):
            raise UserError(
                f"{text}: found a space before it; put the whole setting in quotes, as in {option} "
                f"'{setting} {text}'."
            )
        if option in PAIR_OPTIONS and "=" not in text:
            raise UserError(_misplaced(text))
        if option in SETTING_OPTIONS and "." in text.partition("=")[0]:
            raise UserError(_nested(option, text))
        setting = text


def _check_profile(options: list[str], profiles: Path) -> None:
    """Refuse a profile that is not there, without which Snakemake would go on.

    Args:
        options: of the command.
        profiles: the folder of the profiles of this workflow, which are found by their names alone.
    """
    for option, following in zip(options, [*options[1:], ""], strict=False):
        name, equals, value = option.partition("=")
        profile = value if equals else following
        if name != PROFILE_OPTION or profile == "none":
            continue
        if not any(Path(place, profile).exists() for place in ("", "profiles", profiles)):
            known = joined(sorted(path.name for path in profiles.iterdir()), "or")
            raise UserError(
                f"{PROFILE_OPTION}: found '{profile}', and no such folder; expected {known}, or "
                "the path of a folder."
            )


def _split_configs(options: list[str]) -> tuple[list[str], list[str]]:
    """The options but for ``--configfile``, and the files after it."""
    rest, configs, taking = [], [], False
    for text in options:
        if text.startswith("-"):
            name, equals, value = text.partition("=")
            taking = name in CONFIG_OPTIONS
            if taking and equals:
                configs.append(value)
        if taking and not text.startswith("-"):
            configs.append(text)
        elif not taking:
            rest.append(text)
    return rest, configs


def _misplaced(target: str) -> str:
    return f"{target}: a target comes first; write ./maskmake {target} config/mine.yaml."


def _nested(option: str, setting: str) -> str:
    key, _, value = setting.partition("=")
    section, *names = key.split(".")
    for name in reversed(names):
        value = f"{{{name}: {value}}}"
    return f"{setting}: found a dot; expected a section; write {option} '{section}={value}'."


def _not_there(path: str, snakefile: Path) -> str:
    if path in targets(snakefile):
        return _misplaced(path)
    folder = Path(path).parent
    near = {
        file.stem: file for file in folder.glob("*") if file.suffix in ENDINGS and file.is_file()
    }
    close = difflib.get_close_matches(Path(path).stem, near, 1)
    guess = f"; did you mean {near[close[0]]}?" if close else "; make new DATA=folder writes one."
    return f"{path}: no such configuration file{guess}"
