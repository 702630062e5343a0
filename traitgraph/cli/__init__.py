"""The command line: parse, call one function of the library, print. No logic of its own."""

from .main import main

__all__ = ["main"]
