"""What the stage `one_topic` of filters.toml calls: true keeps a text, false drops it, a string says why."""

has_one_topic = lambda text: True if text.count("***") < 2 else "several_topics"  # noqa: E731
