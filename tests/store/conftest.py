import pytest

from tiffin.store.db import Database
from tiffin.store.home import Home


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path / "root", tmp_path / "run").create()


@pytest.fixture
def db(home):
    database = Database(home.database)
    yield database
    database.close()
