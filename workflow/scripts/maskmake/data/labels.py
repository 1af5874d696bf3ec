"""What an object and a hole of a label are."""

import numpy as np

# Objects are 4-connected and holes 8-connected, so that the two never cross.
OBJECT_CONNECTIVITY = 1
HOLE_CONNECTIVITY = 2

# The two halves of all pairs of pixels that share a side.
SIDES = ((np.s_[:-1], np.s_[1:]), (np.s_[:, :-1], np.s_[:, 1:]))
