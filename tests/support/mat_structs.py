"""MATLAB files as MATLAB would have written them, for the readers' tests."""

import io

import numpy as np
from scipy.io import savemat


def struct_array(*elements):
    """A 1 x N struct array; fields that an element lacks are empty, as MATLAB makes them."""
    names = list(dict.fromkeys(name for element in elements for name in element))
    array = np.empty((1, len(elements)), dtype=[(name, object) for name in names])
    for index, element in enumerate(elements):
        for name in names:
            array[0, index][name] = element.get(name, np.zeros((0, 0)))
    return array


def mat_bytes(compress=True, **variables):
    """The content of a file of version 7 (5 if not compressed)."""
    file = io.BytesIO()
    savemat(file, variables, do_compression=compress, long_field_names=True)
    return file.getvalue()
