"""Shared by the tests: stores to run them on, hostile input, clocks, devices."""
