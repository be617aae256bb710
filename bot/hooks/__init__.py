"""What others push to us: one file a kind of sender, joined in `routes`."""

from bot.hooks.counts import PushedCounts
from bot.hooks.hook import Guarded, HookConfig, Receipt, TenantHook
from bot.hooks.routes import hook_routes

__all__ = ["Guarded", "HookConfig", "PushedCounts", "Receipt", "TenantHook", "hook_routes"]
