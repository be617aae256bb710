"""Configuration: the only room that reads the environment and YAML."""

from bot.config.document import ConfigError
from bot.config.loading import environment, load, settings_from
from bot.config.settings import Settings, fingerprint

__all__ = ["ConfigError", "Settings", "environment", "fingerprint", "load", "settings_from"]
