"""Write the package of a run: its network as ONNX, and all that it needs to be used elsewhere."""

from dataclasses import fields
from pathlib import Path

from maskmake.network.device import select_device
from maskmake.runtime.log import job

with job(snakemake):
    # The converter reads graphs of TensorFlow, whatever the network was trained with.
    select_device("tensorflow", 0, snakemake.log[0])
    from maskmake.export.package import ExportInputs, write_package

    paths = {name: snakemake.input[name] for name in (field.name for field in fields(ExportInputs))}
    write_package(
        ExportInputs(
            **{
                name: Path(path) if isinstance(path, str) else [Path(each) for each in path]
                for name, path in paths.items()
            }
        ),
        snakemake.params.export,
        snakemake.params.predict,
        snakemake.params.name,
        Path(snakemake.output.package),
    )
