"""``python -m lung_srad.cli`` is ``lung-srad``."""

from lung_srad.cli import main

main()
