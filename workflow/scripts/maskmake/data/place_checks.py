"""What else lies in a folder of images, in words for people."""

import glob
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path

from maskmake.data.folders import is_image, role_folders
from maskmake.data.layouts import matches

NAMED = 3  # of many names
LOOKED_AT = 3  # sub-folders from which a pattern is made


def name_some(names: Sequence[str], kind: str) -> str:
    """Such as ``folder a`` or ``folders a, b, c and 297 more``."""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"{kind}{'s' if len(names) > 1 else ''} {', '.join(names[:NAMED])}{more}"


def describe_left_out(folder: Path) -> str:
    """What a folder holds besides image files and sub-folders of roles, as a phrase."""
    roles = role_folders(folder)
    entries = [p for place in (folder, *roles) for p in place.iterdir() if p.name[0] != "."]
    folders = sorted(path.name for path in entries if path.is_dir() and path not in roles)
    suffixes = Counter(path.suffix.lower() for path in entries if path.is_file())
    return ", ".join(
        ([name_some(folders, "sub-folder")] if folders else [])
        + [
            f"{count} {suffix or 'suffixless'} file{'s' if count > 1 else ''}"
            for suffix, count in sorted(suffixes.items())
            if not is_image(f"name{suffix}")
        ]
    )


def suggest_patterns(folder: Path, key: str) -> str:
    """The patterns by which images in sub-folders could be named, as the end of a sentence."""
    patterns: dict[str, None] = {}
    samples = sorted(path for path in folder.iterdir() if path.is_dir())
    for sample in samples[:LOOKED_AT]:
        images = filter(is_image, sample.rglob("*"))
        places: dict[Path, list[Path]] = {}
        for image in islice(images, 1000):
            places.setdefault(image.parent, []).append(image)
        for place, files in sorted(places.items()):
            inner = place.relative_to(sample)
            name = _name(place, files, samples)
            inside = Path(glob.escape(str(folder)), "*", glob.escape(str(inner)))
            patterns[str(inside / name)] = None
    if not patterns:
        return f", or a pattern in dataset.{key}, such as {glob.escape(str(folder))}/*/*.png"
    listed = " or ".join(f"'{pattern}'" for pattern in list(patterns)[:NAMED])
    return f"; set dataset.{key} to a pattern: {listed}"


def _name(place: Path, files: list[Path], samples: list[Path]) -> str:
    """A pattern for the names of files: the name itself where other samples have it too."""
    if len(files) == 1 and len(samples) > 1:
        sample = next(path for path in samples if path in (place, *place.parents))
        relative = files[0].relative_to(sample)
        if all((other / relative).exists() for other in samples[:LOOKED_AT]):
            return glob.escape(files[0].name)
    suffixes = {file.suffix for file in files}
    return f"*{suffixes.pop()}" if len(suffixes) == 1 else "*"


def folders_of_pattern(pattern: str) -> list[Path]:
    """What matches the folders of a pattern that have wildcards, down to the last of them."""
    folders = [str(part) for part in Path(pattern).parents if glob.has_magic(str(part))]
    return [Path(path) for part in folders for path in matches(part)]


def folders_without(pattern: str, found: Iterable[Path]) -> list[Path]:
    """Folders that match the wildcards of a pattern, but in which no file matches the rest."""
    innermost = _with_wildcard(Path(pattern).parent)
    if innermost is None or "**" in str(innermost):
        return []
    used = {parent for file in found for parent in file.parents}
    there = map(Path, matches(innermost))
    return sorted(path for path in there if path.is_dir() and path not in used)


def _with_wildcard(folder: Path) -> Path | None:
    """The path down to the last folder whose name has wildcards."""
    places = (folder, *folder.parents)
    return next((place for place in places if glob.has_magic(place.name)), None)
