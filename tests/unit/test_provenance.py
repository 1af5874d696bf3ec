"""A step runs again when the code it uses has changed; and the floors of the house hold."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from maskmake.provenance import code_hashes, used_files

SCRIPTS = Path(__file__).parents[2] / "workflow" / "scripts"
PACKAGE = SCRIPTS / "maskmake"

FLOORS = [
    {
        "contents",
        "files",
        "folders",
        "locations",
        "errors",
        "cases",
        "pixels",
        "settings",
        "log",
        "provenance",
        "configuration",
        "labels",
        "gpus",
    }
    | {"schema_faults", "locks", "at_work", "internals", "pairs", "images"},
    {
        "reasons",
        "device",
        "arrays",
        "splits",
        "probabilities",
        "synthesis",
        "download",
        "decision",
    }
    | {"boundaries", "objects", "intervals", "retrieval"},
    {"objectives", "components", "large_images", "topology", "regions"}
    | {"plan", "networks", "augmentation", "sampling", "losses", "predictions"}
    | {"checkpoints", "optimizers", "borders", "memory", "review"}
    | {"audit", "report_inputs", "pictures"},
    {"callbacks", "guard", "tiling", "figures", "one_level", "two_levels", "specks"}
    | {"scorecard", "calibration", "terms", "mask_files"},
    {"training", "segmentation", "learning", "speck_figure", "comparison", "evaluation"}
    | {"tables", "sentences"},
    {"page"},
]
# The ground floor stands on these: whoever is on it may import them.
GROUND = {"errors", "log", "folders", "schema_faults", "locks", "files"}

KERAS_ROOMS = {"networks", "augmentation", "sampling", "losses", "training", "tiling"} | {
    "segmentation",
    "callbacks",
    "checkpoints",
    "optimizers",
    "device",
    "guard",
    "memory",
}
BACKENDS = {"tensorflow", "jax", "torch"}


# --- the architecture -------------------------------------------------------------------------


def imported_modules(path):
    """Dotted names of everything that a file imports, at its top or in a function."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: a relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def imported_rooms(path):
    parts = [name.split(".") for name in imported_modules(path)]
    return {name[1] for name in parts if name[0] == "maskmake" and len(name) > 1}


ROOMS = sorted(path.stem for path in PACKAGE.glob("*.py") if path.stem != "__init__")


def test_every_room_is_on_one_floor():
    assert sorted(room for floor in FLOORS for room in floor) == ROOMS


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_from_floors_below(room):
    floor = next(i for i, rooms in enumerate(FLOORS) if room in rooms)
    below = set().union(GROUND, *FLOORS[:floor])
    assert imported_rooms(PACKAGE / f"{room}.py") <= below - {room}


@pytest.mark.parametrize("room", ROOMS)
def test_keras_is_used_in_few_rooms_and_a_backend_in_fewer(room):
    libraries = {name.split(".")[0] for name in imported_modules(PACKAGE / f"{room}.py")}
    assert not libraries & BACKENDS or room in {"device", "networks", "optimizers"}
    assert "keras" not in libraries or room in KERAS_ROOMS


def test_what_the_snakefile_imports_is_light():
    files = (SCRIPTS.parent / "rules").glob("*.smk")
    lines = "".join(path.read_text() for path in files).splitlines()
    rooms = {line.split()[1] for line in lines if line.startswith("from maskmake.")}
    names = ("at_work", "configuration", "contents", "errors", "folders", "locations", "locks")
    names += ("provenance",)
    assert rooms == {f"maskmake.{name}" for name in names}
    rooms.add("maskmake.internals")
    heavy = ["keras", "tensorflow", "numpy", "pandas", "scipy", "skimage", "PIL", "tifffile"]
    code = (
        f"import sys, {', '.join(sorted(rooms))}\n"
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    found = subprocess.run(
        [sys.executable, "-c", code],
        cwd=SCRIPTS,
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.strip() == "[]"


# --- hashes of code ---------------------------------------------------------------------------


@pytest.fixture
def house(tmp_path):
    """A small package.

    The script uses upper, upper uses deep.lower and a template; deep.other is used by none.
    """
    package = tmp_path / "maskmake"
    (package / "templates").mkdir(parents=True)
    (package / "deep").mkdir()
    for folder in (package, package / "deep"):
        (folder / "__init__.py").touch()
    (package / "deep" / "lower.py").write_text("import math\n")
    (package / "deep" / "other.py").write_text("from maskmake.deep import lower\n")
    (package / "upper.py").write_text(
        "from maskmake.deep.lower import something\n\npage = open('page.html.j2')\n"
    )
    for template in ("page", "upper"):
        (package / "templates" / f"{template}.html.j2").write_text("<p>")
    script = tmp_path / "step.py"
    script.write_text("def late():\n    from maskmake import upper\n")
    return script


def hash_in_a_new_process(script):
    """As the Snakefile sees it: one process reads each file once."""
    code = f"from maskmake.provenance import code_hashes; print(code_hashes({str(script)!r}))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=SCRIPTS, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def used_names(script):
    return {str(path.relative_to(script.parent)) for path in used_files(script)}


USED = {
    "step.py",
    "maskmake/__init__.py",
    "maskmake/upper.py",
    "maskmake/deep/__init__.py",
    "maskmake/deep/lower.py",
    "maskmake/templates/page.html.j2",
}


@pytest.mark.parametrize(
    "line",
    [
        "from maskmake.deep.lower import something",
        "from maskmake.deep import lower",
        "import maskmake.deep.lower",
        "import maskmake.deep.lower as under",
    ],
)
def test_used_files_are_followed_through_every_form_of_import(house, line):
    (house.parent / "maskmake" / "upper.py").write_text(f"{line}\npage = 'page.html.j2'\n")
    assert used_names(house) == USED


def test_modules_that_import_each_other_are_followed(house):
    (house.parent / "maskmake" / "deep" / "lower.py").write_text("import maskmake.upper\n")
    assert used_names(house) == USED


def test_a_name_of_a_package_itself_is_no_module(house):
    package = house.parent / "maskmake"
    (package / "deep" / "__init__.py").write_text("something = 1\n")
    (package / "upper.py").write_text("from maskmake.deep import something\n")
    assert used_names(house) == USED - {
        "maskmake/deep/lower.py",
        "maskmake/templates/page.html.j2",
    }


@pytest.mark.parametrize(
    "line",
    [
        "import maskmake.gone",
        "from maskmake.gone import something",
        "from maskmake.deep import gone",
        "from maskmake.deep.gone import something",
        "from maskmake.upper.gone import something",
        "from . import upper",
    ],
)
def test_an_import_that_cannot_be_resolved_is_an_error(house, line):
    house.write_text(f"{line}\n")
    with pytest.raises(ImportError, match=r"step\.py: .*(no module of the package|relative)"):
        used_files(house)


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("step.py", True),
        ("maskmake/__init__.py", True),
        ("maskmake/upper.py", True),
        ("maskmake/deep/__init__.py", True),
        ("maskmake/deep/lower.py", True),
        ("maskmake/templates/page.html.j2", True),
        ("maskmake/deep/other.py", False),
        ("maskmake/templates/upper.html.j2", False),
    ],
)
def test_an_edit_changes_the_hash_of_the_steps_that_use_it(house, name, changes):
    before = hash_in_a_new_process(house)
    path = house.parent / name
    path.write_text(path.read_text() + "\npass\n")
    assert (hash_in_a_new_process(house) != before) is changes


CODE = """import math
TEXT = '''one # no comment

  two'''


@decorated
class Number:
    value: int = 1

    def double(self):
        return "#" + f"{self.value * 2}#"


async def wait(): return 1
"""
PROSE = """#!/usr/bin/env python
'''About this module.

# A heading in it.
'''
import math  # needed: it's "quoted

TEXT = '''one # no comment

  two'''



@decorated
# of which
class Number:
    r\"\"\"About \\the class.\"\"\"

    value: int = 1   # an attribute

    def double(self):
        'About the method.'

        # Why it is so.
        return "#" + f"{self.value * 2}#"
# the end
async def wait(): return 1

"""


def test_prose_changes_no_hash(house):
    house.write_text(CODE)
    before = hash_in_a_new_process(house)
    house.write_text(PROSE)
    assert hash_in_a_new_process(house) == before


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("one # no comment", "one # a comment"),
        ("comment\n\n  two", "comment\n  two"),
        ('"#" +', '"" +'),
        ("value: int", "value: str"),
        ("return 1", "return 2"),
    ],
)
def test_code_and_texts_change_the_hash(house, old, new):
    house.write_text(CODE)
    before = hash_in_a_new_process(house)
    assert old in CODE
    house.write_text(CODE.replace(old, new))
    assert hash_in_a_new_process(house) != before


def test_a_touch_and_a_move_change_nothing(house, tmp_path):
    before = str(code_hashes(house))
    (house.parent / "maskmake" / "upper.py").touch()
    assert hash_in_a_new_process(house) == before
    moved = house.parent.rename(tmp_path.with_name(f"{tmp_path.name}-moved"))
    assert hash_in_a_new_process(moved / house.name) == before


def test_every_script_has_a_hash_of_its_own():
    hashes = [code_hashes(path) for path in SCRIPTS.glob("*.py")]
    assert len({str(value) for value in hashes}) == len(hashes)
    assert all(len(digest) == 8 for value in hashes for digest in value.values())


def test_training_does_not_depend_on_the_report():
    train = {path.stem for path in used_files(SCRIPTS / "train.py")}
    assert {"training", "networks", "augmentation", "arrays"} <= train
    assert not train & {"report", "figures", "pixels", "tiling", "audit"}
    report = {path.name for path in used_files(SCRIPTS / "report.py")}
    assert {"report.py", "report.html.j2"} <= report


def test_a_new_version_is_no_change_of_code():
    used = {path for script in SCRIPTS.glob("*.py") for path in used_files(script)}
    assert PACKAGE / "training.py" in used and (PACKAGE / "VERSION").is_file()
    assert PACKAGE / "VERSION" not in used
