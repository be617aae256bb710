"""Alembic's scripts: forward only, one transaction, shipped with the package."""
