"""Configuration: the only package that reads the environment and YAML."""

from bot.config.document import ConfigError
from bot.config.loading import build_settings, environment, load_document
from bot.config.settings import Settings

__all__ = [
    "ConfigError",
    "Settings",
    "build_settings",
    "environment",
    "load_document",
]
