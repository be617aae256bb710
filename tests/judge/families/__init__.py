"""All families of faults that worlds are generated from."""

from __future__ import annotations

from tests.judge.families import app, auth0, calm, network, probe, quota, tenant, upstream
from tests.judge.families.registry import FAMILIES, Family

MODULES = (auth0, tenant, quota, probe, network, app, upstream, calm)

__all__ = ["FAMILIES", "MODULES", "Family"]
