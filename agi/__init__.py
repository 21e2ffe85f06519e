"""The live call: AGI and AudioSocket at the edge, thoughts in the middle."""
