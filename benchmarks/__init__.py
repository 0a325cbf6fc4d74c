"""What watching costs: measurements, not tests. `python -m benchmarks` prints the table of docs/performance.md."""
