"""How far a logit may be from 0 where those of several networks are averaged."""

import math

# float16, in which probabilities are stored, rounds a sure one to 0 or 1; half its spacing below 1
# keeps the logit finite.
SURE = 2.0**-12

# The logit of 1 - SURE, 8.3. The logits of each network of several are cut here, wherever they are
# averaged: from stored probabilities, which hold no larger ones, and on new images, where a network
# that is far too sure would otherwise outvote the others.
LARGEST_LOGIT = math.log(1 / SURE - 1)
