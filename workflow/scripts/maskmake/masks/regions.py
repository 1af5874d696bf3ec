"""Pictures of the objects of a mask, each in a colour that none of its neighbours has."""

import networkx as nx
import numpy as np
from scipy import ndimage
from skimage import measure
from skimage.segmentation import watershed

from maskmake.data.labels import OBJECT_CONNECTIVITY
from maskmake.data.object_class import ObjectName
from maskmake.masks.decision import object_mask

# The colours of Okabe and Ito, which the colour-blind can tell apart, with white in place of black.
PALETTE = np.array(
    [
        (230, 159, 0),
        (86, 180, 233),
        (0, 158, 115),
        (240, 228, 66),
        (0, 114, 178),
        (213, 94, 0),
        (204, 121, 167),
        (255, 255, 255),
    ],
    np.uint8,
)


def region_picture(mask: np.ndarray, objects: ObjectName = "foreground") -> np.ndarray:
    """Paint the 4-connected regions of a class; the same mask always gives the same picture.

    Args:
        mask: (H, W) bool.
        objects: the class.

    Returns:
        (H, W, 3) ``uint8``: the other class black, each region in a colour of ``PALETTE``. Regions
        are neighbours if they meet when all grow over the other class at the same pace.
    """
    regions = measure.label(object_mask(mask, objects), connectivity=OBJECT_CONNECTIVITY)
    colours = np.zeros((regions.max() + 1, 3), np.uint8)
    for region, colour in _colouring(_neighbour_graph(regions)).items():
        colours[region] = PALETTE[colour]
    return colours[regions]


def _neighbour_graph(regions: np.ndarray) -> nx.Graph:
    """Graph of the regions, 1, 2, ..., with an edge between neighbours."""
    distance = ndimage.distance_transform_edt(regions == 0)
    grown = watershed(distance, regions, connectivity=OBJECT_CONNECTIVITY)
    graph: nx.Graph = nx.Graph()
    graph.add_nodes_from(range(1, regions.max() + 1))
    for a, b in ((grown[:-1], grown[1:]), (grown[:, :-1], grown[:, 1:])):
        meet = a != b
        graph.add_edges_from(np.unique(np.stack([a[meet], b[meet]], axis=1), axis=0).tolist())
    return graph


def _colouring(graph: nx.Graph) -> dict[int, int]:
    """Colour of each region, different for neighbours; each is used about as often.

    Regions that grow by 4-connected steps make a planar graph. In the order "smallest last" (Matula
    and Beck, J. ACM 30(3), 1983) a node comes after at most five of its neighbours, so that
    of eight colours three are always free.
    """
    colours: dict[int, int] = {}
    used = [0] * len(PALETTE)
    for region in nx.coloring.strategy_smallest_last(graph, colours):
        taken = {colours.get(neighbour) for neighbour in graph[region]}
        free = (colour for colour in range(len(PALETTE)) if colour not in taken)
        colours[region] = min(free, key=used.__getitem__)
        used[colours[region]] += 1
    return colours
