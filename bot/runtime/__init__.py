"""The loops around the core: engine, probe runner, delivery and timer."""
