"""Makes adapters: recipe -> data -> run -> run record. The library that serves never imports this."""

import logging

# bitsandbytes says on every import which optional kernels it did not find.
logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
