"""The settings of a deployment, in one table; only this package reads the environment."""

from todo_app.settings.reading import misspelt_settings, read_settings
from todo_app.settings.table import BadSetting, Settings

__all__ = ["BadSetting", "Settings", "misspelt_settings", "read_settings"]
