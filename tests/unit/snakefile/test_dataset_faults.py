"""One sentence for each fault of the section that names the data set."""

import pytest
from configuring import fault_lines

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
    "address of a table": (
        "dataset: {table: 'https://a:b@h/pairs.csv'}",
        "dataset.table: found an address; expected the path of a file; fetch it, and name the file",
    ),
}


@pytest.mark.parametrize(("text", "sentence"), DATASET_FAULTS.values(), ids=DATASET_FAULTS)
def test_a_fault_of_the_data_set_has_its_sentence(text, sentence):
    assert fault_lines(text) == [sentence]


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
