"""Routers in files: YAML or JSON, with a JSON Schema, and without any key.

    router = RouterChain.from_file("router.yaml")
    router.to_file("copy.json")

`schema.py` says what may stand in a file, `source.py` knows where in it something stands; `load.py`
and `dump.py` turn a file into a router and back.
"""

from llmroute.config.dump import write_router
from llmroute.config.load import read_router
from llmroute.config.schema import RouterConfig, router_schema

__all__ = ["RouterConfig", "read_router", "router_schema", "write_router"]
