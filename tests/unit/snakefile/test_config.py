"""What a configuration becomes: defaults, runs, and all of its faults at once."""

import json
import random
from dataclasses import asdict

import pytest
import yaml
from configuring import ALL_SETTINGS, TWO_PATHS, fault_lines, nested, node_of, resolved
from schema import SCHEMA

from maskmake.network.settings import AUGMENTATION_PRESETS, AugmentationSettings
from maskmake.runtime.errors import UserError
from maskmake.snakefile.config import resolve

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


# --- what is said of faults -------------------------------------------------------------------


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
