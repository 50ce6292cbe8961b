import os

import yaml

print(yaml.safe_dump({"sha": os.environ["GIT_SHA"]}).strip())
