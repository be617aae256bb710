"""What leaves the settings in place of their secrets."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from pydantic import BaseModel, SecretStr

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bot.config.settings import Login


def secrets_in(value: object) -> Iterator[str]:
    """Yield the value of every secret in a section, however deep."""
    if isinstance(value, SecretStr):
        yield value.get_secret_value()
    elif isinstance(value, BaseModel):
        for _, child in value:
            yield from secrets_in(child)
    elif isinstance(value, tuple):
        for child in value:
            yield from secrets_in(child)


def fingerprint(login: Login) -> str:
    """Return 32 hex digits that change whenever anything about a login does.

    They are stored, to see that a login that was stopped for refused credentials has been given new
    ones. Whoever reads them can try passwords against them, as against any hash. So scrypt is used,
    salted with the client id: each guess costs 16 MiB and about 50 ms, and a long random password
    stays out of reach. Defaults are left out, so a new setting changes no fingerprint.
    """
    fields = login.model_dump(exclude_defaults=True)
    text = json.dumps(fields, sort_keys=True, default=SecretStr.get_secret_value)
    salt = login.client_id.encode()
    return hashlib.scrypt(text.encode(), salt=salt, n=2**14, r=8, p=1, dklen=16).hex()
