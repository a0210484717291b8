"""Makes adapters: recipe -> data -> run -> run record. The library that serves never imports this."""
