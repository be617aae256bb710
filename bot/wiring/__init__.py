"""The only room that builds things and joins them; the clock lives here."""
