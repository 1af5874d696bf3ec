"""New images that could not be used: they are named at the end, and tried again the next time."""

from collections.abc import Iterable
from pathlib import Path

from maskmake.runtime.documents import read_document
from maskmake.runtime.errors import UserError
from maskmake.runtime.files import write_json
from maskmake.runtime.log import logger

MOST = 20  # sentences at the end of a command; the page has all of them


def read_refused(shards: Iterable[str]) -> list[str]:
    """The sentences of all shards, one for each image that could not be used."""
    return [sentence for shard in shards for sentence in read_document(shard, list[str])]


def check_refused(shards: Iterable[str], done: int, review: str, attempts: str, output: str):
    """Raise the sentences of the images that could not be used; write ``output`` if there are none.

    Args:
        shards: for each, numbered from 0, the file of its sentences.
        done: number of the masks.
        review: path of their list.
        attempts: record of how often each shard was to be tried again. A shard that has such images
            is counted in it; the Snakefile makes a param of the number, so that the next start
            tries the shard again. A fault may be one of the moment.
        output: the number of masks.

    Raises:
        UserError: there is a sentence.
    """
    by_shard = {str(shard): read_refused([file]) for shard, file in enumerate(shards)}
    refused = [sentence for sentences in by_shard.values() for sentence in sentences]
    total = done + len(refused)
    if not refused:
        write_json(output, {"images": total})
        logger.info("%d of %d images are done.", done, total)
        return
    counts = read_document(attempts, dict[str, int]) if Path(attempts).is_file() else {}
    again = {shard: counts.get(shard, 0) + 1 for shard, some in by_shard.items() if some}
    write_json(attempts, {**counts, **again})
    shown = refused[:MOST]
    if len(refused) > MOST:
        page = Path(review).with_suffix(".html")
        shown.append(f"{len(refused) - MOST} more images could not be used; {page} names them.")
    raise UserError("\n".join([*shown, f"{done} of {total} images are done: {review}"]))
