"""Faults that are told to the person who typed the command: one sentence that says what to do."""

from __future__ import annotations


class UserError(ValueError):
    """Something that the user can mend. The message stands alone; no traceback is shown."""


class RecipeError(UserError):
    """A recipe or an override that cannot be run; the message names the key."""


class DataError(UserError):
    """Data that cannot be used; the message says which file and line."""


class RunError(UserError):
    """A run that cannot start or go on."""
