"""Layer-throughput benchmarks: ours beside the dense formula, in one run on one machine."""
