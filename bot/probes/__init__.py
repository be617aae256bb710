"""What the bot checks by itself.

| module | what is in it |
| --- | --- |
| probes | one class for each kind of probe |
| result | what they have in common: one request, its verification, the observation |
| token | verifies tokens with the keys that their issuer publishes |
"""

from bot.probes.probes import Probes

__all__ = ["Probes"]
