from setuptools import setup

setup(name="myapp", version="1.0", packages=["myapp"], entry_points={"console_scripts": ["myapp = myapp:main"]})
