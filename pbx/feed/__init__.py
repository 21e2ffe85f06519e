"""The feed: records for other services, over HTTP and by webhook.

It reads the record store and nothing else; a dead feed costs nobody a call.
"""
