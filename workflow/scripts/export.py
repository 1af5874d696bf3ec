"""Write the package of a run: its network as ONNX, and all that it needs to be used elsewhere."""

from pathlib import Path

from maskmake.network.device import select_device
from maskmake.runtime.log import job

with job(snakemake):
    # The converter reads graphs of TensorFlow, whatever the network was trained with.
    select_device("tensorflow", 0, snakemake.log[0])
    from maskmake.export.package import ExportInputs, write_package

    write_package(
        ExportInputs.of(dict(snakemake.input.items())),
        snakemake.params.export,
        snakemake.params.predict,
        snakemake.params.name,
        Path(snakemake.output.package),
    )
