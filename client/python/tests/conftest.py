"""A running server for the tests.

`LATENTD_TEST_ADDRESS` names a server with the demo's model, SAE and cache, as `latentd demo --keep-serving` leaves it;
`.ci/run` starts one. The tests fail without it: they never skip.
"""

import os
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from latentd import AsyncClient, Client

SAE = "smollm2-135m/l9"


@pytest.fixture(scope="session")
def address() -> str:
    found = os.environ.get("LATENTD_TEST_ADDRESS")
    if not found:
        pytest.fail("set LATENTD_TEST_ADDRESS to a server started by `latentd demo --keep-serving`")
    return found


@pytest.fixture
def client(address: str) -> Iterator[Client]:
    with Client(address, timeout=120) as client:
        yield client


@pytest_asyncio.fixture
async def aclient(address: str) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(address, timeout=120) as client:
        yield client
