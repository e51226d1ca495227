"""What repeats or compares trainings: the demo, and later the paper's tables and figures."""
