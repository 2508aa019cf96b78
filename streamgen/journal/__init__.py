"""The run's durable truth, and the projections of it onto sinks."""
