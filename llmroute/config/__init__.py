"""Routers in files: YAML or JSON, with a JSON Schema, and without any key.

    router = RouterChain.from_file("router.yaml")
    router.to_file("copy.json")

`marks.py` knows where in a file something stands, `forms.py` what may stand there; `reading.py` and
`recording.py` turn a file into a router and back.
"""

from llmroute.config.dump import write_router
from llmroute.config.load import read_router
from llmroute.config.schema import router_schema

__all__ = ["read_router", "router_schema", "write_router"]
