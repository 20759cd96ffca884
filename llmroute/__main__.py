"""`python -m llmroute`, for where the `llmroute` script is not on the path."""

from llmroute.cli import main

main()
