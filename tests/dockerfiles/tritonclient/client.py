import pathlib
import sys

import numpy
import tritonclient.http as http

given = http.InferInput("x", [1, 2], "FP32")
given.set_data_from_numpy(numpy.ones((1, 2), dtype=numpy.float32))
print("models", ",".join(sorted(path.name for path in pathlib.Path(sys.argv[1]).iterdir())), given.shape())
