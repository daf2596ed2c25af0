"""`python -m cobnut` is the same program as `cobnut`."""

from cobnut.cli import main

main()
