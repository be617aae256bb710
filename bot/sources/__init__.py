"""Polls others: metrics, errors, Auth0 logs, the status page, on-call calendars. One file a source.

A new source is built by `build_sources` in `bot/app/prober.py`, has its settings in
`bot/config/settings_sources.py`, and its threshold in `bot/core/signals/metric_threshold.py`.
"""
