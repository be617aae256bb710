"""Renders state as Block Kit: every sentence that people read in Slack. Pure.

An alert is written in `incident` (its first line in `incident_line`), its thread in `timeline`,
what a person is answered in `answers`; `text` has the words that they share.
"""
