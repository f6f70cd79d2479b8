"""Redis: what several processes share to be quicker, and what nothing depends on."""
