"""Writes the configuration file and the one with its secrets: new, or with values changed."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from bot.config.loading import VARIABLES, env_file_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from bot.config.document import Document, Loc

PRIVATE = 0o600
SECRETS = {name for name in VARIABLES if name.endswith(("_TOKEN", "_SECRET", "_PASSWORD"))}
"""They go into the second file; the first one names them as `${NAME}`."""
HEAD = """\
# yaml-language-server: $schema=bot.schema.json
# auth0-check. Check this file without a network: auth0-check config check --config {name}
# Every setting: docs/configuration.md. The secrets ${{…}} are in {env}, beside this file.
"""
BODY = """\
slack:
  bot_token: {SLACK_BOT_TOKEN}          # Bot User OAuth Token, xoxb-…
  app_token: {SLACK_APP_TOKEN}          # app-level token, xapp-…
  channel: {SLACK_CHANNEL}              # where alerts go: a channel's id
  # mention: "@here"                    # who is mentioned in critical alerts

tenants:
  - name: {AUTH0_NAME}                  # a short name of your own
    domain: {AUTH0_DOMAIN}              # the tenant's own domain, not a custom one
    custom_domain: {AUTH0_CUSTOM_DOMAIN} # the login is tested there, too
    environment: {AUTH0_ENVIRONMENT}    # as the status page names it: US-1, EU-1, …
    # runbook: https://wiki.example.com/logins
    logins:
      - client_id: {AUTH0_CLIENT_ID}    # of an application with the Password grant alone
        client_secret: {AUTH0_CLIENT_SECRET}
        username: {AUTH0_USERNAME}      # a test user whom nobody else uses
        password: {AUTH0_PASSWORD}
        realm: {AUTH0_REALM}            # the connection
        audience: {AUTH0_AUDIENCE}      # the Identifier of an API

# oncall:                               # who is called instead of `mention`
#   rotation: {{people: [U012ANNA, U012BEN], hand_over: "Mon 09:00", start: 2026-11-23}}
# escalation:                           # while nobody acknowledges
#   critical:
#     - {{after: 5m, tell: dm}}
#     - {{after: 10m, tell: next}}
"""
_PLACE = re.compile(r"\{([A-Z0-9_]+)\}")
_COMMENT_AT = 38
_PLAIN = re.compile(r"[A-Za-z0-9_./][A-Za-z0-9_./@+:-]*")


def render_value(variable: str, answer: str) -> str:
    """Write an answer so that YAML and `${…}` give it back; for a secret, its variable's name."""
    if variable in SECRETS:
        return f"${{{variable}}}"
    if _PLAIN.fullmatch(answer) and not answer.endswith(":"):
        return answer
    return "'" + answer.replace("$", "$$").replace("'", "''") + "'"


def render_file(answers: Mapping[str, str], file: Path) -> str:
    """Render a new configuration file. What has no answer is left out."""
    lines = []
    for line in BODY.splitlines():
        place = _PLACE.search(line)
        if place is None:
            lines.append(line.replace("{{", "{").replace("}}", "}"))
            continue
        variable = place[1]
        if not answers.get(variable):
            continue
        value = render_value(variable, answers[variable])
        setting, _, comment = line.replace(place[0], value).partition(" #")
        padded = setting.rstrip().ljust(_COMMENT_AT - 1)
        lines.append(f"{padded} #{comment}" if comment else setting.rstrip())
    head = HEAD.format(name=file.name, env=env_file_of(file).name)
    return head + "\n" + "\n".join(lines) + "\n"


def change_file(text: str, document: Document, answers: Mapping[str, str]) -> str:
    """Change single values of a file that is there; all else stays as people wrote it.

    Raises ValueError if a section is not written as a block, line by line, or is in another file.
    """
    lines = text.splitlines()
    file = document.place_of(()).name.rpartition(":")[0]
    added: list[tuple[int, str]] = []
    for variable, answer in answers.items():
        loc, written = VARIABLES[variable], render_value(variable, answer)
        key, place = str(loc[-1]), document.place_of(loc)
        if not place.name.startswith(f"{file}:"):
            raise ValueError(f"{place.name}: {key} is written in another file")
        if loc in document.places:
            at = document.places[loc].order - 1
            match = re.match(rf"(\s*(?:- )?(?:{key})\s*:\s*)([^#\n]*?)(\s+#.*)?$", lines[at])
            if match is None:
                raise ValueError(f"line {at + 1}: {key} is not alone on its line")
            lines[at] = f"{match[1]}{written}{match[3] or ''}"
        else:
            at, indent = _find_end(document, loc[:-1], lines)
            added.append((at, f"{indent}{key}: {written}"))
    for at, line in sorted(added, reverse=True):
        lines.insert(at, line)
    return "\n".join(lines) + "\n"


def _find_end(document: Document, section: Loc, lines: list[str]) -> tuple[int, str]:
    """Return after which line a section's own keys end, and how far they are indented."""
    own = [loc for loc in document.places if loc[:-1] == section and loc != section]
    if not own:
        raise ValueError("the file has no section for it")
    scalars = [
        loc for loc in own if not any(o[: len(loc)] == loc and o != loc for o in document.places)
    ]
    last = max(document.places[loc].order for loc in scalars or own)
    match = re.match(r"(\s*)(- )?", lines[last - 1])
    indent = match[0] if match else ""
    return last, " " * len(indent)


def render_env(secrets: Mapping[str, str]) -> str:
    """Render the file with the secrets: one NAME=value a line, as Docker and systemd read it."""
    return "".join(f"{name}={value}\n" for name, value in secrets.items())


def write_private(path: Path, text: str) -> None:
    """Replace a file that only its owner may read, whole or not at all."""
    draft = path.with_name(f".{path.name}.new")
    draft.unlink(missing_ok=True)
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    draft.replace(path)
