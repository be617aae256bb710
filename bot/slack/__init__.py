"""The edges to Slack: what people click and type comes in, messages go out."""
