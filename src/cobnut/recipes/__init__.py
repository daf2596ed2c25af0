"""The recipes that come with Cobnut, one TOML file each."""
