"""Content hashes of code, so that a step runs again when the code it uses has changed."""

import ast
import hashlib
from functools import cache
from pathlib import Path

PACKAGE = "maskmake"


@cache
def _imports(path: Path) -> tuple[Path, ...]:
    """The package modules that a Python file imports, and the template of its own name."""
    package = path.parent if path.parent.name == PACKAGE else path.parent / PACKAGE
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    own = [name.split(".")[1] for name in names if name.startswith(f"{PACKAGE}.")]
    modules = [package / f"{name}.py" for name in own]
    template = package / "templates" / f"{path.stem}.html.j2"
    return tuple(p for p in [*modules, template] if p.exists())


def used_files(script: Path) -> list[Path]:
    """A script, the package modules that it imports, directly or not, and their templates."""
    found, waiting = set(), [script]
    while waiting:
        path = waiting.pop()
        if path in found:
            continue
        found.add(path)
        if path.suffix == ".py":
            waiting.extend(_imports(path))
    return sorted(found)


def code_hashes(script: Path) -> dict[str, str]:
    """Hash of the text of every file that ``used_files`` gives, 8 hexadecimal digits.

    The keys are paths relative to the script's folder, in alphabetical order.
    """
    folder = Path(script).parent
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()[:8]
        for path in used_files(Path(script))
    }
