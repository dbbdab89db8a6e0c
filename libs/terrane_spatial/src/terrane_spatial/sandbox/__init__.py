"""Processes that handle hostile content: how they are started, what they may use, what the kernel keeps from them."""
