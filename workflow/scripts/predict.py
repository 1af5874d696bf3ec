"""Write the probabilities of the validation and test images of one fold."""

from maskmake.data.splits import fold_ids
from maskmake.network.device import select_device
from maskmake.network.settings import PredictSettings
from maskmake.runtime.files import read_csv
from maskmake.runtime.log import job

with job(snakemake):
    select_device(snakemake.params.backend, snakemake.resources.gpu, snakemake.log[0])
    from maskmake.predict.tiling import predict_images

    ids = fold_ids(read_csv(snakemake.input.splits), int(snakemake.wildcards.fold))
    predict_images(
        snakemake.input.model,
        snakemake.input.images,
        read_csv(snakemake.input.index),
        ids.validation + ids.test,
        PredictSettings(**snakemake.params.predict),
        snakemake.output.probabilities,
    )
