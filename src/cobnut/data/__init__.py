"""Images on disk: how they are laid out, read, kept, split, rendered and fetched."""
