"""The controller: settings that are learned while the data streams."""
