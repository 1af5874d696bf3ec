"""What the Snakefile asks when it is parsed; the standard library and jsonschema only."""
