from pathlib import Path

import pytest

from llmroute.evaluation import default_data


@pytest.fixture(scope="session")
def data() -> Path:
    folder = default_data()
    if folder is None:
        pytest.skip("the recorded outcomes (../shared/data, or LLMROUTE_DATA) are not here")
    return folder
