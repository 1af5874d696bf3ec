# Images that lie in a storage which a plugin of Snakemake reads.

import functools
import threading

from maskmake.data.addresses import address_hash, hide_secrets, whole_address

internals.limit_requests()

SECONDS_TO_ANSWER = 20


def answer_of(function):
    """What a function returns, or the reason why not; it is given up after a while."""
    answers = []

    def ask():
        try:
            answers.append((function(), ""))
        except Exception as error:  # of many kinds, each plugin has its own
            answers.append((None, f"no answer ({hide_secrets(str(error))})"))

    asking = threading.Thread(target=ask, daemon=True)  # the end of Snakemake does not wait for it
    asking.start()
    asking.join(SECONDS_TO_ANSWER)
    return answers[0] if answers else (None, f"no answer within {SECONDS_TO_ANSWER} s")


@functools.cache
def stored(address):
    """A file or folder in a storage, as an input of a rule.

    Raises:
        WorkflowError: no installed plugin of Snakemake reads such an address, or the storage does
            not have it or does not answer.
    """
    if not internals.is_storage_address(address):
        scheme = address.partition("://")[0]
        raise WorkflowError(
            f"{address}: no installed storage plugin of Snakemake reads {scheme}://; expected one "
            f"such as snakemake-storage-plugin-{scheme}; install it into .venv with pip, or fix "
            "the address."
        )
    file = storage(address)
    found = internals.storage_object(file)
    if found is not None and internals.is_main_process(workflow):
        # Snakemake accepts a missing input where it finds the output.
        exists, reason = answer_of(found.exists)
        if not exists:
            raise WorkflowError(
                f"{address}: {reason or 'not found'}; expected an object that can be read; fix the "
                "address or the credentials, or run again when the storage is there."
            )
    return file


def stored_data(kind):
    """The addresses of the images or labels as inputs of a rule."""
    items = stored_items(SETTINGS["dataset"]["storage"][kind])
    return [stored(address) for address, _ in items]


def stored_sizes(wildcards):
    """Bytes at each address of the data set."""
    files = [file for kind in SETTINGS["dataset"]["storage"] for file in stored_data(kind)]
    objects = [internals.storage_object(file) for file in files]
    return [found.size() for found in objects if found is not None]


def stored_contents(wildcards):
    """Of each address of the data set a hash, and the SHA-256 of what it should hold."""
    return {
        kind: [
            [address_hash(whole_address(address)), sha256]
            for address, sha256 in stored_items(items)
        ]
        for kind, items in SETTINGS["dataset"]["storage"].items()
    }


def stored_images_of_shard(wildcards):
    """Images of a shard as inputs of a rule, if they lie in a storage."""
    if not NEW_IMAGES_ARE_STORED:
        return []
    return [stored(address) for address in SHARDS[int(wildcards.shard)]]


def stored_new_images(wildcards):
    """All new images as inputs of a rule, if they lie in a storage."""
    return [stored(address) for address in NEW_IMAGES] if NEW_IMAGES_ARE_STORED else []
