"""Observations, measurements, faults, requests and access rights: the values that all else uses."""
