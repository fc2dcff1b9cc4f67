"""What the tests of several scenarios, and the benchmarks, share."""
