"""Addresses without what is secret in them. Read by the Snakefile, so only the standard library.

Only the public form of an address becomes a setting, a parameter or a line of a log. The whole
address is kept in an environment variable, which jobs inherit and nothing writes to a disk.
"""

import hashlib
import json
import os
import re
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from maskmake.runtime.errors import UserError

# Environment variable: whole addresses by their public form, as JSON.
ADDRESSES = "MASKMAKE_ADDRESSES"

ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s'\"<>]+")

WHOLE_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")

# Scheme, location and path, after appendix B of RFC 3986; what urlsplit refuses has them too.
PARTS = re.compile(r"(?:([^:/?#]+):)?(?://([^/?#]*))?([^?#]*)")

SECRET_OPTION = re.compile(
    r"--storage-.*(?:key|secret|password|token|auth|credential|user).*", re.IGNORECASE
)

# Parts of a query that sign it and pass with time: of S3, Google, CloudFront, Azure, and others.
SIGNATURE = re.compile(
    r"x-amz-.*|x-goog-.*|awsaccesskeyid|googleaccessid|signature|expires|policy|key-pair-id|"
    r"sig|se|st|sp|spr|sr|sv|sks?|skt|ske|skv|skoid|sktid|.*(?:token|key|secret|password)",
    re.IGNORECASE,
)


def public_address(address: str) -> str:
    """An address without user, password, query and fragment.

    Where a port is no number, a password may begin there that goes on in the path or the query, so
    nothing is left of the address but what comes before; likewise in ``may_hide_password``.
    """
    found = PARTS.match(address)
    assert found is not None  # for mypy: each part may be empty
    scheme, location, path = found.groups(default="")
    _, at, location = location.rpartition("@")
    host, colon, port = location.partition(":")
    if may_hide_password(address):
        location, path = "***" if at else f"{host}{colon}***", ""
    elif not host.startswith("[") and port.strip("0123456789"):
        location, path = f"{host}{colon}***", ""
    return urlunsplit((scheme.lower(), location, path, "", ""))


def may_hide_password(address: str) -> bool:
    """Whether what looks like a path or a query may be the rest of a password.

    A password such as ``12/x`` or ``12?x``, whose / or ? is not written as %2F or %3F, looks like a
    port with what follows it; only the @ that comes later tells it.
    """
    found = PARTS.match(address)
    assert found is not None  # for mypy: each part may be empty
    location = found[2] or ""
    has_secret = "@" in location or (":" in location and not location.startswith("["))
    return has_secret and "@" in address[found.end(2) :]


def hide_secrets(text: str) -> str:
    """A text in which each address is public."""
    return ADDRESS.sub(lambda found: public_address(found[0]), text)


def hide_all(value):
    """A copy of nested lists and sections in which each address in a text is public."""
    if isinstance(value, dict):
        return {name: hide_all(item) for name, item in value.items()}
    if isinstance(value, list):
        return [hide_all(item) for item in value]
    if not isinstance(value, str):
        return value
    # One with spaces ends for `hide_secrets` at the first of them.
    return public_address(value) if WHOLE_ADDRESS.match(value) else hide_secrets(value)


def hide_in_command(arguments: list[str]) -> list[str]:
    """A command in which the values of options such as ``--storage-s3-secret-key`` are ``***``."""
    shown, secret = [], False
    for argument in arguments:
        option, equals, _ = argument.partition("=")
        if argument.startswith("--"):
            secret = SECRET_OPTION.fullmatch(option) is not None
            shown.append(f"{option}=***" if secret and equals else hide_secrets(argument))
        else:
            shown.append("***" if secret else hide_secrets(argument))
    return shown


def publish(settings: dict) -> tuple[dict, dict[str, str]]:
    """Settings with public addresses, and the whole address of each that is not whole then.

    Args:
        settings: the configuration with its defaults.

    Raises:
        UserError: two addresses have the same public form, one has an impossible host, or one
            holds a key that a storage plugin of Snakemake would show.
    """
    whole: dict[str, str] = {}
    dataset, segment = dict(settings["dataset"]), dict(settings["segment"])
    for name in ("storage", "download"):
        dataset[name] = _public(dataset[name], whole)
    if not isinstance(segment["images"], str):
        segment["images"] = _public(segment["images"], whole)
    secret = {public: address for public, address in whole.items() if public != address}
    return {**settings, "dataset": dataset, "segment": segment}, secret


def _public(value, whole: dict[str, str]):
    if isinstance(value, dict):
        return {name: _public(item, whole) for name, item in value.items()}
    if isinstance(value, list):
        return [_public(item, whole) for item in value]
    if not isinstance(value, str) or "://" not in value:
        return value
    public = public_address(value)
    try:
        scheme, _ = urlsplit(value).scheme, urlsplit(value).port
    except ValueError:  # whose text may have the password
        raise UserError(
            f"{public}: found no host and port that can be; expected an address such as "
            "https://host:8080/images.zip, with brackets around an IPv6 number alone, and with "
            "%2F %3F %23 for / ? # in a password; fix the address."
        ) from None
    if may_hide_password(value):
        raise UserError(
            f"{public}: found an @ behind the host, as after a password with / ? or #; expected "
            "%2F %3F %23 for these in a password, and %40 for an @ anywhere else; fix the address."
        )
    if whole.setdefault(public, value) != value:
        raise UserError(
            f"{public}: two addresses differ only in their query or user; expected different "
            "paths, after which files are named; use other addresses."
        )
    if public != value and scheme not in ("http", "https"):
        raise UserError(
            f"{public}: has a user, a password or a query; expected them in addresses of http and "
            "https only, since other storage plugins show them; give keys by environment "
            "variables, such as SNAKEMAKE_STORAGE_S3_ACCESS_KEY."
        )
    return public


def keep_for_jobs(addresses: dict[str, str]) -> None:
    """Keep whole addresses for ``whole_address`` in this process and all that it starts."""
    os.environ[ADDRESSES] = json.dumps(addresses)


def whole_address(public: str) -> str:
    """The address whose public form is given."""
    return json.loads(os.environ.get(ADDRESSES, "{}")).get(public, public)


def address_hash(address: str) -> str:
    """A hash that differs where an address names something else, 16 hexadecimal digits.

    User and password do not count, and neither does a signature in the query, so that a new
    signature is no reason to fetch anything again.
    """
    query = [
        (name, value)
        for name, value in parse_qsl(urlsplit(address).query, keep_blank_values=True)
        if not SIGNATURE.fullmatch(name)
    ]
    text = f"{public_address(address)}?{urlencode(query)}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]
