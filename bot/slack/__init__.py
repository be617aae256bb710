"""Everything about Slack: what people type and click comes in, messages and Home tabs go out."""
