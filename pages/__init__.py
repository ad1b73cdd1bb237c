"""The pages: a folder a page, each a view of core’s results; what several use lies in `shared`."""
