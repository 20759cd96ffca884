"""Routers in files: YAML or JSON, with a JSON Schema, and without any key.

    router = RouterChain.from_file("router.yaml")
    router.to_file("copy.json")

`marks.py` knows where in a file something stands, `forms.py` what may stand there; `reading.py` and
`recording.py` turn a file into a router and back.
"""

from llmroute.configuration.forms import router_schema
from llmroute.configuration.reading import read_router
from llmroute.configuration.recording import write_router

__all__ = ["read_router", "router_schema", "write_router"]
