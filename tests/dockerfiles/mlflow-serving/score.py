import flask
import mlflow.pyfunc
import pandas

model = mlflow.pyfunc.load_model("/opt/ml/model")
app = flask.Flask(__name__)


@app.get("/invocations")
def invoke():
    return {"predictions": model.predict(pandas.DataFrame({"x": [1, 2]}))["x"].tolist()}


app.run(host="0.0.0.0", port=8080)
