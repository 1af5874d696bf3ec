"""Users, passwords and keys: nothing that is written or printed holds any."""

import subprocess

import pytest
import requests
from servers import serve_archives
from workspace import ROOT, configure, finish, snakemake

from maskmake.data.addresses import (
    address_hash,
    hide_all,
    hide_in_command,
    hide_secrets,
    keep_for_jobs,
    public_address,
    publish,
    whole_address,
)
from maskmake.data.transfer import fetch, limited_session
from maskmake.runtime.errors import UserError

PASSWORD, KEY = "S3CRETpw", "S1GNATURE"


def files_with(folder, word):
    command = ["grep", "-rlaF", word, "."]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    return sorted(done.stdout.split())


@pytest.fixture
def server(dataset, tmp_path):
    with serve_archives(dataset, tmp_path, user="alice", password=PASSWORD) as server:
        yield server


@pytest.fixture
def work(server, tmp_path):
    work = tmp_path / "work"
    work.mkdir()
    host = f"alice:{PASSWORD}@127.0.0.1:{server.server_port}"
    storage = {k: f"http://{host}/{k}.zip?X-Amz-Signature={KEY}" for k in ("images", "labels")}
    configure(work, dataset={"name": "tiny", "storage": storage}, runs={"a": {}})
    return work


def test_no_file_and_no_line_has_the_password_or_the_key(work, server):
    """Three jobs: fetching from an address, the audit, the pixel store."""
    options = ("--storage-s3-access-key", "AKIAEXAMPLE", "--storage-s3-secret-key", "T0PSECRET")
    output = finish(work, "binarize", "--verbose", "--printshellcmds", *options)
    assert {"/images.zip", "/labels.zip"} <= set(server.fetched)
    for secret in (PASSWORD, KEY):
        assert secret not in output
        assert files_with(work, secret) == ["./config.yaml"]
    for secret in ("AKIAEXAMPLE", "T0PSECRET"):
        assert secret not in output and files_with(work, secret) == []


@pytest.mark.slow
def test_no_page_of_a_whole_run_has_the_password_or_the_key(work):
    output = finish(work, "report", "--cores", "2")
    for secret in (PASSWORD, KEY):
        assert secret not in output
        assert files_with(work, secret) == ["./config.yaml"]


def test_an_address_that_is_wrong_is_named_without_them(work, server, tmp_path):
    (tmp_path / "served/images.zip").unlink()
    code, output = snakemake(work, "validate")
    assert code != 0
    assert f"http://127.0.0.1:{server.server_port}/images.zip: not found" in output
    assert PASSWORD not in output and KEY not in output


def test_no_setting_has_them_once_the_snakefile_is_read(work, tmp_path):
    """Snakemake hands the configuration to a script in a file, which a killed job leaves behind."""
    probe = tmp_path / "probe.smk"
    probe.write_text(
        "import pickle\n"
        "for value in (config, SETTINGS, rules.report.params.settings, SHARDS):\n"
        "    assert b'S3CRETpw' not in pickle.dumps(value)\n"
        "    assert b'S1GNATURE' not in pickle.dumps(value)\n"
    )
    snakefile = tmp_path / "Snakefile"
    snakefile.write_text(f'include: "{ROOT / "Snakefile"}"\ninclude: "{probe}"\n')
    code, output = snakemake(work, "validate", "--dry-run", snakefile=snakefile)
    assert code == 0, output


# --- addresses ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("http://a:b@host:8000/x.zip?sig=1#part", "http://host:8000/x.zip"),
        ("https://token@host/x y.zip", "https://host/x y.zip"),
        ("https://a:p@ss@host/x.zip", "https://host/x.zip"),
        ("s3://bucket/images", "s3://bucket/images"),
        ("https://u:p@[host]/x.zip?sig=1", "https://[host]/x.zip"),
        ("HTTPS://u:p@[::1]:80/x.zip#part", "https://[::1]:80/x.zip"),
        ("http://u:p@\u2100/", "http://\u2100/"),
        ("https://me:pa/ss@host/x.zip", "https://me:***"),
        ("https://me:pa#ss@host/x.zip", "https://me:***"),
        ("https://me:12?x@host/x.zip", "https://me:***"),
        ("https://me:12/x@host/x.zip", "https://me:***"),
        ("https://me:#x@host/x.zip", "https://me:***"),
        ("https://me:p@1/x@host/x.zip", "https://***"),
        ("https://host:8000/x.zip?sig=1#part", "https://host:8000/x.zip"),
        ("https://host/x@2.zip", "https://host/x@2.zip"),
        ("https://[::1]:80/x@2.zip", "https://[::1]:80/x@2.zip"),
    ],
)
def test_an_address_is_public_without_its_keys(address, public):
    assert public_address(address) == public


def test_addresses_within_a_text_are_public():
    text = "HTTPSConnectionPool: https://a:b@host/x.zip?sig=1, then http://c@d/e"
    assert hide_secrets(text) == "HTTPSConnectionPool: https://host/x.zip then http://d/e"
    nested = {"a": ["http://u:p@h/x y?sig=1"], "b": 1}
    assert hide_all(nested) == {"a": ["http://h/x y"], "b": 1}


def test_keys_among_the_options_of_a_command_are_hidden():
    command = ["snakemake", "all", "--storage-s3-secret-key", "a", "b", "--storage-http-auth=c"]
    command += ["--cores", "4", "--config", "x=http://u:p@h/y"]
    assert hide_in_command(command) == [
        "snakemake", "all", "--storage-s3-secret-key", "***", "***", "--storage-http-auth=***",
        "--cores", "4", "--config", "x=http://h/y",
    ]  # fmt: skip


def settings(images, labels="http://h/labels.zip"):
    storage = {"images": images, "labels": labels}
    return {
        "dataset": {"storage": storage, "download": None, "images": None},
        "segment": {"images": None},
    }


def test_settings_are_public_and_jobs_know_the_whole_addresses(monkeypatch):
    monkeypatch.setenv("MASKMAKE_ADDRESSES", "{}")
    whole = "http://u:p@h/images.zip?sig=1"
    public, secret = publish(settings({"address": whole, "sha256": "0" * 64}))
    assert public["dataset"]["storage"]["images"]["address"] == "http://h/images.zip"
    keep_for_jobs(secret)
    assert whole_address("http://h/images.zip") == whole
    assert whole_address("http://h/labels.zip") == "http://h/labels.zip"


@pytest.mark.parametrize(
    ("images", "labels", "sentence"),
    [
        ("http://h/get?a=1", "http://h/get?a=2", "http://h/get: two addresses differ only in"),
        ("ftp://u:p@h/images.zip", "ftp://h/labels.zip", "ftp://h/images.zip: has a user, a pass"),
        ("s3://key:word@b/images", "s3://b/labels", "s3://b/images: has a user, a password or"),
        ("http://u:p@[host]/a.zip", "http://h/b", "http://[host]/a.zip: found no host and port"),
        ("http://u:p@[::1/a.zip", "http://h/b", "http://[::1/a.zip: found no host and port that"),
        ("http://u:pass/word@h/a.zip", "http://h/b", "http://u:***: found no host and port that"),
        ("http://u:12?word@h/a.zip", "http://h/b", "http://u:***: found an @ behind the host, as"),
        ("http://u:12/word@h/a.zip", "http://h/b", "http://u:***: found an @ behind the host, as"),
        ("http://u:p@h/a@2.zip", "http://h/b", "http://***: found an @ behind the host, as after"),
    ],
)
def test_addresses_that_would_show_keys_are_refused(images, labels, sentence):
    with pytest.raises(UserError) as error:
        publish(settings(images, labels))
    assert str(error.value).startswith(sentence)
    assert "u:p" not in str(error.value) and "word@" not in str(error.value)
    assert "12" not in str(error.value)


def test_a_new_signature_is_no_other_address():
    first = address_hash("http://a:b@h/x.zip?X-Amz-Signature=1&X-Amz-Date=2&versionId=7")
    assert first == address_hash("http://c:d@h/x.zip?versionId=7&X-Amz-Signature=9")
    assert first != address_hash("http://c:d@h/x.zip?versionId=8&X-Amz-Signature=9")
    assert address_hash("http://h/get?old.zip&sig=1") != address_hash("http://h/get?new.zip&sig=1")


@pytest.mark.parametrize(
    "error",
    [
        requests.ConnectionError(f"Max retries exceeded with url: /x.zip?sig={KEY}"),
        requests.exceptions.ChunkedEncodingError(f"http://a:{PASSWORD}@h/x?sig={KEY}"),
    ],
)
def test_an_error_of_a_request_is_told_without_them(error, monkeypatch, tmp_path):
    session = limited_session()
    monkeypatch.setattr(session, "request", lambda *_, **__: (_ for _ in ()).throw(error))
    said = []
    monkeypatch.setattr("maskmake.data.transfer.FIRST_PAUSE", 0)
    with pytest.raises(UserError) as refused:
        fetch(session, f"http://a:{PASSWORD}@h/x.zip?sig={KEY}", tmp_path / "x", print, said.append)
    for text in (*said, str(refused.value)):
        assert text.startswith("http://h/x.zip: ") and PASSWORD not in text and KEY not in text
    assert len(said) == 3


@pytest.mark.parametrize("host", ["[host]", "[::1", ".host", 70 * "a", "\u2100", "h:99999"])
def test_an_impossible_host_is_told_without_them(host, tmp_path):
    with limited_session() as session, pytest.raises(UserError) as refused:
        fetch(session, f"http://u:{PASSWORD}@{host}/x", tmp_path / "x", print, print)
    assert str(refused.value) == (
        f"http://{host}/x: it has, or leads to, a host that cannot be one"
    )


@pytest.mark.parametrize(
    "address",
    [
        f"http://a:{PASSWORD}@h/{{x}}?sig={KEY}",
        f"http://a:1 {PASSWORD}@h/{{x}}",
        f"a:{PASSWORD}@h/x",
        f"http://a:12?{PASSWORD}@h/x",
        f"http://a:12/{PASSWORD}@h/x",
    ],
)
def test_a_wrong_address_of_a_configuration_is_told_without_them(address, tmp_path):
    configure(tmp_path, dataset={"storage": dict.fromkeys(("images", "labels"), address)})
    code, output = snakemake(tmp_path, "validate", "--dry-run")
    assert code != 0 and "expected" in output
    assert PASSWORD not in output and KEY not in output and ":12" not in output


ADDRESS = f"https://a:{PASSWORD}@127.0.0.1:1/x?sig={KEY}"
DOWNLOAD = {"url": "http://127.0.0.1:1", "checksums": ADDRESS}


@pytest.mark.parametrize(
    "sections",
    [
        {"dataset": {"table": ADDRESS}},
        {"dataset": {"images": ADDRESS, "labels": "labels"}},
        {"dataset": {"images": ADDRESS, "labels": ADDRESS}},
        {"dataset": {"download": DOWNLOAD}},
        {"segment": {"model": ADDRESS, "images": "images"}},
        {"segment": {"images": ADDRESS}},
        {"segment": {"images": ["a.png", ADDRESS]}},
        {"export": {"sample": ADDRESS}, "compare": {"leave_out": [ADDRESS]}},
        {"dataset": {"images": "images", "labels": "labels", "groups": f"({ADDRESS}"}},
    ],
)
def test_an_address_where_none_belongs_is_told_without_them(sections, folder):
    configure(folder, **sections)
    code, output = snakemake(folder, "validate", "--dry-run")
    assert code != 0
    assert PASSWORD not in output and KEY not in output
