import numpy as np
import pytest
import torch
from scipy.fft import dct, idct

from asgcn_dgl.ops.dct import dct_matrix


@pytest.mark.parametrize("frames", [1, 2, 5, 35])
def test_the_transform_is_scipys(frames):
    values = np.random.default_rng(0).normal(size=(frames, 4))
    matrix = dct_matrix(frames).numpy()
    np.testing.assert_allclose(matrix @ values, dct(values, axis=0, norm="ortho"), atol=1e-12)
    np.testing.assert_allclose(matrix.T @ values, idct(values, axis=0, norm="ortho"), atol=1e-12)
    np.testing.assert_allclose(matrix.T @ matrix, np.eye(frames), atol=1e-12)


def test_few_coefficients_are_the_lowest():
    torch.testing.assert_close(dct_matrix(9, 4), dct_matrix(9)[:4])


@pytest.mark.parametrize("coefficients", [0, 10])
def test_coefficients_out_of_range_are_refused(coefficients):
    with pytest.raises(ValueError, match=f"coefficients.*9.*{coefficients}"):
        dct_matrix(9, coefficients)
