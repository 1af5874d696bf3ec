"""Settings of packages that bioimage.io does not take."""

import re
from collections.abc import Iterator

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

from maskmake.snakefile.schema_errors import Fault, describe_value

IDENTIFIER = re.compile("[A-Za-z0-9.-]+")
CUSTOM = "LicenseRef-"


def export_faults(export: dict) -> Iterator[Fault]:
    """Faults of the license and of the authors.

    Args:
        export: this section, complete.
    """
    license = export["license"]
    if license is not None and _spdx_identifier(license) != license:
        near = _spdx_identifier("-".join(license.replace("+", "-or-later").split()))
        yield Fault(
            ("export.license",),
            f"export.license: found {describe_value(license)}; expected one identifier of "
            f"spdx.org/licenses; write {near or 'one such as CC-BY-4.0, or null'}",
        )
    for number, author in enumerate(export["authors"]):
        if "orcid" in author and not _fits_its_check_digit(author["orcid"]):
            key = f"export.authors[{number}].orcid"
            yield Fault(
                (key,),
                f"{key}: found '{author['orcid']}'; expected an ORCID iD, whose last digit follows "
                "from the others; compare it with orcid.org",
            )


def _spdx_identifier(text: str) -> str | None:
    """The license that SPDX names so in any case; ``None`` where it is not one of SPDX.

    The lists of bioimage.io have all of those of packaging 25.0, which are of SPDX 3.25.
    """
    if not IDENTIFIER.fullmatch(text):
        return None  # two licenses, or an exception from one
    try:
        found = canonicalize_license_expression(text)
    except InvalidLicenseExpression:
        return None
    return None if found.startswith(CUSTOM) else found


def _fits_its_check_digit(orcid: str) -> bool:
    """Whether the last digit of an ORCID iD is that of ISO 7064 MOD 11-2."""
    total = 0
    for digit in orcid.replace("-", ""):
        total = (2 * total + (10 if digit == "X" else int(digit))) % 11
    return total == 1
