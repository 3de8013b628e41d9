"""Client of Vitrine. Requests and answers are plain dictionaries, typed in :mod:`vitrine_client.types`."""

from . import types
from .client import Vitrine, VitrineConnectionError, VitrineError

__all__ = ["Vitrine", "VitrineConnectionError", "VitrineError", "types"]
