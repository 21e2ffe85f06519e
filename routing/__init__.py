"""Where a call goes: queue and priority. Pure."""
