"""`python -m llmroute.config > docs/router.schema.json`: the JSON Schema of router files."""

import json
import sys

from llmroute.config import router_schema

sys.stdout.write(json.dumps(router_schema(), indent=2, ensure_ascii=False) + "\n")
