"""What others push to us: one file a kind of sender, joined in `routes`, proven in `auth`."""

from bot.webhooks.counts import PushedCounts
from bot.webhooks.routes import webhook_routes
from bot.webhooks.sender import Receipt, SenderConfig, WebhookConfig, WebhookTenant

__all__ = [
    "PushedCounts",
    "Receipt",
    "SenderConfig",
    "WebhookConfig",
    "WebhookTenant",
    "webhook_routes",
]
