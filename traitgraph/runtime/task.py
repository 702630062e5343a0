"""The worker: runs the jobs of one task, one after the other, and publishes each on its own."""

from __future__ import annotations

from .context import JobContext, Session, without_torch
from .job_kinds import JOB_FUNCTIONS

__all__ = ["JOB_FUNCTIONS", "JobContext", "Session", "without_torch"]
