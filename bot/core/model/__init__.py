"""Observations, measurements, faults, requests and rights: values that all else is built on."""
