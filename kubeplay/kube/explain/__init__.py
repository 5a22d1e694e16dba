"""What fields mean: words and defaults by record, paths of people's, kubectl's layout, and JSON Schemas for editors. Pure."""
