"""What a caller can meet: the flow, as pure events in and commands out."""
