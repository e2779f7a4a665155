"""From manifests to stored features."""
