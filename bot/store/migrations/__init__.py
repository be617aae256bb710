"""Alembic's scripts, shipped with the package. They only go forward, in one transaction."""
