import mlflow.pyfunc
from wrapper import Doubler

mlflow.pyfunc.save_model("/opt/ml/model", python_model=Doubler(), code_paths=["wrapper.py"], pip_requirements=["pandas"])
