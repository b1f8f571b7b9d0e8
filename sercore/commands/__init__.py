"""Commands of `sercore` that fill a module of their own; `sercore.__main__` takes them in."""
