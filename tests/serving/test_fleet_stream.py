"""A stream of requests is one type to the compiler, wherever its arrays come from."""

import numpy as np
import pandas as pd

from aifactory.serving.fleet import RequestStream

ARRAYS = ("arrival_s", "input_tokens", "output_tokens", "cached_tokens", "priority")


def test_arrays_of_a_frame_can_be_written_to():
    whole = pd.DataFrame({"in": [5, 6], "out": [1, 2], "cached": [4, 0]}, dtype=np.int32)
    columns = [pd.Series([0.0, 1.0]).to_numpy(), *(whole[name].to_numpy() for name in whole)]
    assert not any(column.flags.writeable for column in columns)
    held = RequestStream(*columns)
    plain = RequestStream(np.zeros(1), np.ones(1, dtype=int), np.ones(1, dtype=int))
    for name in ARRAYS:
        mine, other = getattr(held, name), getattr(plain, name)
        assert (mine.dtype, mine.flags.writeable, mine.flags.c_contiguous) == (other.dtype, True, True), name
    assert held.arrival_s.tolist() == [0.0, 1.0]
