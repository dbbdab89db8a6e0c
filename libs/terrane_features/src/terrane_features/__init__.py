"""Features applied, materialised and served with Feast and Redis: the engine, the server and its components."""
