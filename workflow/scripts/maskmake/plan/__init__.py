"""The settings of a training that the data and the machine decide."""
