"""What the library is measured against, written from the paper's formulas.

Published implementations compute every relation of every body, in (B, D, T, V) layout. Each class
here does so, and is checked against the library's own by tests/test_benchmarks.py; CTR-GCN, which
the library does not have, against its formula.
"""

from benchmarks.rivals.aim import ConcatenatingEncoder, StepwiseDecoder
from benchmarks.rivals.convolution import DenseASGC
from benchmarks.rivals.ctrgcn import CTRGCN
from benchmarks.rivals.model import DenseModel

__all__ = ["CTRGCN", "ConcatenatingEncoder", "DenseASGC", "DenseModel", "StepwiseDecoder"]
