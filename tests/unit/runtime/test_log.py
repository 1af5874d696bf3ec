"""The log of a job."""

from maskmake.runtime.log import configure_logging, logger


def test_log_begins_empty_and_keeps_what_others_append(tmp_path):
    path = tmp_path / "logs" / "job.log"
    path.parent.mkdir()
    path.write_text("of the attempt before\n")
    configure_logging(str(path))
    logger.info("first")
    with path.open("ab") as native:
        native.write(b"of compiled code\n")
    logger.info("last")
    configure_logging(None)
    assert path.read_text() == "first\nof compiled code\nlast\n"
