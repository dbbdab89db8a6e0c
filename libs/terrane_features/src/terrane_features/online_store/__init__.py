"""What lies in Redis: its address, the bytes of keys and values, and a view's rows."""
