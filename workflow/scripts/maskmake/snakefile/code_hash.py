"""Content hashes of code, so that a step runs again when the code it uses has changed."""

import hashlib
import symtable
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from maskmake.snakefile.parsed_code import keep_parsed_code, parsed_code

PACKAGE = "maskmake"


@cache
def _dependencies(path: Path, source: bytes) -> tuple[Path, ...]:
    """The files of the package that a Python file imports or names as its template.

    Raises:
        ImportError: an import that names the package cannot be resolved. Hashed as nothing, it
            would let a step keep results of code that has changed.
    """
    root = next(folder for folder in path.parents if (folder / PACKAGE).is_dir())
    found: set[Path] = set()
    parsed = parsed_code(source)
    for module, names in parsed.imports:
        found.update(_imported_files(root, module, names, path))
    templates = (path.parent / "templates" / name for name in parsed.templates)
    found.update(template for template in templates if template.is_file())
    return tuple(sorted(found - {path}))


def _module_files(root: Path, name: str, importer: Path) -> Iterator[Path]:
    """The file of a dotted module of the package and the ``__init__.py`` of each level above."""
    parts = name.split(".")
    if parts[0] != PACKAGE:
        return
    for depth in range(1, len(parts) + 1):
        place = root.joinpath(*parts[:depth])
        module = place.with_suffix(".py") if depth == len(parts) else None
        if module and module.is_file():
            yield module
        elif (init := place / "__init__.py").is_file():
            yield init
        else:
            raise ImportError(f"{importer}: imports {name}, which is no module of the package")


def _imported_files(root: Path, module: str, names: list[str], importer: Path) -> Iterator[Path]:
    """The files behind an import: of the module, and of names of it that are modules."""
    if module.startswith("."):
        raise ImportError(f"{importer}: a relative import; write the name of the package")
    files = list(_module_files(root, module, importer))
    yield from files
    if not names or not files or files[-1].name != "__init__.py":
        return
    own = symtable.symtable(files[-1].read_text(encoding="utf-8"), str(files[-1]), "exec")
    for name in names:
        if name not in own.get_identifiers():
            yield from _module_files(root, f"{module}.{name}", importer)


def used_files(script: Path) -> list[Path]:
    """A script, the package modules that it imports, directly or not, and their templates."""
    found: set[Path] = set()
    waiting = [script]
    while waiting:
        path = waiting.pop()
        if path in found:
            continue
        found.add(path)
        if path.suffix == ".py":
            waiting.extend(_dependencies(path, path.read_bytes()))
    return sorted(found)


def _digest(source: bytes, suffix: str) -> str:
    return parsed_code(source).digest if suffix == ".py" else hashlib.sha256(source).hexdigest()[:8]


def code_hashes(script: Path) -> dict[str, str]:
    """Hash of every file that ``used_files`` gives, 8 hexadecimal digits; prose does not count.

    The keys are paths relative to the script's folder, in alphabetical order.
    """
    folder = Path(script).parent
    hashes = {
        str(path.relative_to(folder)): _digest(path.read_bytes(), path.suffix)
        for path in used_files(Path(script))
    }
    keep_parsed_code()
    return hashes
