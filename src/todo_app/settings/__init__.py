"""The settings of a deployment, in one table; only this package reads the environment."""

from todo_app.settings.reading import read_settings
from todo_app.settings.table import BadSetting, Settings

__all__ = ["BadSetting", "Settings", "read_settings"]
