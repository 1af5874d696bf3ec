"""A step runs again when the code it uses has changed."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from maskmake.snakefile.code_hash import code_hashes, used_files

SCRIPTS = Path(__file__).parents[3] / "workflow" / "scripts"
PACKAGE = SCRIPTS / "maskmake"


def test_what_the_snakefile_imports_is_light():
    """In a process, because a library may import what no module of the package names."""
    rules = (SCRIPTS.parent / "rules").glob("*.smk")
    text = "".join(path.read_text() for path in rules)
    imports = re.findall(r"^from maskmake\S* import (?:\([^)]*\)|.*)", text, re.MULTILINE)
    assert len(imports) > 5
    heavy = ["keras", "tensorflow", "numpy", "pandas", "scipy", "skimage", "PIL", "tifffile"]
    code = "\n".join(["import sys", *imports])
    code += f"\nprint([name for name in {heavy} if name in sys.modules])"
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=SCRIPTS, capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == "[]"


@pytest.fixture
def small_package(tmp_path):
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
    code = (
        f"from maskmake.snakefile.code_hash import code_hashes; print(code_hashes({str(script)!r}))"
    )
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
def test_used_files_are_followed_through_every_form_of_import(small_package, line):
    (small_package.parent / "maskmake" / "upper.py").write_text(f"{line}\npage = 'page.html.j2'\n")
    assert used_names(small_package) == USED


def test_modules_that_import_each_other_are_followed(small_package):
    (small_package.parent / "maskmake" / "deep" / "lower.py").write_text("import maskmake.upper\n")
    assert used_names(small_package) == USED


def test_a_name_of_a_package_itself_is_no_module(small_package):
    package = small_package.parent / "maskmake"
    (package / "deep" / "__init__.py").write_text("something = 1\n")
    (package / "upper.py").write_text("from maskmake.deep import something\n")
    assert used_names(small_package) == USED - {
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
def test_an_import_that_cannot_be_resolved_is_an_error(small_package, line):
    small_package.write_text(f"{line}\n")
    with pytest.raises(ImportError, match=r"step\.py: .*(no module of the package|relative)"):
        used_files(small_package)


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
def test_an_edit_changes_the_hash_of_the_steps_that_use_it(small_package, name, changes):
    before = hash_in_a_new_process(small_package)
    path = small_package.parent / name
    path.write_text(path.read_text() + "\npass\n")
    assert (hash_in_a_new_process(small_package) != before) is changes


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


def test_prose_changes_no_hash(small_package):
    small_package.write_text(CODE)
    before = hash_in_a_new_process(small_package)
    small_package.write_text(PROSE)
    assert hash_in_a_new_process(small_package) == before


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
def test_code_and_texts_change_the_hash(small_package, old, new):
    small_package.write_text(CODE)
    before = hash_in_a_new_process(small_package)
    assert old in CODE
    small_package.write_text(CODE.replace(old, new))
    assert hash_in_a_new_process(small_package) != before


def test_a_touch_and_a_move_change_nothing(small_package, tmp_path):
    before = str(code_hashes(small_package))
    (small_package.parent / "maskmake" / "upper.py").touch()
    assert hash_in_a_new_process(small_package) == before
    moved = small_package.parent.rename(tmp_path.with_name(f"{tmp_path.name}-moved"))
    assert hash_in_a_new_process(moved / small_package.name) == before


def test_every_script_has_a_hash_of_its_own():
    hashes = [code_hashes(path) for path in SCRIPTS.glob("*.py")]
    assert len({str(value) for value in hashes}) == len(hashes)
    assert all(len(digest) == 8 for value in hashes for digest in value.values())


def test_training_does_not_depend_on_the_report():
    train = {path.stem for path in used_files(SCRIPTS / "train.py")}
    assert {"training", "networks", "augmentation", "pixel_store"} <= train
    assert not train & {"report", "figures", "pixels", "tiling", "audit"}
    report = {path.name for path in used_files(SCRIPTS / "report.py")}
    assert {"page.py", "report.html.j2"} <= report


def test_a_new_version_is_no_change_of_code():
    used = {path for script in SCRIPTS.glob("*.py") for path in used_files(script)}
    assert PACKAGE / "train/training.py" in used and (PACKAGE / "VERSION").is_file()
    assert PACKAGE / "VERSION" not in used
