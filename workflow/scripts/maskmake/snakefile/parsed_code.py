"""What a Python file imports and the hash of its code, kept for the next commands of the user.

Parsing the package takes half of a dry run, and every job of a cluster reads the Snakefile again.
"""

import ast
import contextlib
import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from maskmake.runtime.cache_folder import private_folder
from maskmake.runtime.errors import UserError

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
NOT_KEPT = (OSError, RuntimeError, UserError)  # no folder, or one of another user
MOST_FILES = 2000  # that are kept, half a megabyte


class ParsedCode(NamedTuple):
    """What is asked of a Python file.

    Attributes:
        imports: module and names of each ``from module import names``, in any order; no names for
            ``import module``. A relative import begins with its dots.
        templates: file names of templates among its strings.
        digest: 8 hexadecimal digits, the same whatever its docstrings, comments and blank lines.
    """

    imports: list[tuple[str, list[str]]]
    templates: list[str]
    digest: str


def parsed_code(source: bytes) -> ParsedCode:
    """What a file with this content imports, names and does; parsed once for all commands."""
    known, key = _known(), hashlib.sha256(source).hexdigest()
    if key not in known:
        known[key] = _parse(source)
        _unsaved.append(key)
    return known[key]


_unsaved: list[str] = []


@cache
def _known() -> dict[str, ParsedCode]:
    """What earlier commands parsed, by the SHA-256 of the content; nothing where it is lost."""
    with contextlib.suppress(*NOT_KEPT, AttributeError, TypeError, ValueError):
        return {key: ParsedCode(*kept) for key, kept in json.loads(_file().read_bytes()).items()}
    return {}


def _file() -> Path:
    """The file of what this code made of its input."""
    version = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:8]
    return private_folder() / f"parsed-code-{version}.json"


def keep_parsed_code() -> None:
    """Write down what was parsed since the last call, for the next commands."""
    if not _unsaved:
        return
    known = _known()
    if len(known) > MOST_FILES:
        known = {key: known[key] for key in _unsaved}
    _unsaved.clear()
    # On a full disk, or without a folder of its own, the next command parses again.
    with contextlib.suppress(*NOT_KEPT):
        file = _file()
        temporary = file.with_name(f".{os.getpid()}-{file.name}")
        try:
            temporary.write_text(json.dumps(known))
            temporary.replace(file)
        finally:
            temporary.unlink(missing_ok=True)


def _parse(source: bytes) -> ParsedCode:
    tree = ast.parse(source)
    statements = list(_statements(tree))
    # Most of a tree is expressions, which take most of the time.
    nodes = ast.walk(tree) if b".j2" in source else ()
    constants = [str(node.value) for node in nodes if isinstance(node, ast.Constant)]
    return ParsedCode(
        [found for node in statements for found in _imports(node)],
        [text for text in constants if text.endswith(TEMPLATE_SUFFIX)],
        hashlib.sha256(_code_alone(source, _docstrings(statements))).hexdigest()[:8],
    )


def _imports(node: ast.AST) -> Iterator[tuple[str, list[str]]]:
    if isinstance(node, ast.Import):
        yield from ((alias.name, []) for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        yield "." * node.level + (node.module or ""), [alias.name for alias in node.names]


def _statements(tree: ast.AST) -> Iterator[ast.AST]:
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        for block in BLOCKS:
            waiting.extend(getattr(node, block, ()))


def _code_alone(source: bytes, docstrings: Iterable[ast.Expr]) -> bytes:
    """A Python file without docstrings, comments and blank lines, which change no result.

    What is left is the text as it stands, so that every version of Python gives the same.
    """
    lines = source.replace(b"\r\n", b"\n").split(b"\n")
    for text in docstrings:
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
