"""The user's configuration: defaults, runs, and one sentence for each fault."""

import json
import random
from dataclasses import asdict

import pytest
import yaml
from jsonschema import Draft202012Validator
from schema import SCHEMA

from maskmake.network.settings import AUGMENTATION_PRESETS, AugmentationSettings
from maskmake.runtime.errors import UserError
from maskmake.snakefile.config import resolve
from maskmake.snakefile.schema_errors import PATTERN_WORDS

TWO_PATHS = "dataset: {images: data/images, labels: data/labels}\n"


def resolved(text: str) -> dict:
    return resolve(yaml.safe_load(text), SCHEMA)


def fault_lines(text: str) -> list[str]:
    """The sentences of a refused configuration, without the heading."""
    with pytest.raises(UserError) as caught:
        resolved(text)
    return [line.strip() for line in str(caught.value).splitlines()[1:]]


def settings_of(node: dict, path: tuple = ()):
    """(path, schema) of every key of a section of the schema, augmentation's keys included."""
    node = node_of(node)
    sections = [node, *map(node_of, node.get("oneOf", []))]
    for section in sections:
        for name, child in section.get("properties", {}).items():
            yield (*path, name), child
            yield from settings_of(child, (*path, name))
    if path == ("runs",):
        yield from settings_of(node["additionalProperties"], (*path, "small"))


def node_of(node: dict) -> dict:
    """The schema behind a ``$ref``, with the keys that stand beside it."""
    if "$ref" not in node:
        return node
    return {**SCHEMA["$defs"][node["$ref"].rsplit("/", 1)[1]], **node}


ALL_SETTINGS = list(settings_of(SCHEMA))


def nested(path: tuple, value) -> dict:
    for name in reversed(path):
        value = {name: value}
    return value


# --- the schema -----------------------------------------------------------------------------


def test_the_schema_is_valid():
    Draft202012Validator.check_schema(SCHEMA)


def test_every_default_is_allowed_by_its_own_schema():
    with_default = [(path, node) for path, node in ALL_SETTINGS if "default" in node_of(node)]
    assert len(with_default) > 50
    for path, node in with_default:
        standalone = {**node, "$defs": SCHEMA["$defs"]}
        errors = list(Draft202012Validator(standalone).iter_errors(node_of(node)["default"]))
        assert not errors, path


def test_every_setting_is_described():
    assert [path for path, node in ALL_SETTINGS if "description" not in node_of(node)] == []


def patterns_in(node):
    if isinstance(node, dict):
        if isinstance(node.get("pattern"), str):
            yield node["pattern"]
        for key, value in node.items():
            if key != "not":
                yield from patterns_in(value)
    elif isinstance(node, list):
        for value in node:
            yield from patterns_in(value)


def test_every_pattern_of_the_schema_has_words():
    assert set(patterns_in(SCHEMA)) == set(PATTERN_WORDS)


# --- what a right configuration becomes -----------------------------------------------------


def test_two_paths_are_enough():
    result = resolved(TWO_PATHS)
    assert result["dataset"] == {
        "channels": None,
        "download": None,
        "empty_labels": "refuse",
        "groups": None,
        "images": "data/images",
        "foreground": "auto",
        "ignore": None,
        "label_threshold": None,
        "label_tolerance": 0.01,
        "labels": "data/labels",
        "name": "mine",
        "range": None,
        "storage": None,
        "synthesis": None,
        "table": None,
    }
    assert result["runs"] == {"unet": result["train"]}
    sections = SCHEMA["properties"]
    assert result.keys() == sections.keys()
    for name in sections.keys() - {"runs"}:
        assert result[name].keys() == node_of(sections[name])["properties"].keys()


def test_the_given_configuration_is_left_alone():
    given = yaml.safe_load(TWO_PATHS + "runs: {a: }")
    resolve(given, SCHEMA)
    assert given == yaml.safe_load(TWO_PATHS + "runs: {a: }")


def test_order_of_keys_changes_nothing():
    text = TWO_PATHS + (
        "split: {seed: 2, method: random}\n"
        "runs: {b: {train: {patch: 64, batch: 2}}, a: {train: {seed: 3}}}\n"
    )

    def shuffled(value):
        if not isinstance(value, dict):
            return value
        names = list(value)
        random.Random(1).shuffle(names)
        return {name: shuffled(value[name]) for name in names}

    plain = yaml.safe_load(text)
    assert list(shuffled(plain)) != list(plain)
    first, second = resolve(plain, SCHEMA), resolve(shuffled(plain), SCHEMA)
    assert yaml.safe_dump(first, sort_keys=False) == yaml.safe_dump(second, sort_keys=False)


def test_a_run_is_train_with_its_own_settings_on_top():
    result = resolved(
        TWO_PATHS + "train: {epochs: 3, patch: 64}\n"
        "runs: {small: {train: {encoder: resnet18, patch: 32}}, plain: {}}"
    )
    assert result["runs"]["plain"] == result["train"]
    assert result["runs"]["small"] == {**result["train"], "encoder": "resnet18", "patch": 32}
    assert result["runs"]["small"]["epochs"] == 3


@pytest.mark.parametrize("overlay", ["{}", "", "{train: }", "{train: {}}"])
def test_an_empty_run_is_train(overlay):
    result = resolved(TWO_PATHS + f"train: {{epochs: 3}}\nruns: {{a: {overlay}}}")
    assert result["runs"] == {"a": result["train"]}


@pytest.mark.parametrize(
    "section", ["split", "train", "predict", "decide", "compare", "segment", "runs"]
)
def test_an_empty_section_is_the_default_one(section):
    assert resolved(TWO_PATHS + f"{section}:\n") == resolved(TWO_PATHS)


def test_augmentation_as_a_section_is_completed():
    train = resolved(TWO_PATHS + "train: {augmentation: {rotation: 20}}")["train"]
    augmentation = train["augmentation"]
    assert augmentation.keys() == SCHEMA["$defs"]["augmentation"]["properties"].keys()
    assert (augmentation["rotation"], augmentation["zoom"]) == (20, 0)


def test_augmentation_changes_nothing_that_is_not_asked_for():
    train = resolved(TWO_PATHS + "train: {augmentation: {}}")["train"]
    assert AugmentationSettings(**train["augmentation"]) == AugmentationSettings()


@pytest.mark.parametrize("preset", AUGMENTATION_PRESETS)
def test_each_preset_can_be_asked_for_and_keeps_the_ranges(preset):
    train = resolved(TWO_PATHS + f"train: {{augmentation: {preset}}}")["train"]
    assert train["augmentation"] == preset
    values = asdict(AUGMENTATION_PRESETS[preset])
    assert resolved(TWO_PATHS + f"train: {{augmentation: {json.dumps(values)}}}")


@pytest.mark.parametrize(
    ("base", "overlay", "rotation", "zoom"),
    [("{rotation: 20}", "{zoom: 0.1}", 20, 0.1), ("default", "{zoom: 0.1}", 0, 0.1)],
)
def test_augmentation_of_a_run_is_merged_key_by_key(base, overlay, rotation, zoom):
    runs = resolved(
        TWO_PATHS + f"train: {{augmentation: {base}}}\n"
        f"runs: {{a: {{train: {{augmentation: {overlay}}}}}}}"
    )["runs"]
    augmentation = runs["a"]["augmentation"]
    assert (augmentation["rotation"], augmentation["zoom"]) == (rotation, zoom)
    assert augmentation["fill"] == "reflect"


def test_a_preset_of_a_run_replaces_the_section():
    runs = resolved(
        TWO_PATHS + "train: {augmentation: {rotation: 20}}\n"
        "runs: {a: {train: {augmentation: none}}}"
    )["runs"]
    assert runs["a"]["augmentation"] == "none"


def test_synthesis_is_completed_and_null_stays_null():
    assert resolved("dataset: {synthesis: {}}")["dataset"]["synthesis"] == {
        "difficulty": 0.5,
        "images": 16,
        "kind": "membranes",
        "seed": 1,
        "size": 192,
    }
    assert resolved(TWO_PATHS)["dataset"]["synthesis"] is None


def test_whole_numbers_written_with_a_point_become_integers():
    result = resolved(TWO_PATHS + "train: {epochs: 3.0}\npredict: {tile: 64.0}")
    assert isinstance(result["train"]["epochs"], int)
    assert isinstance(result["predict"]["tile"], int)


@pytest.mark.parametrize(
    "text",
    [
        "dataset: {synthesis: {}}",
        "dataset: {download: {url: 'https://a.b/c', checksums: sums.txt}}",
        TWO_PATHS.replace("}", ", download: {url: 'https://a.b/c', checksums: sums.txt}}"),
        "segment: {model: runs/unet, images: new}",
        TWO_PATHS + "segment: {model: runs/unet, images: new}",
        TWO_PATHS + "split: {test: 0.5, validation: 0.5, folds: 5}",
        TWO_PATHS + "split: {method: folders, test: 0.9, validation: 0.9}",
        TWO_PATHS + "split: {test: ['21-29', 3], validation: 0.99}",
        TWO_PATHS.replace("}", ", groups: '^(a)'}") + "split: {method: random}",
        TWO_PATHS + "train: {architecture: PSPNet, patch: 192}",
        TWO_PATHS + "train: {architecture: PSPNet}\nruns: {a: {train: {patch: 96}}}",
        TWO_PATHS + "train: {encoder_weights: imagenet}",
        TWO_PATHS + "train: {encoder: mobilenet, normalization: unit}",
        TWO_PATHS + "train: {gpu: 2, backend: jax}",
        TWO_PATHS + "train: {backend: jax}\nruns: {a: {train: {gpu: 3, batch: 9}}}",
        TWO_PATHS + "segment: {run: b}\nruns: {a: , b: }",
    ],
)
def test_right_combinations_are_accepted(text):
    assert resolved(text)["runs"]


# --- one sentence for each fault ------------------------------------------------------------

CHECKED = f"address: 'https://a.b/c.zip', sha256: {'ab' * 32}"
FAULTS = {
    "typo": ("train: {epoch: 3}", "train.epoch: unknown key; did you mean 'epochs'?"),
    "no space after a colon": (
        "train: {epochs:3}",
        "train.epochs:3: unknown key; write a space after the colon: 'epochs: 3'",
    ),
    "section typo": ("trian: {epochs: 3}", "trian: unknown key; did you mean 'train'?"),
    "other section": (
        "train: {tta: true}",
        "train.tta: unknown key; 'tta' belongs under predict",
    ),
    "missing indentation": ("patch: 64", "patch: unknown key; 'patch' belongs under train"),
    "too much indentation": (
        "predict: {train: {}}",
        "predict.train: unknown key; 'train' belongs at the top level",
    ),
    "typo and other section": (
        "epoch: 3",
        "epoch: unknown key; did you mean 'epochs'? It belongs under train",
    ),
    "run without train": (
        "runs: {small: {encoder: resnet18}}",
        "runs.small.encoder: unknown key; 'encoder' belongs under runs.small.train",
    ),
    "nothing like it": (
        "decide: {xyz: 3}",
        "decide.xyz: unknown key; known here: objective, method, objects and sizes",
    ),
    "key is a number": ("1: 2", "1: the key is 1; expected text; put it in quotes"),
    "key in a list is a number": (
        f"dataset: {{storage: {{labels: 's3://a/b', images: [{{{CHECKED}, 1: 2}}]}}}}",
        "dataset.storage.images[0].1: the key is 1; expected text; put it in quotes",
    ),
    "address without its checksum": (
        "dataset: {storage: {labels: 's3://a/b', images: {address: 'https://a.b/c.zip'}}}",
        "dataset.storage.images.sha256: missing; expected: SHA-256 of the file, 64 hexadecimal "
        "digits",
    ),
    "address in a list without its checksum": (
        "dataset: {storage: {labels: 's3://a/b', images: [{address: 'https://a.b/c.zip'}]}}",
        "dataset.storage.images[0].sha256: missing; expected: SHA-256 of the file, 64 hexadecimal "
        "digits",
    ),
    "name is a number": (
        "dataset: {name: 2021, images: a, labels: b}",
        "dataset.name: found 2021; expected letters, digits, '_', '.' and '-', the first one a "
        "letter or digit; put it in quotes",
    ),
    "name is a truth value": (
        "segment: {run: no}",
        "segment.run: found the truth value false (YAML reads no and off as that, too); expected "
        "text or null; put it in quotes",
    ),
    "id is a date": (
        "split: {test: [2021-01-04]}",
        "split.test[0]: found the date 2021-01-04; expected text or a whole number; put it in "
        "quotes",
    ),
    "name that quotes do not make right": (
        "dataset: {name: -5, images: a, labels: b}",
        "dataset.name: found -5; expected letters, digits, '_', '.' and '-', the first one a "
        "letter or digit",
    ),
    "run is a number": (
        "runs: {18: {}}",
        "runs.18: the key is 18; expected text; put it in quotes",
    ),
    "choice": (
        "train: {architecture: unet}",
        "train.architecture: found 'unet'; expected Unet, FPN, Linknet or PSPNet; "
        "did you mean 'Unet'?",
    ),
    "choice in a run": (
        "runs: {small: {train: {loss: dise}}}",
        "runs.small.train.loss: found 'dise'; expected bce, bce_borders, dice, bce_dice, "
        "focal or tversky; did you mean 'dice'?",
    ),
    "one of many": (
        "train: {encoder: resnet-34}",
        "train.encoder: found 'resnet-34'; expected one of 32 choices; the nearest: resnet34, "
        "seresnet34 or resnet50",
    ),
    "choice off": (
        "train: {schedule: off}",
        "train.schedule: found the truth value false (YAML reads no and off as that, too); "
        "expected cosine, polynomial or constant",
    ),
    "exponent without a point": (
        "train: {learning_rate: 1e-3}",
        "train.learning_rate: found the text '1e-3'; expected a number above 0 and at most 1; "
        "write 0.001",
    ),
    "out of range": (
        "train: {learning_rate: 2}",
        "train.learning_rate: found 2; expected a number above 0 and at most 1",
    ),
    "number in quotes": (
        "train: {batch: '8'}",
        "train.batch: found the text '8'; expected 'auto' or a whole number of at least 1; write 8",
    ),
    "yes for a number": (
        "train: {batch: yes}",
        "train.batch: found the truth value true (YAML reads yes and on as that, too); expected "
        "'auto' or a whole number of at least 1",
    ),
    "text for a truth value": (
        "predict: {tta: 'true'}",
        "predict.tta: found the text 'true'; expected true or false",
    ),
    "not a number": (
        "train: {learning_rate: .nan}",
        "train.learning_rate: found nan; expected a number above 0 and at most 1",
    ),
    "infinite": (
        "train: {label_scale: .inf}",
        "train.label_scale: found inf; expected a number above 0",
    ),
    "fraction": (
        "train: {epochs: 2.5}",
        "train.epochs: found 2.5; expected 'auto' or a whole number of at least 1",
    ),
    "too small": (
        "train: {epochs: 0}",
        "train.epochs: found 0; expected 'auto' or a whole number of at least 1",
    ),
    "too large": (
        "predict: {overlap: 1}",
        "predict.overlap: found 1; expected a number from 0 to 0.9",
    ),
    "small and no multiple": (
        "train: {patch: 20}",
        "train.patch: found 20; expected 'auto' or a multiple of 32 of at least 32",
    ),
    "auto or a multiple": (
        "predict: {tile: 33}",
        "predict.tile: found 33; expected 'auto' or a multiple of 32 of at least 32",
    ),
    "no value": (
        "train: {epochs: }",
        "train.epochs: found nothing; expected 'auto' or a whole number of at least 1",
    ),
    "date": (
        "train: {seed: 2026-01-31}",
        "train.seed: found the date 2026-01-31; expected a whole number from 0 to 4294967295",
    ),
    "section is a number": ("train: 5", "train: found 5; expected a section of settings"),
    "section is a list": ("split: [1]", "split: found a list; expected a section of settings"),
    "preset": (
        "train: {augmentation: defualt}",
        "train.augmentation: found 'defualt'; expected auto, default, none, article or a "
        "section of settings; did you mean 'default'?",
    ),
    "ignored foreground": (
        "dataset: {images: a, labels: b, foreground: [1, 3], ignore: [3, 9]}",
        "dataset.ignore: found 3, which dataset.foreground has too; expected other values; remove "
        "them from one of the two",
    ),
    "ignored foreground of another spelling": (
        "dataset: {images: a, labels: b, foreground: '#FF0000', ignore: '#ff0000'}",
        "dataset.ignore: found #ff0000, which dataset.foreground has too; expected other values; "
        "remove them from one of the two",
    ),
    "foreground": (
        "dataset: {images: a, labels: b, foreground: red}",
        "dataset.foreground: found 'red'; expected auto, nonzero, objects, a whole number, a "
        "colour such as '#ff0000' (in quotes), a list of one entry or more (a whole number) or a "
        "list of one entry or more (a colour such as '#ff0000' (in quotes))",
    ),
    "augmentation value": (
        "train: {augmentation: {rotation: 400}}",
        "train.augmentation.rotation: found 400; expected a number from 0 to 180",
    ),
    "augmentation key": (
        "train: {augmentation: {zom: 1}}",
        "train.augmentation.zom: unknown key; did you mean 'zoom'?",
    ),
    "share": (
        "split: {test: 1.5}",
        "split.test: found 1.5; expected a number of at least 0 and below 1 or a list of one "
        "entry or more (text or a whole number)",
    ),
    "no ids": (
        "split: {test: []}",
        "split.test: found an empty list; expected a number of at least 0 and below 1 or a list "
        "of one entry or more (text or a whole number)",
    ),
    "id is a fraction": (
        "split: {test: [3, 1.5]}",
        "split.test[1]: found 1.5; expected text or a whole number; put it in quotes",
    ),
    "paths and addresses": (
        "segment: {images: [a.png, b.png, 'https://h/c.png']}",
        "segment.images: found entries of different kinds; expected null, a path, a list of one "
        "entry or more (an address such as https://host/images.zip or s3://bucket/images) or a "
        "list of one entry or more (a path)",
    ),
    "address in place of a folder": (
        "segment: {images: 'https://h/c.png'}",
        "segment.images: found the text 'https://h/c.png'; expected null, a path, a list of one "
        "entry or more (an address such as https://host/images.zip or s3://bucket/images) or a "
        "list of one entry or more (a path)",
    ),
    "a number among paths": (
        "segment: {images: [a.png, 5]}",
        "segment.images[1]: found 5; expected a path; put it in quotes",
    ),
    "a number in place of paths or addresses": (
        "segment: {images: [5]}",
        "segment.images[0]: found 5; expected an address such as https://host/images.zip or "
        "s3://bucket/images or a path; put it in quotes",
    ),
    "values and colours": (
        "dataset: {images: a, labels: b, foreground: [1, '#ff0000']}",
        "dataset.foreground: found entries of different kinds; expected auto, nonzero, objects, a "
        "whole number, a colour such as '#ff0000' (in quotes), a list of one entry or more (a "
        "whole number) or a list of one entry or more (a colour such as '#ff0000' (in quotes))",
    ),
    "a fraction among values": (
        "dataset: {images: a, labels: b, foreground: [1, 2.5]}",
        "dataset.foreground[1]: found 2.5; expected a whole number",
    ),
    "neither value nor colour": (
        "dataset: {images: a, labels: b, foreground: [red]}",
        "dataset.foreground[0]: found the text 'red'; expected a whole number or a colour such as "
        "'#ff0000' (in quotes)",
    ),
    "ignored in a section": (
        "dataset: {images: a, labels: b, ignore: {value: 1}}",
        "dataset.ignore: found a section of settings; expected 'transparent', null, a whole "
        "number, a colour such as '#ff0000' (in quotes) or a list ('transparent', a whole number "
        "or a colour such as '#ff0000' (in quotes))",
    ),
    "a size twice": (
        "decide: {sizes: [4, 8, 4]}",
        "decide.sizes: found 4 twice; expected different entries; remove one",
    ),
    "too many sizes": (
        f"decide: {{sizes: {list(range(1, 22))}}}",
        "decide.sizes: found 21 entries; expected at most 20",
    ),
    "sizes that are no list": (
        "decide: {sizes: all}",
        "decide.sizes: found 'all'; expected 'auto' or a list of at most 20 different "
        "entries (a whole number from 1 to 1000000000)",
    ),
    "a run that is left out twice": (
        "compare: {leave_out: [unet, unet]}",
        "compare.leave_out: found 'unet' twice; expected different entries; remove one",
    ),
    "a text for a number of GPUs": (
        "train: {gpu: none}",
        "train.gpu: found 'none'; expected 'auto' or a whole number of at least 0",
    ),
    "a number for a truth value": (
        "train: {deep_supervision: 1}",
        "train.deep_supervision: found 1; expected auto, true or false",
    ),
    "no run": ("runs: {}", "runs: empty; expected at least 1 entry"),
    "name of a run": (
        "runs: {a b: {}}",
        "runs: found the name 'a b'; expected letters, digits, '_' and '-', the first one a "
        "letter or digit",
    ),
    "test of nothing": (
        "split: {test: 0}",
        "split.test: found 0; no image would be left to score; expected a share above 0 or a "
        "list of ids",
    ),
    "validation of nothing": (
        "split: {validation: 0}",
        "split.validation: found 0; no image would be left to learn the threshold on; expected "
        "a share above 0 or a list of ids",
    ),
    "nothing to train on": (
        "split: {test: 0.5, validation: 0.5}",
        "split.validation: 0.5 and split.test 0.5 add up to 1; expected less than 1, so that "
        "images are left to train on",
    ),
    "pspnet": (
        "train: {architecture: PSPNet, patch: 256}",
        "train.patch: found 256; PSPNet needs a multiple of 96; write 192 or 288",
    ),
    "pspnet in a run": (
        "runs: {a: {train: {architecture: PSPNet, patch: 32}}}",
        "runs.a.train.patch: found 32; PSPNet needs a multiple of 96; write 96",
    ),
    "levels that pspnet lacks": (
        "runs: {a: {train: {architecture: PSPNet, patch: 96, deep_supervision: true}}}",
        "runs.a.train.deep_supervision: found true; PSPNet has a single level to predict from; "
        "write false or choose Unet, Linknet or FPN",
    ),
    "weights without a checksum": (
        "train: {encoder_weights: imagenet, encoder: mobilenet}",
        "train.encoder_weights: found imagenet, but there are no weights with a checksum for the "
        "encoder mobilenet; write null or choose another encoder",
    ),
    "weights without a checksum in a run": (
        "train: {encoder_weights: imagenet}\nruns: {a: {train: {encoder: mobilenetv2}}}",
        "runs.a.train.encoder_weights: found imagenet, but there are no weights with a checksum "
        "for the encoder mobilenetv2; write null or choose another encoder",
    ),
    "weights and raw pixels": (
        "train: {encoder_weights: imagenet, normalization: none}",
        "train.normalization: found none; encoder_weights needs standard or image, from which the "
        "encoder's own preprocessing follows; write standard",
    ),
    "several GPUs": (
        "train: {gpu: 2}",
        "train.gpu: found 2 with the backend tensorflow; only jax trains on several GPUs; set "
        "train.backend to jax or train.gpu to 1",
    ),
    "several GPUs in a run": (
        "train: {backend: jax, batch: 8}\nruns: {a: {train: {gpu: 3}}}",
        "runs.a.train.batch: found 8; 3 GPUs share it equally; write 6 or 9",
    ),
    "tile that PSPNet cannot take": (
        "predict: {tile: 512}\nruns: {a: {train: {architecture: PSPNet, patch: 192}}}",
        "predict.tile: found 512, but PSPNet in run 'a' takes tiles of the size of its patches, "
        "train.patch: 192; write auto",
    ),
    "sizes in no order": (
        "decide: {sizes: [64, 9]}",
        "decide.sizes: found 64, 9; expected ascending sizes; write [9, 64]",
    ),
    "preset and what it would decide": (
        "train: {preset: quick, steps: 10, epochs: 2}",
        "train.preset: found quick together with steps and epochs, which say how long the training "
        "is already; remove the preset, or one of the two",
    ),
    "unknown run": (
        "segment: {run: unett}",
        "segment.run: found 'unett'; expected one of the runs: unet",
    ),
    "run beside a model": (
        "segment: {run: unet, model: runs/b}",
        "segment.run: set together with segment.model; the model is one or the other; set one of "
        "the two to null",
    ),
    "unknown run that is left out": (
        "compare: {leave_out: [unett]}",
        "compare.leave_out: found 'unett'; expected one of the runs: unet",
    ),
    "name that bioimage.io does not take": (
        "export: {name: a/b}",
        "export.name: found the text 'a/b'; expected 5 to 128 letters, digits, blanks and "
        "'_', '+', '-', '(' and ')' or null",
    ),
    "DOI with its address": (
        "export: {cite: [{text: A paper., doi: 'https://doi.org/10.1371/x'}]}",
        "export.cite[0].doi: found the text 'https://doi.org/10.1371/x'; expected a DOI such as "
        "10.1371/journal.pbio.1000502",
    ),
    "license that SPDX does not know": (
        "export: {license: free for all}",
        "export.license: found 'free for all'; expected one identifier of spdx.org/licenses; write "
        "one such as CC-BY-4.0, or null",
    ),
    "license in other letters": (
        "export: {license: cc by 4.0}",
        "export.license: found 'cc by 4.0'; expected one identifier of spdx.org/licenses; write "
        "CC-BY-4.0",
    ),
    "license of an old version of SPDX": (
        "export: {license: GPL-2.0+}",
        "export.license: found 'GPL-2.0+'; expected one identifier of spdx.org/licenses; write "
        "GPL-2.0-or-later",
    ),
    "two licenses": (
        "export: {license: MIT OR Apache-2.0}",
        "export.license: found 'MIT OR Apache-2.0'; expected one identifier of spdx.org/licenses; "
        "write one such as CC-BY-4.0, or null",
    ),
    "license of one's own": (
        "export: {license: LicenseRef-mine}",
        "export.license: found 'LicenseRef-mine'; expected one identifier of spdx.org/licenses; "
        "write one such as CC-BY-4.0, or null",
    ),
    "ORCID with a wrong digit": (
        "export: {authors: [{name: A}, {name: B, orcid: 0000-0002-1825-0098}]}",
        "export.authors[1].orcid: found '0000-0002-1825-0098'; expected an ORCID iD, whose last "
        "digit follows from the others; compare it with orcid.org",
    ),
    "runs that one folder would hold": (
        "runs: {Unet: {}, fpn: {train: {architecture: FPN}}, unet: {train: {epochs: 3}}}",
        "runs: found 'Unet' and 'unet', which are one folder on some disks; expected names that "
        "differ in more than small and capital letters; rename one",
    ),
    "every run is left out": (
        "compare: {leave_out: [unet]}",
        "compare.leave_out: found every run; expected at least one that stays in the report; "
        "remove one",
    ),
}


# The first is ORCID's own example, the second from ORCID's description of the check digit.
@pytest.mark.parametrize("orcid", ["0000-0002-1825-0097", "0000-0002-1694-233X"])
@pytest.mark.parametrize("license", ["CC-BY-4.0", "MIT", "0BSD", "null"])
def test_a_license_and_an_orcid_that_exist_are_taken(license, orcid):
    resolved(f"{TWO_PATHS}export: {{license: {license}, authors: [{{name: A B, orcid: {orcid}}}]}}")


@pytest.mark.parametrize(("text", "sentence"), FAULTS.values(), ids=FAULTS)
def test_a_fault_has_its_sentence(text, sentence):
    assert fault_lines(TWO_PATHS + text) == [sentence]


DATASET_FAULTS = {
    "nothing": (
        "",
        "dataset: no data; set dataset.images and dataset.labels to two folders, or "
        "dataset.synthesis to {} for synthetic images, or, to use a trained model, segment.model "
        "and segment.images",
    ),
    "model without images": (
        "segment: {model: a}",
        "dataset: no data; set dataset.images and dataset.labels to two folders, or "
        "dataset.synthesis to {} for synthetic images, or, to use a trained model, segment.model "
        "and segment.images",
    ),
    "no labels": (
        "dataset: {images: a}",
        "dataset.labels: missing; expected a folder, since dataset.images names one",
    ),
    "no images": (
        "dataset: {labels: a}",
        "dataset.images: missing; expected a folder, since dataset.labels names one",
    ),
    "same folder": (
        "dataset: {images: a/b, labels: ./a/c/../b/}",
        "dataset.labels: './a/c/../b/' is also dataset.images; expected two folders, or two "
        "patterns such as data/*_image.png and data/*_mask.png",
    ),
    "value and threshold": (
        "dataset: {images: a, labels: b, foreground: 1, label_threshold: 0}",
        "dataset.label_threshold: found together with dataset.foreground; expected one of them; "
        "remove the threshold where values are named",
    ),
    "made and read": (
        "dataset: {synthesis: {}, images: a}",
        "dataset.synthesis: set together with dataset.images; images are either made or read; "
        "set one of the two to null",
    ),
    "table and folders": (
        "dataset: {table: pairs.csv, labels: a}",
        "dataset.table: set together with dataset.labels; a table names all files and, in its "
        "column group, what belongs together; set one of the two to null",
    ),
    "address of a table": (
        "dataset: {table: 'https://a:b@h/pairs.csv'}",
        "dataset.table: found an address; expected the path of a file; fetch it, and name the file",
    ),
    "misspelt images": (
        "dataset: {image: a, labels: b}",
        "dataset.image: unknown key; did you mean 'images'?",
    ),
    "images of a wrong type": (
        "dataset: {images: 5, labels: b}",
        "dataset.images: found 5; expected text or null; put it in quotes",
    ),
    "name": (
        "dataset: {images: a, labels: b, name: x/y}",
        "dataset.name: found the text 'x/y'; expected letters, digits, '_', '.' and '-', the "
        "first one a letter or digit",
    ),
    "address": (
        "dataset: {download: {url: 'ftp://a', checksums: b}}",
        "dataset.download.url: found the text 'ftp://a'; expected an address that begins with "
        "http:// or https://",
    ),
    "checksums": (
        "dataset: {download: {url: 'http://a'}}",
        'dataset.download.checksums: missing; expected: File with one line "sha256  image/name" '
        'or "sha256  label/name" a file',
    ),
    "groups not a regular expression": (
        "dataset: {images: a, labels: b, groups: '(a'}\nsplit: {method: random}",
        "dataset.groups: '(a' is not a regular expression (missing ), unterminated subpattern at "
        r"position 0); expected one such as '^(patient\d+)_'",
    ),
    "two groups": (
        "dataset: {images: a, labels: b, groups: '(a)(b)'}\nsplit: {method: random}",
        "dataset.groups: '(a)(b)' has 2 groups in parentheses; expected one; write (?:...) for "
        "parentheses that are no group",
    ),
}


@pytest.mark.parametrize(("text", "sentence"), DATASET_FAULTS.values(), ids=DATASET_FAULTS)
def test_a_fault_of_the_data_set_has_its_sentence(text, sentence):
    assert fault_lines(text) == [sentence]


SEVERAL_TYPES = [
    (path, node)
    for path, node in ALL_SETTINGS
    if "oneOf" in node_of(node) or isinstance(node_of(node).get("type"), list)
]
ODD_VALUES = [True, 1.5, -1, 0, "x", "1", "s3://b/x", [], {}, {"a": 1}, [[]], [{}], [None], [True]]
ODD_VALUES += [[1, 1], [1.5, "x"], ["x", 1], ["x", "s3://b/x"], [1, "#ff0000"], list(range(1, 99))]


@pytest.mark.parametrize("path", [path for path, _ in SEVERAL_TYPES], ids=".".join)
def test_a_setting_of_several_types_is_answered_once(path):
    """Whatever is found, no two sentences expect different things of one place."""
    key, refused = ".".join(path), 0
    for value in ODD_VALUES:
        try:
            resolve({**yaml.safe_load(TWO_PATHS), **nested(path, value)}, SCHEMA)
        except UserError as error:
            lines = [line.strip() for line in str(error).splitlines()[1:]]
        else:
            continue
        places = [line.partition(": ")[0] for line in lines]
        assert len(set(places)) == len(places), lines
        about = [place for place in places if place == key or place.startswith((f"{key}[",))]
        assert not (key in about and len(about) > 1), lines
        refused += bool(about)
    assert refused


@pytest.mark.parametrize(("text", "found"), [("[1]", "a list"), ("hello", "'hello'"), ("5", "5")])
def test_a_configuration_that_is_no_mapping(text, found):
    with pytest.raises(UserError, match=f"The configuration is {found}; expected sections"):
        resolved(text)


def test_all_choices_are_listed_where_none_is_near():
    (line,) = fault_lines(TWO_PATHS + "train: {encoder: vit}")
    encoders = SCHEMA["$defs"]["train"]["properties"]["encoder"]["enum"]
    assert all(encoder in line for encoder in encoders)


def test_all_faults_are_reported_at_once():
    lines = fault_lines(
        "dataset: {images: a}\n"
        "trian: {}\n"
        "split: {test: 0, folds: 0}\n"
        "train: {epoch: 1, encoder: vgg, augmentation: {zoom: 2, spin: 1}}\n"
        "segment: {run: missing}\n"
    )
    assert [line.split(":")[0] for line in lines] == [
        "trian",
        "split.folds",
        "train.epoch",
        "train.augmentation.spin",
        "train.augmentation.zoom",
        "train.encoder",
        "dataset.labels",
        "segment.run",
    ]


def test_the_heading_counts_the_faults():
    with pytest.raises(UserError, match=r"^The configuration has 2 faults:\n  "):
        resolved(TWO_PATHS + "train: {epoch: 1, batch: 0}")


def test_a_fault_of_train_is_reported_once_however_many_runs_share_it():
    assert (
        len(fault_lines(TWO_PATHS + "train: {architecture: PSPNet, patch: 256}\nruns: {a: , b: }"))
        == 1
    )


def test_two_keys_equally_near_are_both_named():
    assert fault_lines(TWO_PATHS + "train: {atch: 8}") == [
        "train.atch: unknown key; did you mean 'patch' or 'batch'?"
    ]


@pytest.mark.parametrize("path", [path for path, _ in ALL_SETTINGS], ids=".".join)
def test_a_dropped_letter_is_answered_with_the_right_key(path):
    *section, key = path
    config = {**yaml.safe_load(TWO_PATHS)}
    typos = [key[:position] + key[position + 1 :] for position in range(len(key))]
    for typo in typos:
        if (*section, typo) in dict(ALL_SETTINGS):  # seed, from seeds
            continue
        misspelt = nested((*section, typo), 1)
        with pytest.raises(UserError) as caught:
            resolve({**config, **misspelt}, SCHEMA)
        dotted = ".".join([*section, typo])
        answer = str(caught.value).split(f"{dotted}: unknown key; did you mean ")[1]
        assert f"'{key}'" in answer.split("?")[0]


@pytest.mark.parametrize(
    ("section", "sentence"),
    [
        ("{images: 's3://b/image', labels: b}", "found an address; expected two folders"),
        ("{storage: {images: image, labels: 's3://b/l'}}", "dataset.storage.images: found the"),
        (
            "{images: a, labels: b, storage: {images: 's3://b/i', labels: 's3://b/l'}}",
            "dataset.storage: set together with dataset.images",
        ),
    ],
)
def test_addresses_belong_in_the_section_for_them(section, sentence):
    assert any(sentence in line for line in fault_lines(f"dataset: {section}"))
