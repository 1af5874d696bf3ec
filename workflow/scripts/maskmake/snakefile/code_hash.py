"""Content hashes of code, so that a step runs again when the code it uses has changed."""

import ast
import hashlib
import re
import symtable
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

PACKAGE = "maskmake"
TEMPLATE_SUFFIX = ".html.j2"
BLOCKS = ("body", "orelse", "finalbody", "handlers", "cases")  # of statements inside a statement
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
# A string, which stays; or the end of a line of code: its comment, and the blank lines and comments
# that follow.
STRING_OR_LINE_END = re.compile(
    rb'''("""(?:\\.|[^\\])*?"""|'{3}(?:\\.|[^\\])*?'{3}'''
    rb"""|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')"""
    rb"""|(?:[ \t]*(?:\#[^\n]*)?\n)+""",
    re.DOTALL,
)


# What follows is cached by the content of a file, since many scripts ask for it.


class _Parsed(NamedTuple):
    """What is asked of a Python file; its whole tree would take half a megabyte."""

    imports: tuple[ast.Import | ast.ImportFrom, ...]
    templates: tuple[str, ...]
    docstrings: tuple[ast.Expr, ...]


@cache
def _parsed(source: bytes) -> _Parsed:
    tree = ast.parse(source)
    statements = list(_statements(tree))
    # Most of a tree is expressions, which take most of the time of Snakemake's start.
    nodes = ast.walk(tree) if b".j2" in source else ()
    constants = [str(node.value) for node in nodes if isinstance(node, ast.Constant)]
    return _Parsed(
        tuple(node for node in statements if isinstance(node, ast.Import | ast.ImportFrom)),
        tuple(text for text in constants if text.endswith(TEMPLATE_SUFFIX)),
        tuple(_docstrings(statements)),
    )


def _statements(tree: ast.AST) -> Iterator[ast.AST]:
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        for block in BLOCKS:
            waiting.extend(getattr(node, block, ()))


@cache
def _dependencies(path: Path, source: bytes) -> tuple[Path, ...]:
    """The files of the package that a Python file imports or names as its template.

    Raises:
        ImportError: an import that names the package cannot be resolved. Hashed as nothing, it
            would let a step keep results of code that has changed.
    """
    root = next(folder for folder in path.parents if (folder / PACKAGE).is_dir())
    found: set[Path] = set()
    parsed = _parsed(source)
    for node in parsed.imports:
        if isinstance(node, ast.Import):
            for alias in node.names:
                found.update(_module_files(root, alias.name, path))
        else:
            found.update(_imported_files(root, node, path))
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


def _imported_files(root: Path, node: ast.ImportFrom, importer: Path) -> Iterator[Path]:
    """The files behind ``from ... import ...``: of the module, and of names that are modules."""
    if node.level:
        raise ImportError(f"{importer}: a relative import; write the name of the package")
    assert node.module is not None  # as only a relative import leaves it out
    files = list(_module_files(root, node.module, importer))
    yield from files
    if not files or files[-1].name != "__init__.py":
        return
    own = symtable.symtable(files[-1].read_text(encoding="utf-8"), str(files[-1]), "exec")
    for alias in node.names:
        if alias.name not in own.get_identifiers():
            yield from _module_files(root, f"{node.module}.{alias.name}", importer)


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


@cache
def _digest(source: bytes, suffix: str) -> str:
    content = _code_alone(source) if suffix == ".py" else source
    return hashlib.sha256(content).hexdigest()[:8]


def _code_alone(source: bytes) -> bytes:
    """A Python file without docstrings, comments and blank lines, which change no result.

    What is left is the text as it stands, so that every version of Python gives the same.
    """
    lines = source.replace(b"\r\n", b"\n").split(b"\n")
    for text in _parsed(source).docstrings:
        first, last = text.lineno - 1, text.end_lineno or text.lineno
        rest = lines[first][: text.col_offset] + lines[last - 1][text.end_col_offset :]
        lines[first:last] = [rest, *[b""] * (last - first - 1)]  # the others keep their numbers
    return STRING_OR_LINE_END.sub(
        lambda found: found[1] or b"\n", b"\n".join(lines) + b"\n"
    ).lstrip(b"\n")


def _docstrings(statements: Iterable[ast.AST]) -> Iterator[ast.Expr]:
    for node in statements:
        if isinstance(node, DOCUMENTED) and node.body and isinstance(node.body[0], ast.Expr):
            value = node.body[0].value
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                yield node.body[0]


def code_hashes(script: Path) -> dict[str, str]:
    """Hash of every file that ``used_files`` gives, 8 hexadecimal digits; prose does not count.

    The keys are paths relative to the script's folder, in alphabetical order.
    """
    folder = Path(script).parent
    return {
        str(path.relative_to(folder)): _digest(path.read_bytes(), path.suffix)
        for path in used_files(Path(script))
    }
