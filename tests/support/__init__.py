"""What tests share: stores to run them on, hostile input, clocks, devices."""
