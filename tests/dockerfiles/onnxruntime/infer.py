#!/usr/bin/env python3
import sys

import numpy
import onnxruntime

path, *numbers = sys.argv[1:]
session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
print(session.run(None, {"x": numpy.array(numbers, dtype=numpy.float32)})[0].tolist())
