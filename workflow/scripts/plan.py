"""Write the fingerprint of the data set."""

from maskmake.data.fingerprint import fingerprint
from maskmake.data.pixel_store import open_images, open_labels
from maskmake.data.tables import read_index, read_splits
from maskmake.runtime.files import write_json
from maskmake.runtime.log import job, logger

with job(snakemake):
    index = read_index(snakemake.input.index)
    splits = read_splits(snakemake.input.splits, index)
    plan = fingerprint(
        index,
        splits,
        open_images(snakemake.input.images, index),
        open_labels(snakemake.input.labels, index),
    )
    # For the networks, which have to get new images as they got these.
    source = {key: value for key, value in snakemake.params.source.items() if value is not None}
    write_json(snakemake.output.plan, {**plan, **source})
    sizes = [f"{plan['height'][end]} x {plan['width'][end]}" for end in ("minimum", "maximum")]
    logger.info(
        "%d images of %s pixels, channels: %d, %s; %.1f %% foreground",
        plan["images"],
        " to ".join(dict.fromkeys(sizes)),
        plan["channels"],
        plan["dtype"],
        100 * plan["foreground"],
    )
