# Images that lie in a storage which a plugin of Snakemake reads.


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
        try:
            reason = "" if found.exists() else "not found"
        except Exception as error:  # of many kinds, each plugin has its own
            reason = f"no answer ({error})"
        if reason:
            raise WorkflowError(
                f"{address}: {reason}; expected an object that can be read; fix the address or the "
                "credentials, or run again when the storage is there."
            )
    return file


def stored_all(addresses):
    """One address or a list of them, as inputs of a rule."""
    return [stored(each) for each in ([addresses] if isinstance(addresses, str) else addresses)]


def stored_sizes(wildcards):
    """Bytes at each address of the data set."""
    kinds = SETTINGS["dataset"]["storage"].values()
    files = [file for addresses in kinds for file in stored_all(addresses)]
    objects = [internals.storage_object(file) for file in files]
    return [found.size() for found in objects if found is not None]


def stored_images_of_shard(wildcards):
    """Images of a shard as inputs of a rule, if they lie in a storage."""
    return [] if isinstance(SEGMENT["images"], str) else stored_all(SHARDS[int(wildcards.shard)])
