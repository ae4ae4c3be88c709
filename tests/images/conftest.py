import pytest

from recipe import Catalog, Lock, load_catalog, load_lock


@pytest.fixture(scope="session")
def catalog() -> Catalog:
    return load_catalog()


@pytest.fixture(scope="session")
def lock() -> Lock:
    return load_lock()
