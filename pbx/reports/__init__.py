"""Reports for people and for spreadsheets: text, HTML, PDF, CSV, JSON.

`gather` reads the store, `contents` says what a report tells and in which order; the
other modules only put that on paper. No module here knows a caller's number.
"""
