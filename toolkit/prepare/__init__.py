"""From a corpus to manifests."""
