"""Faults of configuration files and options that Snakemake does not name, or not with the file."""

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

import yaml

from maskmake.runtime.errors import UserError, first_line
from maskmake.snakefile.schema_errors import PATTERN_WORDS, joined, shortened

# YAML 1.1 takes 010 for the octal number 8 and 12:30 for 750.
OTHER_NUMBER = re.compile(r"[-+]?(0[0-7_]+|\d[\d_]*(:\d+)+)")
# And what follows # for a comment, in front of which nothing is left.
LOST_COLOUR = re.compile(r"\s*:\s+(#[0-9a-fA-F]{6})\b")
LONGEST_NAME = 100
# Options of Snakemake that take many words, by all their names. Each replaces one before it.
LAST_COUNTS = (
    ("--configfile", "--configfiles"),
    ("--config", "-C"),
    ("--resources", "--res"),
    ("--default-resources", "--default-res"),
    ("--set-threads",),
    ("--set-resources",),
    ("--forcerun", "-R"),
    ("--until", "-U"),
    ("--omit-from", "-O"),
)
INTEGER_TAG, NULL_TAG = "tag:yaml.org,2002:int", "tag:yaml.org,2002:null"


class _Loader(yaml.SafeLoader):
    """Names the place of a value that looks like a date or a number and is none."""

    def construct_object(self, node, deep=False):
        try:
            return super().construct_object(node, deep)
        except (AttributeError, ValueError) as error:
            problem = f"{shortened(node.value)}: {first_line(error)}"
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark) from error


def check_readable(file: Path) -> None:
    """Refuse a file that Snakemake cannot read as a configuration.

    Raises:
        UserError: the file may not be read, is no UTF-8, neither YAML nor JSON, has no sections,
            has endless or too many levels, or a value that nothing can be made of.
    """
    try:
        has_sections = _has_sections(file.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise UserError(
            f"{file}: {error.strerror}; expected a file that can be read; fix its permissions."
        ) from None
    except UnicodeDecodeError:
        raise UserError(
            f"{file}: found another encoding; expected UTF-8; save the file as UTF-8."
        ) from None
    except yaml.constructor.ConstructorError as error:
        raise UserError(
            f"{file}: found{_line_of(error)} a value that YAML cannot read ({error.problem}); "
            "expected settings without tags such as !include; put a text in quotes."
        ) from None
    except yaml.MarkedYAMLError as error:
        advice = "indent with spaces, not tabs, and close each bracket and quote"
        if "escape" in str(error.problem):
            advice = "put a text with \\ into single quotes, and write / between folders"
        raise UserError(
            f"{file}: found{_line_of(error)} what is no YAML ({error.problem}); {advice}."
        ) from None
    except yaml.YAMLError as error:
        raise UserError(f"{file}: {first_line(error)}; expected YAML.") from None
    except RecursionError:
        raise UserError(
            f"{file}: found too many levels, or an alias inside of what it stands for, such as *a "
            "in &a; expected sections with settings."
        ) from None
    if not has_sections:
        raise UserError(f"{file}: found no section; expected dataset: with images: and labels:.")


def _line_of(error: yaml.MarkedYAMLError) -> str:
    return f" in line {error.problem_mark.line + 1}" if error.problem_mark else ""


def _has_sections(text: str) -> bool:
    """Whether a text is a mapping, in JSON or else in YAML, as Snakemake tries them.

    Raises:
        YAMLError: it is neither.
    """
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        loader = _Loader(text)
        node = loader.get_single_node()
        _check_levels(node, set(), set())
        if node is not None:
            loader.construct_document(node)
        return isinstance(node, yaml.MappingNode)


def _check_levels(node: yaml.Node | None, above: set[int], known: set[int]) -> None:
    """Raise ``RecursionError`` for a node with an alias inside of what the alias stands for."""
    if id(node) in above:
        raise RecursionError
    if not isinstance(node, yaml.CollectionNode) or id(node) in known:
        return
    parts = (
        node.value
        if isinstance(node, yaml.SequenceNode)
        else [p for pair in node.value for p in pair]
    )
    for part in parts:
        _check_levels(part, above | {id(node)}, known)
    known.add(id(node))


def check_files(
    files: Iterable[str | Path], command: list[str], arguments: Iterable[str] = ()
) -> None:
    """Refuse configuration files and options of which a part would be lost without a word.

    Args:
        files: those that Snakemake has read, YAML or JSON.
        command: with which Snakemake was started.
        arguments: what follows ``--config`` in it, each ``key=value``.

    Raises:
        UserError: an option stands twice, a key stands twice, or a number would be read as
            another one; a sentence for each.
    """
    faults = [
        f"{names[0]}: found it twice in the command, and Snakemake takes only what follows the "
        f"last one; put all of it after one {names[0]}."
        for names in LAST_COUNTS
        if sum(_is_option(word, names) for word in command) > 1
    ]
    faults += [fault for file in files for fault in _faults(Path(file))]
    faults += _argument_faults(arguments)
    if faults:
        raise UserError("\n".join(faults))


def _is_option(word: str, names: tuple[str, ...]) -> bool:
    """Whether a word of a command is an option, perhaps with its value, as in ``-Rplan``."""
    return word.partition("=")[0] in names or (word[:2] in names and word[:2] != "--")


def _faults(file: Path) -> Iterator[str]:
    text = file.read_text(encoding="utf-8-sig")
    try:
        twice: list[str] = []
        json.loads(text, object_pairs_hook=lambda pairs: _note_repeated(pairs, twice))
        yield from (f"{file}: {_stands_twice(name, '')}" for name in twice)
    except ValueError:
        yield from (f"{file}: {fault}" for fault in _yaml_faults(text))


def _argument_faults(arguments: Iterable[str]) -> Iterator[str]:
    """Faults inside ``--config``, of which Snakemake takes the last one of each setting."""
    known: set[tuple[str, ...]] = set()
    for argument in arguments:
        key, _, text = argument.partition("=")
        try:
            node = yaml.compose(text, Loader=yaml.SafeLoader)
            _check_levels(node, set(), set())
        except (yaml.YAMLError, RecursionError):  # a text for Snakemake, which the schema refuses
            continue
        if isinstance(node, yaml.CollectionNode):
            yield from (f"--config: {fault}" for fault in _yaml_faults(text, with_lines=False))
        found = set(_settings_in(node, (key,)))
        for setting in sorted(found):
            if any(setting[: len(other)] == other[: len(setting)] for other in known):
                yield f"--config: {_stands_twice('.'.join(setting), '')}"
        known |= found


def _settings_in(node: yaml.Node | None, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """The keys that lead to each value that is no section."""
    if isinstance(node, yaml.MappingNode) and node.value:
        for key, value in node.value:
            name = key.value if isinstance(key, yaml.ScalarNode) else ""
            yield from _settings_in(value, (*path, name))
    else:
        yield path


def _note_repeated(pairs: list[tuple], twice: list[str]) -> dict:
    names = [name for name, _ in pairs]
    twice += sorted({name for name in names if names.count(name) > 1})
    return dict(pairs)


def _stands_twice(name: str, lines: str) -> str:
    return (
        f"'{name}' stands twice{lines}, and all but the last would be lost; expected it once in "
        "its section; put what belongs to it into one."
    )


def _yaml_faults(text: str, with_lines: bool = True) -> Iterator[str]:
    # An alias has the node of its anchor, which is looked at once.
    nodes, known = [yaml.compose(text, Loader=yaml.SafeLoader)], set()
    while nodes:
        node = nodes.pop()
        if node is None or id(node) in known:
            continue
        known.add(id(node))
        if isinstance(node, yaml.MappingNode):
            yield from _repeated_keys(node, with_lines)
            if with_lines:
                yield from _lost_colours(node, text)
            nodes += [part for pair in reversed(node.value) for part in reversed(pair)]
        elif isinstance(node, yaml.SequenceNode):
            nodes += reversed(node.value)
        elif node.tag == INTEGER_TAG and OTHER_NUMBER.fullmatch(node.value):
            number = yaml.safe_load(node.value)
            if ":" in node.value or int(node.value.replace("_", "")) != number:
                line = f"line {node.start_mark.line + 1}: " if with_lines else ""
                yield (
                    f"{line}YAML reads {node.value} as the number "
                    f"{number}; expected a number as it is written; put a name in quotes, and "
                    "write a number without leading zeros."
                )


def _repeated_keys(node: yaml.MappingNode, with_lines: bool) -> Iterator[str]:
    lines = defaultdict(list)
    for key, _ in node.value:
        if isinstance(key, yaml.ScalarNode) and key.value != "<<":
            lines[key.value].append(str(key.start_mark.line + 1))
    for name, found in lines.items():
        if len(found) > 1:
            different = list(dict.fromkeys(found))
            noun = "line" if len(different) == 1 else "lines"
            where = f" ({noun} {joined(different, 'and')})" if with_lines else ""
            yield _stands_twice(name, where)


def _lost_colours(node: yaml.MappingNode, text: str) -> Iterator[str]:
    for key, value in node.value:
        if value.tag == NULL_TAG and not value.value:
            end = key.end_mark
            if found := LOST_COLOUR.match(text.splitlines()[end.line], end.column):
                yield (
                    f"line {end.line + 1}: YAML takes {found[1]} for a comment, so that "
                    f"'{key.value}' has no value; put the colour in quotes, '{found[1]}'."
                )


def with_name(config: dict, files: list[str], pattern: str) -> dict:
    """A configuration whose data set has a name: without one, that of its last file.

    Args:
        config: as Snakemake read it.
        files: that the user named; without any, the default of the schema stays.
        pattern: of valid names.

    Raises:
        UserError: the name of the file is no valid name.
    """
    dataset = config.get("dataset") or {}
    if not files or not isinstance(dataset, dict) or "name" in dataset:
        return config
    name = Path(files[-1]).stem
    if not re.search(pattern, name) or len(name) > LONGEST_NAME:
        raise UserError(
            f"dataset.name: missing, and '{name}', from {Path(files[-1]).name}, is no valid name; "
            f"expected {PATTERN_WORDS[pattern]}; set dataset.name or rename the file."
        )
    return {**config, "dataset": {**dataset, "name": name}}
