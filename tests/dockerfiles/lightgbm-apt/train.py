import lightgbm
import numpy

random = numpy.random.default_rng(7)
X = random.random((400, 4))
y = (X[:, 0] + X[:, 1] > 1).astype(int)
data = lightgbm.Dataset(X, label=y)
model = lightgbm.train({"objective": "binary", "verbose": -1, "num_threads": 1}, data, num_boost_round=5)
model.save_model("model.txt")
