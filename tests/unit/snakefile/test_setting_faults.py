"""One sentence for each fault of the settings."""

import pytest
from configuring import TWO_PATHS, fault_lines, resolved

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
