"""What others push to us: one file a kind of sender, joined in `routes`."""

from bot.webhooks.counts import PushedCounts
from bot.webhooks.routes import hook_routes
from bot.webhooks.sender import Guarded, HookConfig, Receipt, TenantHook

__all__ = ["Guarded", "HookConfig", "PushedCounts", "Receipt", "TenantHook", "hook_routes"]
