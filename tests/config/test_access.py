from __future__ import annotations

import pytest
from pydantic import ValidationError

from bot.config.settings_oncall import Access


def test_any_kind_of_person() -> None:
    """Members, user groups, channels and everyone can be named, one or several."""
    written = {"view": ["everyone"], "silence": ["U01ABC", "W02DEF", "S03GHI", "C04JKL", "G05MNO"]}

    assert Access.model_validate(written).model_dump(mode="json") == {
        "acknowledge": ["everyone"],
        "administer": ["everyone"],
        **written,
    }


@pytest.mark.parametrize(
    "who", ["@ann", "#alerts", "Everyone", "D01ABC", "U", "u01abc", "<@U1>", ""]
)
def test_other_names(who: str) -> None:
    """Names are refused with advice: Slack identifies people by their ids."""
    with pytest.raises(ValidationError, match="or the id of a member") as raised:
        Access.model_validate({"silence": [who]})

    assert raised.value.errors()[0]["loc"] == ("silence", 0)


def test_nobody() -> None:
    """An empty list is refused: a right that nobody has would be a mistake."""
    with pytest.raises(ValidationError, match="at least 1 item"):
        Access.model_validate({"administer": []})
