"""What replaces the objects of Snakemake's plugin for HTTP.

Those ask without a time limit, ask for the same file a dozen times in a start, fetch it from its
beginning after each failure, and are named, in logs and metadata, after an address with its keys.
"""

import contextlib
from hashlib import sha256

import requests
import snakemake_storage_plugin_http
from snakemake.exceptions import WorkflowError
from snakemake.logging import logger

from maskmake.data.addresses import whole_address
from maskmake.data.transfer import ask, fetch, limited_session, reason
from maskmake.runtime.errors import UserError

# Signed addresses answer only what they are signed for, and some servers know no HEAD.
NO_ANSWER_TO_HEAD = {401, 403, 405, 501}
ABSENT = {404, 410}


class StorageObject(snakemake_storage_plugin_http.StorageObject):
    """A file on a server, known to Snakemake by its public address."""

    _head: requests.Response | None = None

    @contextlib.contextmanager
    def httpr(self, verb="HEAD", stream=False):
        """What the server says of the file. Asked once."""
        if self._head is None:
            try:
                self._head = self._ask()
            except requests.RequestException as error:
                raise WorkflowError(reason(error)) from None
        yield self._head

    def _ask(self) -> requests.Response:
        verbs = ["HEAD", "GET"] if self.provider.settings.supports_head else ["GET"]
        address = whole_address(self.query)
        with limited_session() as session:
            for verb in verbs:
                with ask(session, verb, address, **self._options()) as answer:
                    if verb == "GET" or answer.status_code not in NO_ANSWER_TO_HEAD:
                        break
        if answer.status_code not in ABSENT:
            answer.raise_for_status()
        return answer

    def _options(self) -> dict:
        settings = self.provider.settings
        return {"auth": settings.auth, "allow_redirects": settings.allow_redirects}

    def retrieve_object(self):
        """Fetch the file; what has arrived stays beside it when that fails."""
        with self.httpr() as head:
            tag = head.headers.get("ETag", "")
            validator = tag if tag and not tag.startswith("W/") else ""
            validator = validator or head.headers.get("Last-Modified", "")
        path = self.local_path()
        # Another version of the file has another name, so that no two of them are joined.
        version = sha256(f"{self.query} {validator}".encode()).hexdigest()[:16]
        beginning = path.with_name(f".partial-{version}")
        if not validator:
            beginning.unlink(missing_ok=True)
        try:
            with limited_session() as session:
                fetch(
                    session,
                    whole_address(self.query),
                    beginning,
                    lambda _: None,
                    logger.warning,
                    validator=validator,
                    **self._options(),
                )
        except UserError as error:
            raise WorkflowError(f"{error}; run again later.") from None
        beginning.replace(path)
