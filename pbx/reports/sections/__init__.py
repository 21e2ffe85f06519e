"""What each section of a report tells."""
