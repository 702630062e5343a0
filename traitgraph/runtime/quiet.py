"""Keep libraries from drawing progress bars and advice: a worker's output is its events, its log is for our words."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

CHATTY = ("transformers", "trl", "peft", "datasets", "accelerate", "lm_eval", "httpx", "huggingface_hub", "filelock")


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Silence progress bars, advice and library warnings inside the block; errors still come through.

    Bars of `datasets` are silenced when it is imported before the block: it is slow to import where nobody needs it.
    """
    from transformers.utils import logging as transformers_logging

    bars = transformers_logging.is_progress_bar_enabled()
    loggers = [logging.getLogger(name) for name in CHATTY]
    levels = [logger.level for logger in loggers]
    transformers_logging.disable_progress_bar()
    datasets = sys.modules.get("datasets")
    if datasets is not None:
        datasets.disable_progress_bars()
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
        if bars:
            transformers_logging.enable_progress_bar()
        if datasets is not None:
            datasets.enable_progress_bars()
