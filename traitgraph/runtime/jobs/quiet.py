"""Keep libraries from drawing progress bars and from talking of their own affairs: a log is for what a user can use.

Warnings about models, data and numbers come through.
"""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

HARMLESS = (DeprecationWarning, PendingDeprecationWarning, FutureWarning)
"""Said to the authors of programs: what a library means to rename."""
TALKATIVE = ("lm_eval", "httpx")
"""lm_eval warns of a model that is given to it loaded, as ours always is; httpx tells every request."""


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Silence progress bars and harmless warnings inside the block.

    Bars of `datasets` are silenced when it is imported before the block: it is slow to import where nobody needs it.
    """
    from transformers.utils import logging as transformers_logging

    bars = transformers_logging.is_progress_bar_enabled()
    loggers = [logging.getLogger(name) for name in TALKATIVE]
    levels = [logger.level for logger in loggers]
    transformers_logging.disable_progress_bar()
    datasets = sys.modules.get("datasets")
    data_bars = datasets is not None and not datasets.are_progress_bars_disabled()
    if data_bars:
        datasets.disable_progress_bars()  # type: ignore[union-attr]  # there are bars, so it is there
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            for category in HARMLESS:
                warnings.simplefilter("ignore", category)
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
        if bars:
            transformers_logging.enable_progress_bar()
        if data_bars:
            datasets.enable_progress_bars()  # type: ignore[union-attr]
