"""The words: what a call, a city, a verdict is. Pure, imports nothing of ours."""
