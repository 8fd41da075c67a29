"""The doors: each protocol in a folder of its own, and what the HTTP doors share in `http`.

A door turns requests into look-ups and plans, and results into its protocol's words. No door knows another.
"""
